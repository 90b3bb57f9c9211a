//! The values of window views, computed in the plainest way there is: for every question anew, from the whole log.
//!
//! Tests compare the runners with it. It shares no code with them and depends on none of their crates, so that a
//! mistake would have to be made twice to go unseen. Where clear and fast differ, it is clear.
//!
//! Reading order: [`answer`] is the rule; [`view`] is what it is told, [`Value`] what comes in and goes out;
//! [`aggregate`] are the aggregators as their documentation has them, [`steps`] is a fold of another kind.

pub mod aggregate;
mod answer;
pub mod steps;
mod value;
pub mod view;

pub use answer::{Admitted, admitted, answer, emitted, latest};
pub use value::{Value, coded};
pub use view::{Asked, Cut, Event, Finish, Question, Tile, View, Window};

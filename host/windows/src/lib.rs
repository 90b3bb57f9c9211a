//! Sliding windows: which tiles an event belongs to, which tiles a value is made of, and which events count once.
//!
//! A runner walks the events and questions of its entities through a [`Plan`], which only notes what is to be folded:
//! nothing is computed until the plan is carried out, in two calls of a [`Fold`], one for all states and one for all
//! answers. So the same steps serve a batch of a stream, a lookup and a sorted history, and none of them decides what a
//! value is.
//!
//! Everything here is synchronous and pure: no clock, no I/O. Reading order: `layout` (levels of tiles), `entity`
//! (what is kept of one, in the order of a `series`), `plan` (events and questions), `fold` (who computes), `codec` (the
//! bytes that are kept), `behind` (what a value was made of).

mod behind;
mod codec;
mod entity;
mod fold;
mod layout;
mod plan;
mod series;

pub use behind::TileBehind;
pub use codec::{Damage, is_packed, packed, unpacked};
pub use entity::{Entity, EntityChanges, Parts, Seen};
pub use fold::{Base, Failure, Fold, Folded, Group, Question, Row, Run};
pub use layout::{Layout, Level};
pub use plan::{Answer, Event, Plan, Settled};

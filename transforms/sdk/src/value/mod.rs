//! The types of fields: which Rust types carry them, and how columns of them are read and written.
//!
//! The traits are public so that their documentation lists the types; authors derive [`Input`] and [`Output`]
//! and never implement or call anything here.

mod input;
mod output;
mod several;

pub(crate) use input::Lists as InputLists;
pub use input::{Input, InputField, InputValue, Record, Request, RequestField};
pub use output::{
    Bitmap, Fixed, Lists, Nullable, Output, OutputColumn, OutputField, OutputValue, Text, TextLists,
};
pub use several::{ColumnType, InputValues, OutputValues};

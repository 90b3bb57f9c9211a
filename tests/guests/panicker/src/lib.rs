//! Panics with the message that a row brings.

use trifold_sdk::prelude::*;

/// A row that may bring a message.
#[derive(Input)]
pub struct Row<'a> {
    /// Whose row it is.
    #[entity]
    pub key: i64,
    /// What to panic with; none is a good row.
    pub message: Option<&'a str>,
}

/// What a good row answers.
#[derive(Output)]
pub struct Calm {
    /// The row's key.
    pub key: i64,
}

/// Panics where its rows say so.
#[row_view]
pub fn panicker(row: Row<'_>) -> Calm {
    if let Some(message) = row.message.filter(|_| cfg!(not(feature = "calm"))) {
        panic!("{message}");
    }
    Calm { key: row.key }
}

//! The model's promises over seeded random rows: one encoding per row, no panic on any bytes, differences that
//! name the right field, and state ids that change with what shapes state and with nothing else.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail where they stand")]

mod canonical;
mod difference;
mod random;
mod state_id;
mod view;

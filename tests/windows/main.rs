//! Window views in every runner against the oracle: equal bytes for any log, steps, restarts, cuts and times.
//!
//! [`guests`] are the views, as component and as oracle; [`stream`] makes logs from seeds. [`pipeline`] takes thousands
//! of them through what the runners share, [`runners`] takes some through the runners themselves. [`rules`] holds single
//! rules on logs where they show, [`refusals`] what has no value and whom that concerns, [`calls`] groups larger than a
//! call, [`bounded`] what is kept in the long run, [`explain`] what is said of a value, [`sketches`] the aggregators on
//! more items than such logs have.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail where they stand")]

mod bounded;
mod calls;
mod columns;
mod compare;
mod explain;
mod guests;
mod pipeline;
mod refusals;
mod rules;
mod runners;
mod sketches;
mod stream;

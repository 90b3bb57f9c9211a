//! The same events through every runner: equal bytes.
//!
//! [`case`] is what is run and what must come out, [`runner`] are the runners, [`protocols`] those of the
//! server beside gRPC; [`golden`] and [`random`] are small
//! logs, [`flights`] and [`killed`] the real one, [`fractions`] rows at their limits, [`points`] questions at
//! other times than the events', [`explain`] why their answers are what they are, [`audit`] what happens when a stored byte changes, and
//! [`follow`] what a backfill makes of the releases that there were.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail where they stand")]

mod audit;
mod case;
mod explain;
mod flights;
mod follow;
mod fractions;
mod golden;
mod killed;
mod points;
mod protocols;
mod random;
mod runner;

const PROGRAM: &str = env!("CARGO_BIN_EXE_trifold-under-test");

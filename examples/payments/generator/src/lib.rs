//! Card payments from a seed: any number of them, in the order in which they arrive.
//!
//! The same [`Config`] gives the same payments on every machine: all arithmetic is that of integers. Payments are made
//! as they are asked for. Beside those that still wait for their arrival nothing is kept, neither by card nor by
//! payment.
//!
//! Few cards pay often and many pay seldom; most amounts are small and few are very large. Some payments come out of
//! order, some too late to count ([`LATENESS`]), some from terminals whose clocks are ahead ([`MAX_EARLY`]), some come
//! twice, and some come twice and differ. How many, [`Shares`] says; how many there were, [`Account`].
//!
//! Reading order: [`config`], [`payment`], [`generator`]; [`columns`] are the payments as Arrow columns, [`spine`]
//! moments to ask at, [`files`] both on disk.

pub mod columns;
pub mod config;
pub mod error;
pub mod files;
pub mod generator;
pub mod payment;
mod random;
pub mod spine;

pub use columns::{Batches, payment_batch, payment_schema};
pub use config::{Config, LATENESS, MAX_EARLY, Share, Shares};
pub use error::GeneratorError;
pub use files::{write_log, write_spine};
pub use generator::{Account, Generator};
pub use payment::Payment;
pub use spine::SpineBatches;

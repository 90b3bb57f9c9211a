//! Operating a process: what it runs, and releases that it learns of at once.
//!
//! Reading order: [`desk`] is between those who ask and what follows the releases; [`service`] answers over gRPC, on a
//! loopback address, for nobody is asked who they are; [`intake`] takes components in; [`client`] asks; [`messages`] converts
//! for both.

pub mod api;
pub mod client;
pub mod desk;
pub mod intake;
pub mod messages;
pub mod service;

pub use client::AdminClient;
pub use desk::{Calls, Desk, Kept, Looked, Running, Standing};
pub use intake::Intake;
pub use service::{Admin, AdminError, Process};

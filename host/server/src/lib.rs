//! The online server: features over gRPC and HTTP; and what those who operate a process ask.
//!
//! It reads entity records from the online store, lets the pipeline compute values with the versions in force,
//! and answers. Each request works on one snapshot of the versions, taken when it begins, so that a release never
//! splits an answer. Nothing here computes a feature.
//!
//! Reading order: [`api`] is the generated contract; [`server`] listens, and `connection` is what it [accepts](accept);
//! [`service`] answers whom `caller` says, within `limits`, and [`load`] counts it; `request`, `in_hand` and `answer` convert
//! at the edge; [`columns`] carries Arrow arrays in messages; [`http`] asks and answers the same in JSON, and
//! [`feature_store`] by ids, for clients that know no views; [`following`] brings new releases, and [`observed`] is what is
//! seen of versions that are tried out, some of which `shadow` asks beside the requests. [`client`] asks; `codes` names
//! gRPC's statuses. [`admin`] is for those who operate a process, whatever it does.

pub mod accept;
pub mod admin;
mod answer;
pub mod api;
mod caller;
pub mod client;
mod codes;
pub mod columns;
mod connection;
pub mod feature_store;
pub mod following;
pub mod http;
mod in_hand;
mod limits;
pub mod load;
pub mod monitor;
pub mod observed;
mod request;
pub mod server;
pub mod service;
mod shadow;

pub use http::Http;
pub use limits::Limits;
pub use load::{Load, LoadNow};
pub use observed::Observed;
pub use server::{Plain, Server, ServerConfig, ServerError};

//! Versions and releases of feature views, as append-only files in a directory or an object store.
//!
//! ```text
//! id                                      what tells the registry and its copies from others
//! components/sha256/<digest>.wasm         component bytes, filed under their SHA-256
//! components/sha256/<digest>/signatures/<key>
//!                                         who signed them
//! views/<view>/versions/<number>.json     what was pushed
//! views/<view>/releases/<number>.json     what serves from then on
//! views/<view>/retired/<number>.json      that the version of this number is not used any more
//! ```
//!
//! Numbers count from one and are padded to ten digits, so that listings sort. Every file is written with
//! put-if-absent and never changed: whoever loses the race for a number takes the next one. The highest release
//! of a view is in force and says all that serves: going back to an older version is one more release, which may say which one
//! it takes back, and so is every step of a version that is tried out beside the one in force. Names that do not follow the layout belong to somebody else and are passed over.
//!
//! Reading order: [`record`], [`id`], [`location`], [`s3`], [`registry`], [`timeline`], [`releases`], [`retirement`], [`watcher`],
//! [`signature`], [`trust`], [`error`]; `json` for the records' text, `objects` for the object store.

pub mod error;
pub mod id;
mod json;
pub mod location;
mod objects;
pub mod record;
pub mod registry;
pub mod releases;
pub mod retirement;
pub mod s3;
pub mod signature;
pub mod timeline;
pub mod trust;
pub mod watcher;

pub use error::{RecordDamage, RegistryError};
pub use id::RegistryId;
pub use location::{Location, NoLocation};
pub use record::{
    Act, Candidate, GateRecord, GateSample, Provenance, Pushed, Release, Retirement, Step, Steps, Trial,
    VersionRecord,
};
pub use registry::{COMPONENT_BYTES_MAX, RECORD_BYTES_MAX, Registry};
pub use releases::Releases;
pub use retirement::Horizon;
pub use s3::S3Settings;
pub use signature::{KeyId, NoKey, PrivateKey, PublicKey, Signature};
pub use trust::{FoundSignature, TrustedKeys};
pub use watcher::Watcher;

//! Values of Avro and Protobuf as JSON, with or without a schema registry.
//!
//! Whoever reads events from Kafka makes one [`Decoder`] for a topic, and hands every record's value to it before the
//! value goes where JSON lines go: [`Decoder::decode`] appends one JSON object, in the conventions that the decoders of
//! `host/eventlog` read. What each type of Avro and Protobuf becomes is the table in `CONVERSIONS.md`, beside the
//! manifest of this crate. This crate knows nothing of events, views or Kafka.
//!
//! ```text
//! record's value ──Decoder──> {"card":"c1","amount":12.5,...} ──eventlog::decode──> inputs of a view
//!                   │    └──> ValueError::Undecodable: this event is set aside, and no other
//!                   └───────> ValueError::Registry: nothing is known of it; wait, and try the same value again
//! ```
//!
//! `decode` is synchronous and blocks while it asks a registry, once for each schema. A record without a value has none
//! to decode: what that means is for the caller to say.
//!
//! Reading order: [`settings`] and [`decoder`] (what callers see), [`error`] and [`limits`], `wire` (what stands before a
//! value), `text` and `time` (how values are written), `avro`, `protobuf`, `registry`.

mod avro;
pub mod decoder;
pub mod error;
pub mod limits;
mod protobuf;
mod registry;
pub mod settings;
mod text;
mod time;
mod wire;

pub use decoder::Decoder;
pub use error::{FormatError, Reason, RegistryError, ValueError};
pub use settings::{Credentials, Encoding, RegistrySettings, SchemaSource};

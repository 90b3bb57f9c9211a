//! Values of Avro and Protobuf through the decoders of events, and with schemas from a real registry.
//!
//! The values are encoded by the libraries of the two formats, and what becomes of them is looked at where views see it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail where they stand")]

mod avro;
mod fixtures;
mod protobuf;
mod random;
mod registry;
mod table;

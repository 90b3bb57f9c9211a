//! The messages and server generated from `proto/feature_store/feature_store.proto`.

#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]

tonic::include_proto!("feature_store");

/// The encoded descriptors, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("feature_store_descriptor");

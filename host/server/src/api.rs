//! The messages, client and server generated from `proto/trifold/online/v1/online.proto`.

#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]

tonic::include_proto!("trifold.online.v1");

/// The encoded descriptors, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("online_descriptor");

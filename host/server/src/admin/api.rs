//! The messages, client and server generated from `proto/trifold/admin/v1/admin.proto`.

#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]

tonic::include_proto!("trifold.admin.v1");

/// The encoded descriptors, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("admin_descriptor");

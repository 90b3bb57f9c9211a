//! Real servers for tests: what a mock answers is what its author believes of the server.
//!
//! [`Kafka`], [`Redis`], [`RedisCluster`], [`SchemaRegistry`] and [`S3`] run in child processes on free ports of
//! this machine, each with a temporary directory. They can be stopped, killed, paused and started again with what
//! they hold. A [`Proxy`] stands for the network, which can be cut and slow. All of it ends with the test, even
//! with one that is killed.
//!
//! Reading order: `process` (a child that does not outlive us), `server` (one that can be started again), `control`
//! (what can be done to each), then
//! `kafka` with `jars`, `redis` with its `options` and its `cluster`, `schema_registry`, `s3` and `proxy`.

mod control;
mod environment;
mod error;
mod jars;
mod kafka;
mod ports;
mod process;
mod proxy;
mod redis;
mod s3;
mod schema_registry;
mod server;
mod tool;

pub use control::Control;
pub use environment::variable;
pub use error::ServerError;
pub use kafka::Kafka;
pub use ports::free_address;
pub use proxy::Proxy;
pub use redis::{Redis, RedisCluster, RedisOptions};
pub use s3::S3;
pub use schema_registry::SchemaRegistry;
pub use server::Server;

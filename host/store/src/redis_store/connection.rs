//! Connections that are made again when they are lost.

use std::fmt;

use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::{Client, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, TlsCertificates, Value};

use crate::error::StoreError;
use crate::redis_store::settings::{RedisSettings, no_address};

/// A connection to one Redis, or to all nodes of a cluster. Clones share it, and what they ask at the same time goes out
/// together.
#[derive(Clone)]
pub(crate) struct Connection {
    link: Link,
    /// Where it leads, without passwords.
    address: String,
}

#[derive(Clone)]
enum Link {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
}

impl Connection {
    pub(crate) async fn open(settings: &RedisSettings) -> Result<Self, StoreError> {
        let nodes = settings.nodes()?;
        let names: Vec<_> = nodes.iter().map(|node| node.addr().to_string()).collect();
        let address = names.join(", ");
        let failed = |error| failure(&address, "connect", error);
        let certificates =
            settings.certificates()?.map(|pem| TlsCertificates { client_tls: None, root_cert: Some(pem) });
        let link = if settings.cluster {
            let mut builder = ClusterClientBuilder::new(nodes)
                .connection_timeout(settings.timeout)
                .response_timeout(settings.timeout)
                .overall_response_timeout(Some(settings.timeout * 3));
            if let Some(certificates) = certificates {
                builder = builder.certs(certificates);
            }
            let client = builder.build().map_err(failed)?;
            Link::Cluster(client.get_async_connection().await.map_err(failed)?)
        } else {
            // There is exactly one, which the settings have seen to.
            let node = nodes.into_iter().next().ok_or_else(no_address)?;
            let client = match certificates {
                Some(certificates) => Client::build_with_tls(node, certificates),
                None => Client::open(node),
            };
            let config = ConnectionManagerConfig::new()
                .set_connection_timeout(Some(settings.timeout))
                .set_response_timeout(Some(settings.timeout))
                .set_number_of_retries(1);
            let manager = ConnectionManager::new_with_config(client.map_err(failed)?, config).await;
            Link::Single(manager.map_err(failed)?)
        };
        Ok(Connection { link, address })
    }

    /// Whether it leads to the nodes of a cluster.
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.link, Link::Cluster(_))
    }

    /// For `map_err`: what was to be done when it failed.
    pub(crate) fn failed(&self, action: &'static str) -> impl Fn(RedisError) -> StoreError + '_ {
        move |error| failure(&self.address, action, error)
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

fn failure(address: &str, action: &'static str, error: RedisError) -> StoreError {
    let (address, reason) = (address.to_owned(), error.to_string());
    match error.kind() == ErrorKind::UnexpectedReturnType || error.code() == Some("WRONGTYPE") {
        true => StoreError::Foreign { address, action, reason },
        false => StoreError::Remote { address, action, reason },
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.link {
            Link::Single(link) => link.req_packed_command(command),
            Link::Cluster(link) => link.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match &mut self.link {
            Link::Single(link) => link.req_packed_commands(pipeline, offset, count),
            Link::Cluster(link) => link.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match &self.link {
            Link::Single(link) => link.get_db(),
            Link::Cluster(link) => link.get_db(),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("address", &self.address).finish()
    }
}

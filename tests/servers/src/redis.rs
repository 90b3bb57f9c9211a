//! A Redis.

mod certificate;
mod cluster;
mod options;
mod question;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::control::Control;
use crate::environment::variable;
use crate::error::ServerError;
use crate::ports;
use crate::redis::certificate::Certificate;
use crate::server::{self, Plan, Server};

pub use cluster::RedisCluster;
pub use options::RedisOptions;

const NAME: &str = "Redis";

/// A Redis that writes nothing to disk: when it ends, what it held is gone.
///
/// If the environment variable `REDIS_URL` is set, [`Redis::start`] gives the Redis of that address, which cannot be
/// stopped or paused, and may hold what others put there.
#[derive(Debug)]
pub struct Redis {
    url: String,
    /// None if it has no certificate.
    ca_file: Option<PathBuf>,
    /// None if others started it.
    server: Option<Server>,
}

impl Redis {
    /// Starts a Redis, and waits until it answers.
    pub fn start() -> Result<Redis, ServerError> {
        match variable("REDIS_URL") {
            Some(url) => Ok(Redis { url: url.to_string_lossy().into_owned(), ca_file: None, server: None }),
            None => Redis::start_with(&RedisOptions::default()),
        }
    }

    /// Starts a Redis that differs from others, and waits until it is up. It is always started here, whatever
    /// `REDIS_URL` says.
    pub fn start_with(options: &RedisOptions) -> Result<Redis, ServerError> {
        Redis::start_at(ports::free()?, options)
    }

    fn start_at(port: u16, options: &RedisOptions) -> Result<Redis, ServerError> {
        let dir = server::directory()?;
        let certificate = options.tls.then(|| Certificate::make(dir.path())).transpose()?;
        let address = format!("127.0.0.1:{port}");
        let url = options.url(&address);
        let plan = Plan {
            name: NAME,
            address,
            line: options.line(port, certificate.as_ref()),
            is_up: if options.tls { is_up_behind_tls } else { is_up },
            up_within: Duration::from_secs(20),
        };
        let ca_file = certificate.map(|certificate| certificate.authority);
        Ok(Redis { url, ca_file, server: Some(Server::start(plan, dir)?) })
    }

    /// Where it is, as clients are told it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate, in PEM, of the authority that a client has to trust if this is behind TLS. The file is there
    /// for as long as this is.
    pub fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// Host and port, for a proxy.
    pub fn address(&self) -> &str {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let rest = rest.split(['/', '?']).next().unwrap_or(rest);
        rest.rsplit('@').next().unwrap_or(rest)
    }
}

impl Control for Redis {
    fn server(&mut self) -> Result<&mut Server, ServerError> {
        let url = &self.url;
        self.server.as_mut().ok_or_else(|| ServerError::Foreign { server: NAME, address: url.clone() })
    }
}

fn is_up(address: &str, _log: &Path) -> bool {
    question::answers(address)
}

fn is_up_behind_tls(address: &str, _log: &Path) -> bool {
    question::speaks_tls(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redis_of_others_is_left_alone() {
        let user = "me:secret";
        let mut redis = Redis { url: format!("redis://{user}@example.org:6380/2"), ca_file: None, server: None };
        assert_eq!(redis.address(), "example.org:6380");
        for outcome in [redis.stop(), redis.kill(), redis.start_again(), redis.pause(), redis.resume()] {
            assert!(matches!(outcome, Err(ServerError::Foreign { .. })), "{outcome:?}");
        }
    }
}

//! A Redis.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use crate::control::Control;
use crate::environment::variable;
use crate::error::ServerError;
use crate::ports;
use crate::server::{self, Plan, Server};

const NAME: &str = "Redis";

/// A Redis that writes nothing to disk: when it ends, what it held is gone.
///
/// If the environment variable `REDIS_URL` is set, it is the Redis of that address, which cannot be stopped or
/// paused, and may hold what others put there.
#[derive(Debug)]
pub struct Redis {
    url: String,
    /// None if others started it.
    server: Option<Server>,
}

impl Redis {
    /// Starts a Redis, and waits until it answers.
    pub fn start() -> Result<Redis, ServerError> {
        if let Some(url) = variable("REDIS_URL") {
            return Ok(Redis { url: url.to_string_lossy().into_owned(), server: None });
        }
        let port = ports::free()?.to_string();
        let address = format!("127.0.0.1:{port}");
        let line = ["redis-server", "--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"];
        let plan = Plan {
            name: NAME,
            address: address.clone(),
            line: line.into_iter().map(Into::into).collect(),
            is_up,
            up_within: Duration::from_secs(20),
        };
        let server = Server::start(plan, server::directory()?)?;
        Ok(Redis { url: format!("redis://{address}"), server: Some(server) })
    }

    /// Where it is, as clients are told it.
    pub fn url(&self) -> &str {
        &self.url
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
    let Ok(mut connection) = TcpStream::connect(address) else { return false };
    let mut answer = [0; 5];
    let asked = connection
        .set_read_timeout(Some(Duration::from_secs(1)))
        .and_then(|()| connection.write_all(b"PING\r\n"))
        .and_then(|()| connection.read_exact(&mut answer));
    asked.is_ok() && answer == *b"+PONG"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redis_of_others_is_left_alone() {
        let user = "me:secret";
        let mut redis = Redis { url: format!("redis://{user}@example.org:6380/2"), server: None };
        assert_eq!(redis.address(), "example.org:6380");
        for outcome in [redis.stop(), redis.kill(), redis.start_again(), redis.pause(), redis.resume()] {
            assert!(matches!(outcome, Err(ServerError::Foreign { .. })), "{outcome:?}");
        }
    }
}

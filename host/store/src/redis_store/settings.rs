//! How a Redis is found.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{ConnectionInfo, IntoConnectionInfo};

use crate::error::StoreError;

/// A connection is given up after so long without an answer of the other system: it may be gone without a word.
const SILENCE: Duration = Duration::from_secs(15);

/// How a Redis, or a cluster of them, is found and used.
#[derive(Clone)]
pub struct RedisSettings {
    /// The addresses of the Redis, or of some nodes of a cluster: `redis://` and host, port and number of the database, or `rediss://` behind TLS. They
    /// may name a user and a password.
    pub urls: Vec<String>,
    /// Whether they are nodes of a cluster.
    pub cluster: bool,
    /// The user, where the addresses name none; empty for that of the addresses or none.
    pub user: String,
    /// The user's password, likewise.
    pub password: String,
    /// The file of the certificates that a server's is checked by, in PEM; without one, those of the system.
    pub ca_file: Option<PathBuf>,
    /// What the names of all keys begin with, so that others may use the same Redis.
    pub prefix: String,
    /// How long one answer, or one connection, may take.
    pub timeout: Duration,
}

impl RedisSettings {
    /// Settings for one Redis.
    pub fn new(url: impl Into<String>) -> Self {
        RedisSettings {
            urls: vec![url.into()],
            cluster: false,
            user: String::new(),
            password: String::new(),
            ca_file: None,
            prefix: "trifold".to_owned(),
            timeout: Duration::from_secs(2),
        }
    }

    /// What to connect to.
    pub(crate) fn nodes(&self) -> Result<Vec<ConnectionInfo>, StoreError> {
        if self.urls.is_empty() {
            return Err(no_address());
        }
        if self.urls.len() > 1 && !self.cluster {
            return Err(setting("several addresses are given, which only a cluster has"));
        }
        if self.prefix.contains(['{', '}']) {
            return Err(setting(
                "the prefix of keys may not contain { or }, which say where a cluster keeps a key",
            ));
        }
        let node = |url: &String| {
            let info = url.as_str().into_connection_info();
            // The library's message does not repeat the address, which may hold a password.
            let info = info.map_err(|error| setting(format!("an address of a Redis cannot be used: {error}")))?;
            let mut login = info.redis_settings().clone();
            if login.username().is_none() && !self.user.is_empty() {
                login = login.set_username(&self.user);
            }
            if login.password().is_none() && !self.password.is_empty() {
                login = login.set_password(&self.password);
            }
            let tcp = TcpSettings::default().set_nodelay(true).set_user_timeout(SILENCE);
            Ok(info.set_redis_settings(login).set_tcp_settings(tcp))
        };
        self.urls.iter().map(node).collect()
    }

    /// The certificates that a server's is checked by.
    pub(crate) fn certificates(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let read = self.ca_file.as_ref().map(|path| {
            std::fs::read(path).map_err(|error| setting(format!("cannot read {}: {error}", path.display())))
        });
        read.transpose()
    }
}

/// Nothing says where the Redis is.
pub(crate) fn no_address() -> StoreError {
    setting("no address of a Redis is given")
}

fn setting(problem: impl Into<String>) -> StoreError {
    StoreError::Setting { problem: problem.into() }
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Addresses may hold passwords.
        f.debug_struct("RedisSettings").field("cluster", &self.cluster).field("prefix", &self.prefix).finish()
    }
}

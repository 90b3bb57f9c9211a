//! A schema registry.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use crate::control::Control;
use crate::environment::variable;
use crate::error::ServerError;
use crate::jars::SCHEMA_REGISTRY;
use crate::ports;
use crate::server::{self, Plan, Server};

/// Small, and compiled no better than takes little time: a registry of a test lives for seconds.
const JAVA: [&str; 5] = ["java", "-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// Where its API is that is Confluent's.
const PATH: &str = "/apis/ccompat/v7";

/// A schema registry (Apicurio's) with the API of Confluent's, which keeps what it is told in memory: when it ends, that
/// is gone.
///
/// If the environment variable `SCHEMA_REGISTRY_URL` is set, it is the registry of that address, which cannot be stopped
/// or paused, and may hold what others put there.
#[derive(Debug)]
pub struct SchemaRegistry {
    url: String,
    /// None if others started it.
    server: Option<Server>,
}

impl SchemaRegistry {
    /// Starts a registry, and waits until it answers.
    pub fn start() -> Result<SchemaRegistry, ServerError> {
        if let Some(url) = variable("SCHEMA_REGISTRY_URL") {
            return Ok(SchemaRegistry { url: url.to_string_lossy().into_owned(), server: None });
        }
        let name = format!("apicurio-registry-app-{}-runner.jar", SCHEMA_REGISTRY.version());
        let program = SCHEMA_REGISTRY.folder()?.join(name);
        let port = ports::free()?;
        let address = format!("127.0.0.1:{port}");
        let mut line: Vec<OsString> = JAVA.into_iter().map(OsString::from).collect();
        line.extend(["-Dquarkus.http.host=127.0.0.1".into(), format!("-Dquarkus.http.port={port}").into()]);
        line.extend(["-jar".into(), program.into_os_string()]);
        let plan = Plan {
            name: SCHEMA_REGISTRY.server,
            address: address.clone(),
            line,
            is_up,
            up_within: Duration::from_secs(60),
        };
        let server = Server::start(plan, server::directory()?)?;
        Ok(SchemaRegistry { url: format!("http://{address}{PATH}"), server: Some(server) })
    }

    /// Its address, as clients are told it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Host and port, for a proxy.
    pub fn address(&self) -> &str {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }

    /// Sends it JSON, and returns what comes back.
    pub fn post(&self, path: &str, body: &str) -> Result<String, ServerError> {
        let address = self.address();
        let base = self.url.split_once(address).map_or("", |(_, base)| base);
        let head = format!("POST {base}{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        let head = format!("{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        let mut answer = String::new();
        let asked = TcpStream::connect(address).and_then(|mut connection| {
            connection.write_all(format!("{head}{body}").as_bytes())?;
            connection.read_to_string(&mut answer)
        });
        asked.map_err(|source| ServerError::Io { what: format!("ask {address}"), source })?;
        Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    }
}

impl Control for SchemaRegistry {
    fn server(&mut self) -> Result<&mut Server, ServerError> {
        let (server, url) = (SCHEMA_REGISTRY.server, &self.url);
        self.server.as_mut().ok_or_else(|| ServerError::Foreign { server, address: url.clone() })
    }
}

fn is_up(address: &str, _log: &Path) -> bool {
    let Ok(mut connection) = TcpStream::connect(address) else { return false };
    let question = format!("GET {PATH}/subjects HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut answer = [0; 12];
    let asked = connection
        .set_read_timeout(Some(Duration::from_secs(5)))
        .and_then(|()| connection.write_all(question.as_bytes()))
        .and_then(|()| connection.read_exact(&mut answer));
    asked.is_ok() && answer == *b"HTTP/1.1 200"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_of_others_is_left_alone() {
        let url = "https://example.org:8081/api".to_owned();
        let mut registry = SchemaRegistry { url, server: None };
        assert_eq!(registry.address(), "example.org:8081");
        for outcome in
            [registry.stop(), registry.kill(), registry.start_again(), registry.pause(), registry.resume()]
        {
            assert!(matches!(outcome, Err(ServerError::Foreign { .. })), "{outcome:?}");
        }
    }
}

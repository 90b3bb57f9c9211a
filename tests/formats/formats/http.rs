//! Telling a registry what it should have.

use std::io::{Read, Write};
use std::net::TcpStream;

use trifold_test_servers::SchemaRegistry;

/// Sends JSON, and returns what comes back.
pub(crate) fn post(registry: &SchemaRegistry, path: &str, body: &str) -> String {
    let address = registry.address();
    let base = registry.url().split_once(address).unwrap().1;
    let mut connection = TcpStream::connect(address).unwrap();
    let head = format!("POST {base}{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    let head = format!("{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    connection.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

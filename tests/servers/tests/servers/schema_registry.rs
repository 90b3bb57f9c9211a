//! A schema registry, asked over HTTP.

use std::io::{Read, Write};

use trifold_test_servers::{Control, SchemaRegistry};

use crate::{check_silent, connect, is_refused};

/// What comes back, from the status on.
fn ask(registry: &SchemaRegistry, method: &str, path: &str, body: &str) -> String {
    let (address, base) = (registry.address(), registry.url().split(registry.address()).nth(1).unwrap());
    let mut connection = connect(address);
    let head = format!("{method} {base}{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    let head = format!("{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    connection.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer.trim_start_matches("HTTP/1.1 ").to_owned()
}

#[test]
fn a_registry_has_what_it_was_told_until_it_ends() {
    let mut registry = SchemaRegistry::start().unwrap();
    assert!(ask(&registry, "GET", "/schemas/ids/1", "").starts_with("404"));
    let told = ask(&registry, "POST", "/subjects/a/versions", "{\"schema\":\"\\\"int\\\"\"}");
    assert!(told.starts_with("200") && told.ends_with("{\"id\":1}"), "{told}");
    let has = ask(&registry, "GET", "/schemas/ids/1", "");
    assert!(has.starts_with("200") && has.contains("{\"schema\":\"\\\"int\\\"\""), "{has}");

    registry.pause().unwrap();
    let mut connection = connect(registry.address());
    connection.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    check_silent(&connection);
    registry.resume().unwrap();
    connection.read_exact(&mut [0]).unwrap();

    registry.stop().unwrap();
    assert!(is_refused(registry.address()));
    registry.start_again().unwrap();
    assert!(ask(&registry, "GET", "/schemas/ids/1", "").starts_with("404"));
    registry.kill().unwrap();
    assert!(is_refused(registry.address()));
}

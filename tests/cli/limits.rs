//! The limits of the server, as they are configured, watched and told.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use trifold_cli::exit::Exit;
use trifold_tests::command::Trifold;
use trifold_tests::flights;

use crate::site::{empty, with_views};

const GET: [&str; 4] = ["get", "flight_profile", "--key", "carrier=UA,flight=1545"];

#[test]
fn limits_that_cannot_be_are_refused() {
    let trifold = empty();
    let wrong = "[server]\ncells-max = 0\nqueue-ms = 0\nconcurrency = -1\nqueue = \"long\"\ncaller-rate = 0.5
        receive-ms = 0\nreceive-mib = 0\nconnections-max = 0\nconnection-requests-max = 0\nhandshake-ms = 0\n";
    fs::write(trifold.path("trifold.toml"), wrong).unwrap();
    let parts = [
        "server.cells-max: it must be at least 1",
        "server.queue-ms: it must be at least 1",
        "server.concurrency",
        "server.queue:",
        "server.caller-rate",
        "server.receive-ms: it must be at least 1",
        "server.receive-mib: it must be at least 1",
        "server.connections-max: it must be at least 1",
        "server.connection-requests-max: it must be at least 1",
        "server.handshake-ms: it must be at least 1",
    ];
    trifold.run(["config"]).refused(Exit::Usage, &parts);
    trifold.run([&GET[..], &["--deadline-ms", "0"]].concat()).refused(Exit::Usage, &["--deadline-ms"]);
}

/// A data directory with some events applied.
fn applied() -> Trifold {
    let trifold = with_views();
    trifold.run(["stream", "--events", flights().to_str().unwrap(), "--stop-at", "100"]).succeeded();
    trifold
}

fn metrics(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_caller_is_told_of_limits_and_whoever_watches_sees_them() {
    let trifold = applied();
    let text = "[server]\ncaller-rate = 1\ncaller-burst = 3600\ncells-max = 3\n";
    fs::write(trifold.path("trifold.toml"), text).unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let running = trifold.start(["serve", "--metrics", &address]);
    let get = |arguments: &[&str]| trifold.run([&GET[..1], arguments, &["--server", &running.url]].concat());
    let one = ["flight_profile.route", "--key", GET[3]];
    get(&one).succeeded();
    get(&GET[1..]).refused(Exit::Usage, &["`cells-max`", "ResourceExhausted"]);
    // What is left of it is less than it takes to say so, so that it is over at once.
    let overdue = get(&[&one[..], &["--deadline-ms", "1"]].concat());
    overdue.refused(Exit::Unavailable, &["did not answer within 1 ms"]);
    let seen = metrics(&address);
    for line in [
        "trifold_server_requests_answered_total 1",
        "trifold_server_requests_computing 0",
        "trifold_server_connections",
    ] {
        assert!(seen.contains(line), "`{line}` is missing: {seen}");
    }
    running.kill();
}

#[test]
fn a_caller_that_asks_too_often_is_told_when_to_ask_again() {
    let trifold = applied();
    fs::write(trifold.path("trifold.toml"), "[server]\ncaller-rate = 1\ncaller-burst = 1\n").unwrap();
    let running = trifold.start(["serve"]);
    let address = running.url.clone();
    // As many at once as it takes for two to come within a second.
    let line = [&GET[..], &["--server", &address]].concat();
    let refused = loop {
        let asked: Vec<_> = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..4).map(|_| scope.spawn(|| trifold.run(&line))).collect();
            asking.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        if let Some(refused) = asked.into_iter().find(|ran| ran.code != Some(0)) {
            break refused;
        }
    };
    refused
        .refused(Exit::Unavailable, &["more than 1 times a second", "`caller-rate`", "it may be asked again in"]);
    running.kill();
}

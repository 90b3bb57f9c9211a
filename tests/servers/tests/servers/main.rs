//! The servers that other tests rely on do what is said of them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail where they stand")]

mod kafka;
mod killed;
mod proxy;
mod redis;
mod redis_cluster;
mod redis_options;
mod s3;
mod schema_registry;

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// What is expected to come comes within; it is long, as machines of tests may be busy.
const COMES_WITHIN: Duration = Duration::from_secs(20);
/// What is expected not to come would have come within.
const STAYS_AWAY: Duration = Duration::from_millis(300);

/// A connection that says when something it waits for does not come.
#[track_caller]
fn connect(address: &str) -> TcpStream {
    let connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(COMES_WITHIN)).unwrap();
    connection
}

fn is_refused(address: &str) -> bool {
    TcpStream::connect(address).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Fails if anything comes, or the connection is closed.
#[track_caller]
fn check_silent(mut connection: &TcpStream) {
    connection.set_read_timeout(Some(STAYS_AWAY)).unwrap();
    let kind = connection.read(&mut [0]).unwrap_err().kind();
    assert!([io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut].contains(&kind), "{kind:?}");
    connection.set_read_timeout(Some(COMES_WITHIN)).unwrap();
}

/// Fails unless the other side has closed the connection.
#[track_caller]
fn check_closed(mut connection: &TcpStream) {
    match connection.read(&mut [0]) {
        Ok(length) => assert_eq!(length, 0),
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
    }
}

/// Sends bytes and reads as many as are expected.
#[track_caller]
fn check_answer(mut connection: &TcpStream, question: &str, answer: &str) {
    connection.write_all(question.as_bytes()).unwrap();
    let mut bytes = vec![0; answer.len()];
    connection.read_exact(&mut bytes).unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes), answer);
}

/// Waits until something holds.
#[track_caller]
fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < COMES_WITHIN, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

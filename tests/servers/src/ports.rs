//! Free ports of this machine.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::error::ServerError;

/// Systems give the ports above to outgoing connections. One of those could take the port of a server that is down,
/// and a client that tries again and again to reach it could even end up connected to itself.
const FIRST: u16 = 12_000;
const LAST: u16 = 31_999;
const COUNT: u16 = LAST - FIRST + 1;

/// A port that nobody listens at. No two calls of one process return the same until all were tried; those of other
/// processes begin elsewhere, so that what they took and do not listen at yet is hardly met.
pub(crate) fn free() -> Result<u16, ServerError> {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let next = NEXT.get_or_init(|| {
        let [low, high, ..] = RandomState::new().hash_one(()).to_le_bytes();
        AtomicU16::new(u16::from_le_bytes([low, high]))
    });
    let ports = (0..COUNT).map(|_| FIRST + next.fetch_add(1, Ordering::Relaxed) % COUNT);
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    ports.into_iter().find(is_free).ok_or(ServerError::NoPort { first: FIRST, last: LAST })
}

/// An address of this machine that nobody listens at, as in `127.0.0.1:12345`; for a process that does not tell which
/// port it took.
pub fn free_address() -> Result<String, ServerError> {
    Ok(format!("{}:{}", Ipv4Addr::LOCALHOST, free()?))
}

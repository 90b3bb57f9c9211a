//! A proxy before a server that says what it was told.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use trifold_test_servers::Proxy;

use crate::{check_answer, check_closed, check_silent, connect, is_refused};

/// The address of a server that repeats what it is told. It ends with the process.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            thread::spawn(move || std::io::copy(&mut &connection, &mut &connection));
        }
    });
    address
}

#[test]
fn a_proxy_passes_on_every_byte_and_the_end() {
    let proxy = Proxy::start(&echo()).unwrap();
    let connection = connect(proxy.address());
    let sent: Vec<u8> = (0..1_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let mut came = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            (&connection).write_all(&sent).unwrap();
            connection.shutdown(Shutdown::Write).unwrap();
        });
        (&connection).read_to_end(&mut came).unwrap();
    });
    assert!(came == sent, "{} of {} bytes came, or others", came.len(), sent.len());
}

#[test]
fn a_proxy_that_is_cut_closes_and_refuses_until_it_is_mended() {
    let mut proxy = Proxy::start(&echo()).unwrap();
    let connections = [connect(proxy.address()), connect(proxy.address())];
    connections.iter().for_each(|connection| check_answer(connection, "before", "before"));
    proxy.cut();
    connections.iter().for_each(|connection| check_closed(connection));
    assert!(is_refused(proxy.address()));
    proxy.cut();
    proxy.mend().unwrap();
    proxy.mend().unwrap();
    check_answer(&connect(proxy.address()), "after", "after");
}

#[test]
fn a_proxy_holds_bytes_back() {
    const DELAY: Duration = Duration::from_millis(400);
    let proxy = Proxy::start(&echo()).unwrap();
    let mut connection = connect(proxy.address());
    check_answer(&connection, "quick", "quick");
    proxy.delay(DELAY);
    let begun = Instant::now();
    connection.write_all(b"slow").unwrap();
    check_silent(&connection);
    check_answer(&connection, "", "slow");
    assert!(begun.elapsed() >= DELAY * 2, "there and back took {:?}", begun.elapsed());
    proxy.delay(Duration::ZERO);
    check_answer(&connection, "quick", "quick");
}

#[test]
fn what_is_held_back_when_a_proxy_is_cut_is_lost() {
    let mut proxy = Proxy::start(&echo()).unwrap();
    let mut connection = connect(proxy.address());
    check_answer(&connection, "before", "before");
    proxy.delay(Duration::from_millis(400));
    connection.write_all(b"lost").unwrap();
    check_silent(&connection);
    proxy.cut();
    check_closed(&connection);
}

//! A broker, asked in its own protocol.

use std::io::{Read, Write};
use std::net::TcpStream;

use trifold_test_servers::{Control, Kafka, ServerError};

use crate::{check_closed, check_silent, connect, is_refused};

const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;

/// Sends a request in version 0 of its kind.
#[track_caller]
fn ask(mut connection: &TcpStream, kind: i16, body: &[u8]) {
    const CORRELATION: i32 = 7;
    const NO_CLIENT_ID: i16 = -1;
    let mut request = Vec::new();
    request.extend(kind.to_be_bytes());
    request.extend(0_i16.to_be_bytes());
    request.extend(CORRELATION.to_be_bytes());
    request.extend(NO_CLIENT_ID.to_be_bytes());
    request.extend(body);
    let length = i32::try_from(request.len()).unwrap();
    connection.write_all(&[length.to_be_bytes().as_slice(), &request].concat()).unwrap();
}

/// Reads a response, without what it repeats of the request.
#[track_caller]
fn response(mut connection: &TcpStream) -> Vec<u8> {
    let mut length = [0; 4];
    connection.read_exact(&mut length).unwrap();
    let mut response = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
    connection.read_exact(&mut response).unwrap();
    response.split_off(4)
}

/// Asks which requests the broker knows. Its answer begins with an error code of zero and many of them.
#[track_caller]
fn check_answers(connection: &TcpStream) {
    ask(connection, API_VERSIONS, &[]);
    check_versions(connection);
}

#[track_caller]
fn check_versions(connection: &TcpStream) {
    let response = response(connection);
    let (error, kinds) = (&response[..2], i32::from_be_bytes(response[2..6].try_into().unwrap()));
    assert_eq!(error, [0, 0]);
    assert!(kinds > 30, "{kinds} kinds of requests");
}

/// The address that a broker sends clients to who came through this connection.
#[track_caller]
fn advertised(connection: &TcpStream) -> String {
    const ALL_TOPICS: i32 = 0;
    ask(connection, METADATA, &ALL_TOPICS.to_be_bytes());
    let response = response(connection);
    let (counts, rest) = response.split_at(10);
    let [0, 0, 0, 1, 0, 0, 0, 1, high, low] = counts else { panic!("not one broker of id 1: {counts:?}") };
    let (host, rest) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
    let port = i32::from_be_bytes(rest[..4].try_into().unwrap());
    format!("{}:{port}", String::from_utf8_lossy(host))
}

#[test]
fn a_broker_is_killed_paused_and_started_again_at_one_address() {
    let mut kafka = Kafka::start().unwrap();
    let address = kafka.bootstrap().to_owned();
    let connection = connect(&address);
    check_answers(&connection);
    assert_eq!(advertised(&connection), address);
    assert!(matches!(kafka.start_again(), Err(ServerError::Running { .. })));

    kafka.kill().unwrap();
    check_closed(&connection);
    assert!(is_refused(&address));
    assert!(matches!(kafka.pause(), Err(ServerError::NotRunning { .. })));

    kafka.start_again().unwrap();
    assert_eq!(kafka.bootstrap(), address);
    let connection = connect(&address);
    check_answers(&connection);

    kafka.pause().unwrap();
    ask(&connection, API_VERSIONS, &[]);
    check_silent(&connection);
    kafka.resume().unwrap();
    check_versions(&connection);

    kafka.restart().unwrap();
    check_answers(&connect(&address));
    drop(kafka);
    assert!(is_refused(&address));
}

#[test]
fn a_broker_sends_clients_back_to_the_proxy_that_they_came_through() {
    let (kafka, mut proxy) = Kafka::start_behind_proxy().unwrap();
    let (direct, through) = (connect(kafka.bootstrap()), connect(proxy.address()));
    check_answers(&through);
    assert_eq!(advertised(&through), proxy.address());
    assert_eq!(advertised(&direct), kafka.bootstrap());

    proxy.cut();
    check_closed(&through);
    assert!(is_refused(proxy.address()));
    check_answers(&direct);

    proxy.mend().unwrap();
    check_answers(&connect(proxy.address()));
}

//! A Redis, asked in its own protocol.

use std::io::Write;

use trifold_test_servers::{Control, Proxy, Redis, ServerError};

use crate::{check_answer, check_closed, check_silent, connect, is_refused};

#[test]
fn a_redis_answers_and_is_empty_when_it_was_started_again() {
    let mut redis = Redis::start().unwrap();
    let address = redis.address().to_owned();
    assert_eq!(redis.url(), format!("redis://{address}"));
    let connection = connect(&address);
    check_answer(&connection, "PING\r\n", "+PONG\r\n");
    check_answer(&connection, "SET key value\r\n", "+OK\r\n");
    check_answer(&connection, "GET key\r\n", "$5\r\nvalue\r\n");

    redis.kill().unwrap();
    check_closed(&connection);
    assert!(is_refused(&address));
    assert!(matches!(redis.kill(), Err(ServerError::NotRunning { .. })));

    redis.start_again().unwrap();
    let connection = connect(&address);
    check_answer(&connection, "GET key\r\n", "$-1\r\n");
    check_answer(&connection, "SET key value\r\n", "+OK\r\n");
    redis.restart().unwrap();
    check_answer(&connect(&address), "GET key\r\n", "$-1\r\n");
}

#[test]
fn a_paused_redis_answers_when_it_is_resumed() {
    let mut redis = Redis::start().unwrap();
    let mut connection = connect(redis.address());
    check_answer(&connection, "PING\r\n", "+PONG\r\n");
    redis.pause().unwrap();
    connection.write_all(b"PING\r\n").unwrap();
    check_silent(&connection);
    redis.resume().unwrap();
    check_answer(&connection, "", "+PONG\r\n");
    redis.pause().unwrap();
    redis.stop().unwrap();
    assert!(is_refused(redis.address()));
}

#[test]
fn a_redis_is_reached_through_a_proxy_before_and_after_it_was_killed() {
    let mut redis = Redis::start().unwrap();
    let proxy = Proxy::start(redis.address()).unwrap();
    let connection = connect(proxy.address());
    check_answer(&connection, "PING\r\n", "+PONG\r\n");
    redis.kill().unwrap();
    check_closed(&connection);
    check_closed(&connect(proxy.address()));
    redis.start_again().unwrap();
    check_answer(&connect(proxy.address()), "PING\r\n", "+PONG\r\n");
}

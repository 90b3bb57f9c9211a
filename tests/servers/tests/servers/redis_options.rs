//! A Redis that not everybody may ask, or that is set up otherwise.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use trifold_test_servers::{Control, Redis, RedisOptions, ServerError};

use crate::{check_answer, connect, is_refused};

/// Asks through TLS, as a client that trusts one authority and looks at the host.
fn ask_through_tls(address: &str, ca_file: &Path, question: &str) -> Output {
    let mut client = Command::new("openssl");
    client.args(["s_client", "-quiet", "-verify_return_error", "-verify_ip", "127.0.0.1", "-connect", address]);
    client.arg("-CAfile").arg(ca_file).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = client.spawn().unwrap();
    // One that does not trust the server may have ended before it is told.
    let _ = client.stdin.as_mut().unwrap().write_all(format!("{question}QUIT\r\n").as_bytes());
    client.wait_with_output().unwrap()
}

#[track_caller]
fn check_through_tls(redis: &Redis, question: &str, answer: &str) {
    let output = ask_through_tls(redis.address(), redis.ca_file().unwrap(), question);
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{answer}+OK\r\n"), "{output:?}");
}

#[track_caller]
fn check_not_in_plain(address: &str) {
    let mut connection = connect(address);
    connection.write_all(b"PING\r\n").unwrap();
    let mut answer = Vec::new();
    // That it is reset is as good as that it ends.
    let _ = connection.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"+"), "{answer:?}");
}

#[test]
fn a_redis_behind_tls_answers_who_trusts_its_authority_and_nobody_in_plain() {
    let mut redis = Redis::start_with(&RedisOptions::default().tls()).unwrap();
    let address = redis.address().to_owned();
    assert_eq!(redis.url(), format!("rediss://{address}"));
    check_through_tls(&redis, "SET key value\r\nGET key\r\n", "+OK\r\n$5\r\nvalue\r\n");
    check_not_in_plain(&address);

    let other = Redis::start_with(&RedisOptions::default().tls()).unwrap();
    let output = ask_through_tls(&address, other.ca_file().unwrap(), "PING\r\n");
    assert!(output.stdout.is_empty() && !output.status.success(), "{output:?}");

    redis.kill().unwrap();
    assert!(is_refused(&address));
    redis.start_again().unwrap();
    check_through_tls(&redis, "GET key\r\n", "$-1\r\n");
}

#[test]
fn a_redis_with_a_user_lets_in_who_knows_the_password() {
    let mut redis = Redis::start_with(&RedisOptions::default().user("trifold", "secret")).unwrap();
    let address = redis.address().to_owned();
    let user = "trifold:secret";
    assert_eq!(redis.url(), format!("redis://{user}@{address}"));
    assert_eq!(redis.ca_file(), None);
    for _ in ["started", "started again"] {
        let connection = connect(&address);
        check_answer(&connection, "SET key value\r\n", "-NOAUTH Authentication required.\r\n");
        let wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
        check_answer(&connection, "AUTH trifold wrong\r\n", wrong);
        check_answer(&connection, "AUTH default secret\r\n", wrong);
        check_answer(&connection, "PING\r\n", "-NOAUTH Authentication required.\r\n");
        check_answer(&connection, "AUTH trifold secret\r\n", "+OK\r\n");
        check_answer(&connection, "SET key value\r\n", "+OK\r\n");
        redis.restart().unwrap();
    }
}

#[test]
fn a_redis_behind_tls_may_have_a_user() {
    let redis = Redis::start_with(&RedisOptions::default().tls().user("trifold", "se>c ret")).unwrap();
    let user = "trifold:se%3Ec%20ret";
    assert_eq!(redis.url(), format!("rediss://{user}@{}", redis.address()));
    check_through_tls(&redis, "AUTH trifold \"se>c ret\"\r\nPING\r\n", "+OK\r\n+PONG\r\n");
}

#[test]
fn a_redis_is_set_up_as_it_was_asked_for() {
    let options = RedisOptions::default().setting("maxmemory-policy", "allkeys-lru").setting("save", "60 1");
    let redis = Redis::start_with(&options).unwrap();
    let connection = connect(redis.address());
    let answer = "*2\r\n$16\r\nmaxmemory-policy\r\n$11\r\nallkeys-lru\r\n";
    check_answer(&connection, "CONFIG GET maxmemory-policy\r\n", answer);
    check_answer(&connection, "CONFIG GET save\r\n", "*2\r\n$4\r\nsave\r\n$4\r\n60 1\r\n");

    let refused = Redis::start_with(&RedisOptions::default().setting("no-such-setting", "1")).unwrap_err();
    assert!(matches!(&refused, ServerError::Died { log, .. } if log.contains("no-such-setting")), "{refused}");
}

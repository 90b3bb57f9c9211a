//! An object store, asked over HTTP.

use std::fs;
use std::io::{Read, Write};
use std::sync::Barrier;
use std::thread;

use trifold_test_servers::{Control, S3};

use crate::{check_silent, connect, is_refused};

/// What comes back, from the status on.
fn ask(s3: &S3, method: &str, path: &str, headers: &str, body: &str) -> String {
    let mut connection = connect(s3.address());
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}", s3.address());
    let head = format!("{head}Content-Length: {}\r\n\r\n", body.len());
    connection.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer.trim_start_matches("HTTP/1.1 ").to_owned()
}

#[test]
fn an_object_store_has_what_it_was_told() {
    let mut s3 = S3::start_unsigned().unwrap();
    let bucket = s3.bucket("tests").unwrap();
    assert!(ask(&s3, "PUT", "/tests/of/mine", "", "one").starts_with("200"));
    assert_eq!(fs::read(bucket.join("of/mine")).unwrap(), b"one");
    assert!(ask(&s3, "GET", "/other/of/mine", "", "").contains("<Code>NoSuchBucket</Code>"));

    s3.pause().unwrap();
    let mut connection = connect(s3.address());
    connection.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    check_silent(&connection);
    s3.resume().unwrap();
    connection.read_exact(&mut [0]).unwrap();

    s3.stop().unwrap();
    assert!(is_refused(s3.address()));
    s3.start_again().unwrap();
    assert!(ask(&s3, "GET", "/tests/of/mine", "", "").ends_with("one"));
    s3.kill().unwrap();
    assert!(is_refused(s3.address()));
}

#[test]
fn of_those_who_put_what_is_not_there_one_does() {
    const ROUNDS: usize = 50;
    const AT_ONCE: usize = 8;
    let s3 = S3::start_unsigned().unwrap();
    s3.bucket("tests").unwrap();
    for round in 0..ROUNDS {
        let together = Barrier::new(AT_ONCE);
        let answers: Vec<_> = thread::scope(|scope| {
            let put = |number: usize| {
                together.wait();
                ask(&s3, "PUT", &format!("/tests/{round}"), "If-None-Match: *\r\n", &number.to_string())
            };
            let all: Vec<_> = (0..AT_ONCE).map(|number| scope.spawn(move || (number, put(number)))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let done: Vec<_> = answers.iter().filter(|(_, answer)| answer.starts_with("200")).collect();
        let [(number, _)] = done.as_slice() else { panic!("{} puts succeeded: {answers:?}", done.len()) };
        assert!(answers.iter().all(|(_, answer)| answer.starts_with("200") || answer.starts_with("412")));
        assert!(ask(&s3, "GET", &format!("/tests/{round}"), "", "").ends_with(&number.to_string()));
    }
}

#[test]
fn who_does_not_sign_is_refused() {
    let s3 = S3::start().unwrap();
    s3.bucket("tests").unwrap();
    assert!(ask(&s3, "PUT", "/tests/any", "", "one").starts_with("403"));
}

//! Requests that do not arrive.

use std::time::Instant;

use trifold_tests::http;
use trifold_tests::online::HTTP_READ;

use crate::site::Site;

#[test]
fn a_body_that_does_not_arrive_is_not_waited_for() {
    let site = Site::new(&[], &[]);
    let begun = Instant::now();
    let head = b"POST /v1/features HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
    let answer = http::answered(&http::raw(&site.server.http, head));
    assert_eq!(answer.status, 408, "{answer:?}");
    assert!(answer.body.contains("DEADLINE_EXCEEDED") && begun.elapsed() >= HTTP_READ, "{answer:?}");
}

#[test]
fn a_head_that_does_not_arrive_is_not_waited_for() {
    let site = Site::new(&[], &[]);
    // It ends at all.
    http::raw(&site.server.http, b"POST /v1/features HTTP/1.1\r\nhost:");
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    let site = Site::new(&[], &[]);
    let body = vec![b' '; (4 << 20) + 1];
    let answer = http::send(&site.server.http, "POST", "/v1/features", &body);
    assert_eq!((answer.status, answer.json()["code"].as_str().unwrap()), (413, "RESOURCE_EXHAUSTED"));
}

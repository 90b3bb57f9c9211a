//! The demo as a process: how it ends where it cannot go on.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::{Command, Output};

const DEMO: &str = env!("CARGO_BIN_EXE_flights-demo");

/// Runs the demo in a directory of the test's own.
fn demo(name: &str, flags: &[&str]) -> Output {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    Command::new(DEMO).args(flags).arg("--out").arg(out).output().unwrap()
}

#[test]
fn a_command_that_fails_ends_the_demo_with_1() {
    // The demo itself knows no command `build`.
    let ended = demo("failing", &["--trifold", DEMO]);
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.starts_with("error: `trifold build ") && said.contains("failed with"), "{said}");
    assert_eq!(ended.status.code(), Some(1));
}

#[test]
fn a_wrong_command_line_ends_with_64() {
    assert_eq!(demo("wrong", &["--faster"]).status.code(), Some(64));
}

//! The command as a process.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use trifold_eventlog::read_row_files;

fn generate(dir: &Path, flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_payments-generator")).args(flags).current_dir(dir).output().unwrap()
}

fn rows(path: &Path) -> usize {
    read_row_files(path, None).unwrap().map(|batch| batch.unwrap().num_rows()).sum()
}

#[test]
fn it_writes_a_log_and_a_spine() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--events", "1000", "--files", "3", "--spine", "labels.parquet", "--spine-rows", "50"];
    let ended = generate(dir.path(), &[&flags[..], &["--out", "log"]].concat());
    let told = String::from_utf8(ended.stdout).unwrap();
    assert!(ended.status.success() && told.starts_with("1000 payments, of them "), "{told}");
    let mut names: Vec<_> =
        fs::read_dir(dir.path().join("log")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    let expected = [0, 1, 2].map(|number| OsString::from(format!("payments-0000{number}.parquet")));
    assert_eq!(names, expected);
    assert_eq!((rows(&dir.path().join("log")), rows(&dir.path().join("labels.parquet"))), (1_000, 50));
    let again = generate(dir.path(), &[&flags[..], &["--out", "again"]].concat());
    assert!(again.status.success());
    for name in names {
        let file = |folder: &str| fs::read(dir.path().join(folder).join(&name)).unwrap();
        assert_eq!(file("log"), file("again"));
    }
    let lines = ["--events", "10", "--format", "jsonl", "--out", "lines"];
    assert!(generate(dir.path(), &lines).status.success());
    let text = fs::read_to_string(dir.path().join("lines/payments-00000.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 10);
    assert!(text.starts_with(r#"{"event_id":"p-1","event_time":"2026-01-01T00:00:00."#), "{text}");
}

#[test]
fn it_says_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("taken"), "").unwrap();
    let cases = [
        (&["--out", "log", "--late", "much"][..], 64, "`much` is no share"),
        (&["--out", "log", "--cards", "0"], 64, "0 cards cannot be generated"),
        (&["--out", "log", "--late", "60%", "--early", "60%"], 64, "more than 100% together"),
        (&["--events", "10"], 64, "--out"),
        (&["--out", "."], 64, "is not empty"),
        (&["--out", "taken"], 74, "cannot read taken"),
        (&["--out", "log", "--events", "10", "--spine", "taken/spine.parquet"], 74, "taken"),
    ];
    for (flags, code, part) in cases {
        let ended = generate(dir.path(), flags);
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(code), "{flags:?}: {said}");
        assert!(said.contains(part), "{flags:?}: {said}");
    }
    let help = String::from_utf8(generate(dir.path(), &["--help"]).stdout).unwrap();
    for part in ["--arrival arrived_at", "Examples:", "Exit codes:", "[default: 1%]"] {
        assert!(help.contains(part), "{part}: {help}");
    }
}

//! Who has a store open.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use trifold_store::{EmbeddedStore, Holder, OnlineStore, StateStore, StoreError};

use crate::fixtures::{STATE, commit, holder, keys, marker, open, place};

const CHILD_STORE: &str = "TRIFOLD_TEST_STORE";

fn holder_file(path: &Path) -> std::path::PathBuf {
    path.with_file_name("online.redb.holder")
}

#[test]
fn a_second_handle_of_the_same_process_is_refused() {
    let (_dir, path) = place();
    let first = EmbeddedStore::open(&path, &holder("trifold up")).unwrap();
    let clone = first.clone();
    let refused = EmbeddedStore::open(&path, &holder("trifold stream")).unwrap_err();
    assert!(refused.is_held());
    assert_eq!(
        refused.to_string(),
        format!(
            "the store {} is in use by process {} (trifold up) since 2013-01-01 00:00:00 UTC; stop it, or use \
             another data directory",
            path.display(),
            std::process::id()
        )
    );
    drop(first);
    assert!(EmbeddedStore::open(&path, &holder("trifold stream")).is_err(), "the clone still has it");
    drop(clone);
    open(&path);
    assert_eq!(fs::read(holder_file(&path)).unwrap(), b"", "nobody has it");
}

#[test]
fn what_is_left_in_the_holder_file_blocks_nobody() {
    let (_dir, path) = place();
    for left in ["", "{\"pid\":1,\"command\":\"trifold up\",\"since-micros\":0}\n", "?", "{\"pid\":"] {
        fs::write(holder_file(&path), left).unwrap();
        let _held = open(&path);
        let text = fs::read_to_string(holder_file(&path)).unwrap();
        let pid = std::process::id();
        assert_eq!(text, format!("{{\"pid\":{pid},\"command\":\"a test\",\"since-micros\":1356998400000000}}\n"));
    }
}

/// Not a test of its own: what the other process does in the test below.
#[test]
fn hold_a_store_until_killed() {
    #[expect(clippy::disallowed_methods, reason = "the parent process names the store this way")]
    let Ok(path) = std::env::var(CHILD_STORE) else { return };
    let store = EmbeddedStore::open(Path::new(&path), &holder("the other process")).unwrap();
    let committed = store.commit(vec![commit(STATE, &keys(3), 6)]);
    futures::FutureExt::now_or_never(committed).unwrap().unwrap();
    let mut out = std::io::stdout();
    out.write_all(b"\nheld\n").unwrap();
    out.flush().unwrap();
    // Until the parent kills this process or ends itself.
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

fn spawn_holder(path: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "holding::hold_a_store_until_killed", "--nocapture"])
        .env(CHILD_STORE, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map(Result::unwrap).any(|line| line == "held"), "the other process did not open the store");
    child
}

#[test]
fn another_process_is_named_and_leaves_its_commits_when_it_is_killed() {
    let (_dir, path) = place();
    let mut child = spawn_holder(&path);
    let expected = Holder { pid: child.id(), ..holder("the other process") };
    let refused = EmbeddedStore::open(&path, &holder("a test")).unwrap_err();
    assert_eq!(refused, StoreError::Held { path: path.clone(), holder: Some(expected) });
    child.kill().unwrap();
    child.wait().unwrap();
    let store = open(&path);
    let marked = futures::FutureExt::now_or_never(store.marker(STATE)).unwrap();
    assert_eq!(marked, Ok(Some(marker(7))));
}

/// Somebody has the database open who writes no holder file.
#[test]
fn an_unknown_holder_is_still_a_holder() {
    let (_dir, path) = place();
    let _database = redb::Database::create(&path).unwrap();
    let refused = EmbeddedStore::open(&path, &holder("a test")).unwrap_err();
    assert_eq!(refused, StoreError::Held { path, holder: None });
    assert!(refused.to_string().contains("in use by another process"));
}

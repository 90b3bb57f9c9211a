//! What must not stand in the sources of some crates.

use crate::{page, source};

/// Uses of maps without an order in host crates: a path and why no order of theirs reaches an output.
const UNORDERED: [(&str, &str); 0] = [];

/// Statics with contents below the runners: a path and why it is no state.
const STATICS: [(&str, &str); 0] = [];

/// The crates below the runners.
fn below_the_runners() -> Vec<String> {
    page::layers().into_iter().skip(2).flatten().map(|name| format!("host/{name}")).collect()
}

fn host_crates() -> Vec<String> {
    page::layers().into_iter().flatten().map(|name| format!("host/{name}")).collect()
}

/// Fails if one of the texts stands in the code of these crates, outside the places that have a reason.
#[track_caller]
fn check_absent(folders: &[String], texts: &[&str], allowed: &[(&str, &str)], why: &str) {
    for source in folders.iter().flat_map(|folder| source::of(folder)) {
        let is_allowed = allowed.iter().any(|(path, _)| *path == source.path);
        for text in texts {
            let found = source.lines_with(text);
            assert!(found.is_empty() || is_allowed, "`{text}` in {}: {why}", found.join(", "));
        }
    }
    for (path, _) in allowed {
        let stands = |text: &&&str| {
            let sources = folders.iter().flat_map(|folder| source::of(folder));
            sources.filter(|source| source.path == *path).any(|source| source.code.contains(**text))
        };
        assert!(texts.iter().any(|text| stands(&text)), "{path} needs no exception any more");
    }
}

#[test]
fn host_crates_use_ordered_maps() {
    let why = "the order of a hash map may reach an output; use a BTreeMap, or give the reason in this test";
    check_absent(&host_crates(), &["HashMap", "HashSet"], &UNORDERED, why);
}

#[test]
fn nobody_below_the_runners_reads_a_clock_or_the_environment() {
    let clocks = ["SystemTime", "Instant::now", "std::env", "env::var", "Utc::now", "rand::"];
    check_absent(&below_the_runners(), &clocks, &[], "take the time and the settings as arguments");
}

#[test]
fn nobody_below_the_runners_keeps_a_global() {
    let globals = ["thread_local!", "static mut ", ": OnceLock<", ": LazyLock<", "static ref "];
    check_absent(&below_the_runners(), &globals, &STATICS, "two values of one process would meet there");
}

/// Runners may wait by the clock, but what time it is enters through the command alone.
#[test]
fn the_time_of_day_is_read_in_one_place() {
    let mut found = Vec::new();
    for source in host_crates().iter().flat_map(|folder| source::of(folder)) {
        found.extend(source.lines_with("SystemTime::now"));
    }
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("host/cli/src/clock.rs:"), "{found:?}");
}

/// What the engine is, only the sandbox knows; what a record looks like on disk, only the store.
#[test]
fn the_model_touches_nothing_outside() {
    let outside = ["std::fs", "std::net", "std::process", "std::thread", "async ", "tokio"];
    check_absent(&["host/model".to_owned()], &outside, &[], "the model does no I/O");
}

//! The model service in Python: what it scores online, a backfill scores offline, bit by bit.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use payments_generator::{Config, write_log};
use trifold_eventlog::RowFormat;
use trifold_tests::command::{Ran, Trifold};
use trifold_tests::guests::component;
use trifold_tests::root;

const PROGRAM: &str = env!("CARGO_BIN_EXE_trifold-under-test");
const EXAMPLE: &str = "examples/payments/python";
const SEED: u64 = 6;
const EVENTS: u64 = 3_600;
/// Payments to train on.
const ROWS: &str = "3000";

/// A Python that reads the example's packages: the one that is set, or that of the environment which `cargo xtask test`
/// made in the target directory that this program lies in.
#[expect(clippy::disallowed_methods, reason = "whoever has the packages elsewhere says where by a variable")]
fn python() -> OsString {
    if let Some(python) = std::env::var_os("TRIFOLD_PYTHON").filter(|python| !python.is_empty()) {
        return python;
    }
    let wanted = fs::read(root().join(EXAMPLE).join("requirements.txt")).unwrap();
    let own = std::env::current_exe().unwrap();
    let mut folders = own.ancestors().map(|ancestor| ancestor.join(EXAMPLE));
    let folder: Option<PathBuf> =
        folders.find(|folder| fs::read(folder.join("requirements.txt")).is_ok_and(|there| there == wanted));
    let folder =
        folder.expect("the packages of the example are not installed: run `cargo xtask test --only python`");
    folder.join("bin/python3").into()
}

#[test]
fn a_model_service_scores_online_what_a_backfill_scores_offline() {
    let trifold = Trifold::new(PROGRAM);
    let config = Config { seed: SEED, events: EVENTS, cards: 100, per_day: EVENTS, ..Config::default() };
    let log = trifold.path("payments");
    write_log(&config, &log, RowFormat::Parquet, 1).unwrap();
    for package in ["card-spend", "card-profile", "payment-risk"] {
        let path = component(package, &[]).path.clone();
        trifold.run(["push", path.to_str().unwrap(), "--release"]).succeeded();
    }
    let mut check = Command::new(python());
    check.arg(root().join(EXAMPLE).join("check.py")).args(["--trifold", PROGRAM, "--rows", ROWS]);
    check.arg("--log").arg(&log).arg("--work").arg(trifold.path("work"));
    // What the command is told by its environment, these are told too.
    let told = trifold.command([""; 0]);
    for (name, value) in told.get_envs() {
        match value {
            Some(value) => check.env(name, value),
            None => check.env_remove(name),
        };
    }
    check.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(trifold.path(""));
    let summary = Ran::of(&mut check).succeeded().json();
    let count = |name: &str| summary[name].as_u64().unwrap_or_else(|| panic!("seed {SEED}: no {name}: {summary}"));
    assert!(count("compared") >= 80 && count("distinct") >= 10, "seed {SEED}: {summary}");
    assert!(count("trained") > 2_900 && count("frauds") >= 20, "seed {SEED}: {summary}");
    assert!(count("refused") >= 1, "seed {SEED}: {summary}");
}

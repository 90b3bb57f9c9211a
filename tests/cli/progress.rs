//! Bars for whoever watches on a terminal, and for nobody else.

use std::process::Command;

use trifold_tests::command::{Ran, Trifold};

use crate::site::{departures, log, parquet, with_views};

/// How a bar makes room for the next, or for what comes after it.
const CLEAR: &str = "\r\u{1b}[2K";

/// Runs a command on a terminal of its own; what it draws there is its output.
fn on_a_terminal(trifold: &Trifold, arguments: &[&str]) -> Ran {
    let command = trifold.command(arguments);
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line: Vec<_> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line.join(" "), "/dev/null"]);
    script.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("COLUMNS", "120");
    Ran::of(script.current_dir(command.get_current_dir().unwrap()))
}

#[test]
fn long_work_shows_how_far_it_is_on_a_terminal_only() {
    const ROWS: usize = 2_000;
    let trifold = with_views();
    parquet(&log(&trifold).join("0.parquet"), &departures(ROWS));
    let log = log(&trifold);
    let events = ["--events", log.to_str().unwrap()];
    let stream = [&["stream"][..], &events].concat();
    let backfill = |out| [&["backfill", "flight_profile", "--out", out][..], &events].concat();
    let audit = [&["audit", "flight_profile"][..], &events].concat();
    let total = "2,000 rows";
    for (watched, piped, label) in [
        (stream.clone(), stream, "stream"),
        (backfill("a"), backfill("b"), "compute"),
        (audit.clone(), audit, "compute"),
    ] {
        let shown = on_a_terminal(&trifold, &watched).succeeded().stdout;
        let (bars, rest) = shown.rsplit_once(CLEAR).unwrap_or_else(|| panic!("no bar: {shown}"));
        assert!(bars.contains(label) && bars.contains(total), "{shown}");
        let ran = trifold.run(&piped).succeeded();
        // What stays on the terminal in the end begins with the line that a pipe gets first.
        assert_eq!(rest.lines().next(), ran.stdout.lines().next(), "{shown}");
        assert!(!ran.stderr.contains(total) && !ran.stdout.contains(total), "{ran:?}");
    }
}

#[test]
fn a_load_shows_what_came_of_it_so_far() {
    let trifold = with_views();
    let running = trifold.start(["serve"]);
    let load = ["loadtest", "flight_profile", "--key", "carrier=UA,flight={1..9}", "--server", &running.url];
    let load = [&load[..], &["--rate", "100", "--duration", "1s"]].concat();
    let shown = on_a_terminal(&trifold, &load).stdout;
    let (bars, rest) = shown.rsplit_once(CLEAR).unwrap_or_else(|| panic!("no bar: {shown}"));
    assert!(bars.contains(" answered, 0 failed, 0 not sent"), "{shown}");
    assert!(rest.starts_with(&format!("flight_profile at {}: 100 requests/s (constant)", running.url)), "{shown}");
    let ran = trifold.run(&load);
    assert!(!ran.stderr.contains("answered") && ran.stdout.contains("100 requests in"), "{ran:?}");
}

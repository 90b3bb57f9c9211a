//! Command lines and configuration that are wrong.

use std::fs;

use trifold_cli::exit::Exit;
use trifold_tests::command::Ran;
use trifold_tests::guests::component;

use crate::site::{departures, empty, log, parquet, with_views};

#[test]
fn every_mistake_of_a_configuration_file_is_named_at_once() {
    let trifold = empty();
    let text = "dat-dir = \"x\"\n[stream]\nstep-rows = \"many\"\nrows-format = \"csv\"\n[servers]\nport = 1
        [server]\nlisten = \"localhost\"\n[cache]\nviews = [\"no view\"]\nmib = -1\n[redis]\nreads-max = 0
        [log]\nfilter = \"=!\"\n";
    fs::write(trifold.path("trifold.toml"), text).unwrap();
    let parts = [
        "the configuration file trifold.toml has errors",
        "dat-dir: unknown key; known here are ",
        "stream.step-rows",
        "stream.rows-format: `csv` is none of parquet, jsonl",
        "servers: unknown key",
        "server.listen: `localhost`: it is no address with a port",
        "cache.views: `no view`: ",
        "cache.mib: ",
        "redis.reads-max: it must be at least 1",
        "log.filter: `=!`",
    ];
    for command in ["config", "views"] {
        trifold.run([command]).refused(Exit::Usage, &parts);
    }
    fs::write(trifold.path("good.toml"), "[stream]\nstep-rows = 7").unwrap();
    let shown = trifold.run(["--config", "good.toml", "config"]).succeeded().stdout;
    assert!(shown.contains("step-rows = 7"), "{shown}");
}

#[test]
fn configuration_files_that_cannot_be_read() {
    let trifold = empty();
    trifold.run(["--config", "none.toml", "config"]).refused(Exit::NotFound, &["none.toml"]);
    trifold.run(["--config", ".", "config"]).refused(Exit::Usage, &["cannot read the configuration file ."]);
    fs::write(trifold.path("trifold.toml"), "data-dir: x").unwrap();
    trifold.run(["config"]).refused(Exit::Usage, &["trifold.toml is not TOML", "line 1"]);
}

#[test]
fn wrong_command_lines() {
    let trifold = empty();
    for (line, parts) in [
        (&["steam"][..], &["steam", "stream"][..]),
        (&[][..], &["Usage"][..]),
        (&["stream"], &["--events"]),
        (&["stream", "--events", "x", "--follow", "--stop-at", "3"], &["--follow", "--stop-at"]),
        (&["stream", "--events", "x", "--step-rows", "few"], &["few", "--step-rows"]),
        (&["stream", "--events", "x", "--checkpoint-interval-ms", "5s"], &["5s", "--checkpoint-interval-ms"]),
        (&["backfill", "v", "--events", "x"], &["--out"]),
        (&["backfill", "v", "--events", "x", "--out", "y", "--as-of-column", "t"], &["--spine"]),
        (&["views", "--format", "yaml"], &["yaml", "text, json"]),
        (&["inspect", "."], &["is a directory"]),
        (&["get", "v", "--key", "k=1", "--server", "https://127.0.0.1:1"], &["other schemes are not supported"]),
        (&["serve", "--listen", "abc"], &["abc", "--listen", "no address with a port"]),
        (&["up", "--events", "x", "--listen", "127.0.0.1:99999"], &["--listen", "no address with a port"]),
        (&["views", "--log", "=!"], &["the log filter `=!` is wrong"]),
        (&["audit", "v", "--events", "x", "--as-of", "0"], &["--online"]),
    ] {
        trifold.run(line).refused(Exit::Usage, parts);
    }
}

#[test]
fn environment_variables_are_named_when_they_are_wrong() {
    let trifold = empty();
    for (line, variable, value) in [
        (&["stream", "--events", "x"][..], "TRIFOLD_STEP_ROWS", "few"),
        (&["serve"], "TRIFOLD_LISTEN", "abc"),
        (&["views"], "TRIFOLD_LOG_FORMAT", "xml"),
    ] {
        let ran = Ran::of(trifold.command(line).env(variable, value));
        ran.refused(Exit::Usage, &[value, variable]);
    }
    let mut given = trifold.command(["serve", "--listen", "abc"]);
    let ran = Ran::of(given.env("TRIFOLD_LISTEN", "abc")).refused(Exit::Usage, &["abc"]);
    assert!(!ran.stderr.contains("TRIFOLD_LISTEN"), "{}", ran.stderr);
}

#[test]
fn a_data_directory_that_cannot_be_one() {
    let trifold = empty();
    fs::write(trifold.path("file"), "mine").unwrap();
    let wasm = component("flight-profile", &[]).path.clone();
    let wasm = wasm.to_str().unwrap();
    for command in [&["inspect", wasm][..], &["push", wasm], &["serve"], &["views"]] {
        let run = |dir: &str| trifold.run(command.iter().chain(&["--data-dir", dir]));
        run("file").refused(Exit::Io, &["file is a file", "--data-dir"]);
        if command[0] == "views" {
            continue;
        }
        let ran =
            run("file/below").refused(Exit::Io, &["cannot make the data directory file/below", "--data-dir"]);
        assert_eq!(ran.stderr.matches("os error").count(), 1, "{}", ran.stderr);
    }
}

#[test]
fn questions_that_contradict_themselves() {
    let trifold = with_views();
    parquet(&log(&trifold).join("0.parquet"), &departures(50));
    let log = log(&trifold);
    let backfill = ["backfill", "flight_profile", "--out", "out", "--events", log.to_str().unwrap()];
    let run = |arguments: &[&str]| trifold.run(backfill.iter().chain(arguments));
    run(&["--position", "5"]).refused(Exit::Usage, &["`--position` goes with `--cut position`"]);
    run(&["--cut", "position", "--before"]).refused(Exit::Usage, &["add `--position OFFSET`"]);
    run(&["--cut", "arrival"]).refused(Exit::Usage, &["the cut `arrival` needs arrival times", "--arrival"]);
    run(&["--spine", "none.parquet"])
        .refused(Exit::NotFound, &["there is no spine at none.parquet", "key fields and the as-of time"]);
    fs::write(trifold.path("spine.jsonl"), "{\"carrier\": \"UA\", \"flight\": 1545, \"at\": 0}\n").unwrap();
    run(&["--spine", "spine.jsonl"]).refused(Exit::Data, &["column as_of is missing or null", "`--as-of-column`"]);
    assert!(!trifold.path("out").exists());
    fs::write(trifold.path("out"), "mine").unwrap();
    run(&[]).refused(Exit::Usage, &["out is a file"]);
    fs::remove_file(trifold.path("out")).unwrap();
    run(&[]).succeeded();
    run(&["--cut", "position"]).refused(Exit::Usage, &["holds the rows of another backfill", "--overwrite"]);
    run(&["--cut", "position", "--overwrite"]).succeeded();
    let audit = ["audit", "flight_profile", "--rows", "x", "--online", "--events", log.to_str().unwrap()];
    trifold.run(audit).refused(Exit::Usage, &["`--rows` and `--online` are two audits"]);
}

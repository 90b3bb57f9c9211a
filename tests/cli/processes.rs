//! Two processes on one data directory, and two servers on one address.

use trifold_cli::exit::Exit;

use crate::site::{departures, departures_json, empty, lines, log, of_view, parquet, stream, with_views};

const ROWS: usize = 50;

#[test]
fn a_second_process_is_told_who_holds_the_store() {
    let trifold = with_views();
    parquet(&log(&trifold).join("0.parquet"), &departures(ROWS));
    let log = log(&trifold);
    let events = ["--events", log.to_str().unwrap()];
    let running = trifold.start(["up"].iter().chain(&events));
    let process = format!("process {} (trifold up) since ", running.pid());
    let parts = ["store.redb is in use by", &process, "stop it, or use another data directory"];
    let commands: [&[&str]; 3] =
        [&["stream"], &["up", "--listen", "127.0.0.1:0"], &["serve", "--listen", "127.0.0.1:0"]];
    for command in commands {
        let events = if command[0] == "serve" { &[][..] } else { &events[..] };
        trifold.run(command.iter().chain(events)).refused(Exit::Unavailable, &parts);
    }
    // What needs no store works beside it, and the first process is still there.
    trifold.run(["views"]).succeeded();
    let get = ["get", "flight_profile.route", "--key", "carrier=UA,flight=1545", "--server", &running.url];
    trifold.run(get).succeeded();
    // A killed process holds nothing.
    running.kill();
    assert_eq!(of_view(&stream(&trifold).succeeded().json(), "flight_profile")["next-offset"], ROWS);
}

#[test]
fn an_address_that_is_taken() {
    let (first, second) = (with_views(), with_views());
    let running = first.start(["serve"]);
    let address = running.url.trim_start_matches("http://");
    let parts = ["cannot listen on", address, "--listen"];
    second.run(["serve", "--listen", address]).refused(Exit::Unavailable, &parts);
}

#[test]
fn a_worker_that_goes_on_tells_the_first_event_that_it_sets_aside() {
    let trifold = with_views();
    let mut events = departures_json(9);
    for event in &mut events[3..6] {
        event["distance"] = "far".into();
    }
    lines(&log(&trifold).join("0.jsonl"), &events);
    let log = log(&trifold);
    let running = trifold.start(["up", "--events", log.to_str().unwrap()]);
    let get =
        ["get", "flight_profile", "--key", "carrier=UA,flight=1545", "--as-of", "0", "--server", &running.url];
    assert!((0..100).any(|_| trifold.run(get).code == Some(0)));
    running.terminate();
    let stderr = running.wait().succeeded().stderr;
    let told = |view: &str| {
        let of_view = |line: &&str| line.contains("WARN") && line.contains(&format!("view={view}"));
        stderr.lines().filter(of_view).collect::<Vec<_>>()
    };
    let lines = told("aircraft_status");
    assert!(lines.len() == 1 && lines[0].contains("offset=3") && lines[0].contains("input distance"), "{stderr}");
    assert!(lines[0].contains("decode"), "{stderr}");
}

#[test]
fn help_of_up_says_what_its_options_do_there() {
    let help = empty().run(["up", "--help"]).succeeded().stdout;
    assert!(!help.contains("--follow") && help.contains("go on serving"), "{help}");
}

#[test]
fn a_worker_that_fails_takes_its_server_down() {
    let trifold = with_views();
    std::fs::create_dir(log(&trifold)).unwrap();
    std::fs::write(log(&trifold).join("0.parquet"), "no parquet").unwrap();
    let log = log(&trifold);
    let running = trifold.start(["up", "--events", log.to_str().unwrap()]);
    running.wait().refused(Exit::Data, &["0.parquet is no complete Parquet file"]);
}

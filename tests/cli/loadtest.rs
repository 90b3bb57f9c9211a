//! Load on a real server, straight or through a relay that stands still, closes or tells when requests pass.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use trifold_cli::exit::Exit;
use trifold_tests::command::{Ran, Running, Trifold};
use trifold_tests::flights;

use crate::site::with_views;

const VIEW: &str = "flight_profile";
const KEY: &str = "carrier=UA,flight={1..2000}";

struct Site {
    trifold: Trifold,
    running: Running,
}

impl Site {
    fn start() -> Self {
        let trifold = with_views();
        trifold.run(["stream", "--events", flights().to_str().unwrap(), "--stop-at", "2000"]).succeeded();
        let running = trifold.start(["serve"]);
        Site { trifold, running }
    }

    fn arguments<'a>(&self, url: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
        [&["loadtest", VIEW, "--as-of", "0", "--format", "json", "--server", url], arguments].concat()
    }

    fn load(&self, url: &str, arguments: &[&str]) -> Ran {
        self.trifold.run(self.arguments(url, arguments))
    }

    /// The report of a load that the generator may or may not have kept up with on a busy machine.
    #[track_caller]
    fn report(&self, arguments: &[&str]) -> Value {
        let ran = self.load(&self.running.url, arguments);
        assert!(matches!(ran.code, Some(0 | 1)), "{ran:#?}");
        ran.json()
    }

    fn start_load(&self, url: &str, arguments: &[&str]) -> Child {
        let mut command = self.trifold.command(self.arguments(url, arguments));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

fn number(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap_or_else(|| panic!("no {name}: {report:#}"))
}

/// Every request is counted in one place, and every row of every answer.
#[track_caller]
fn check_counts(report: &Value, batch: u64) {
    let [sent, answered, failed] = ["sent", "answered", "failed"].map(|name| number(report, name));
    assert_eq!(sent, answered + failed + number(report, "unfinished"), "{report:#}");
    let failures = report["failures"].as_object().unwrap();
    assert_eq!(failed, failures.values().map(|of| number(of, "count")).sum::<u64>(), "{report:#}");
    let timed_out = failures.get("DEADLINE_EXCEEDED").map_or(0, |of| number(of, "count"));
    let rows = report["rows"].get(VIEW).and_then(Value::as_object);
    let rows: u64 = rows.into_iter().flat_map(|rows| rows.values()).map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(rows, answered * batch, "{report:#}");
    let latencies = answered + timed_out + number(report, "unfinished");
    assert_eq!(number(&report["latency-us"], "count"), latencies, "{report:#}");
    let parts = report["over-time"].as_array().unwrap();
    assert_eq!(parts.iter().map(|part| number(part, "count")).sum::<u64>(), latencies, "{report:#}");
    let lags = number(&report["generator-lag-us"], "count");
    assert_eq!(lags, sent + number(report, "not-sent"), "{report:#}");
    let percentiles = ["p50", "p90", "p95", "p99", "p99.9"];
    let percentiles = percentiles.map(|name| number(&report["latency-us"]["percentiles"], name));
    assert!(percentiles.is_sorted() && percentiles[4] <= number(&report["latency-us"], "max"), "{report:#}");
}

#[test]
fn every_request_and_every_row_is_counted() {
    let site = Site::start();
    let load = ["--key", KEY, "--key", "carrier=AA,flight=1141", "--rate", "500", "--requests", "300"];
    let more = ["--batch", "3", "--distribution", "zipf", "--warmup", "200ms", "--arrivals", "poisson"];
    let report = site.report(&[load, more].concat());
    check_counts(&report, 3);
    let names = ["sent", "not-sent", "answered", "failed", "keys"];
    assert_eq!(names.map(|name| number(&report, name)), [300, 0, 300, 0, 2001], "{report:#}");
    assert!(number(&report, "warmup-requests") > 0, "{report:#}");
    // The first of Zipf's keys are asked most, and of 2,000 numbers few are those of flights.
    let statuses: Vec<_> = report["rows"][VIEW].as_object().unwrap().keys().collect();
    assert_eq!(statuses, ["empty", "value"], "{report:#}");
}

#[test]
fn a_seed_asks_the_same_questions() {
    let site = Site::start();
    let ask = |seed: &str, arguments: &[&str]| {
        let fixed = ["--rate", "2000", "--requests", "100", "--seed", seed];
        let report = site.report(&[&fixed, arguments].concat());
        assert_eq!(number(&report, "sent") + number(&report, "not-sent"), 100, "{report:#}");
        (report["questions"].as_str().unwrap().to_owned(), report["rows"].clone())
    };
    let first = ask("7", &["--key", KEY]);
    assert_eq!(first, ask("7", &["--key", KEY, "--arrivals", "poisson"]));
    assert_ne!(first.0, ask("8", &["--key", KEY]).0);
}

#[test]
fn keys_come_from_files_of_four_kinds() {
    let site = Site::start();
    let file = |name: &str, text: &str| {
        fs::write(site.trifold.path(name), text).unwrap();
        let fixed = ["--rate", "1000", "--requests", "20", "--distribution", "sequential", "--keys", name];
        let report = site.report(&fixed);
        (number(&report, "keys"), report["rows"].clone())
    };
    let lines = file("keys.txt", "carrier=UA,flight=1545\n\n{\"carrier\": \"ZZ\", \"flight\": \"1\"}\n");
    assert_eq!(lines.1[VIEW], serde_json::json!({"empty": 10, "value": 10}));
    assert_eq!(lines, file("keys.csv", "x,flight,carrier\r\n1,1545,\"UA\"\r\n2,1,ZZ\r\n"));
    let json = "{\"carrier\": \"UA\", \"flight\": 1545, \"x\": null}\n{\"flight\": 1, \"carrier\": \"ZZ\"}\n";
    assert_eq!(lines, file("keys.jsonl", json));
    let load = ["--keys", flights().to_str().unwrap(), "--requests", "20", "--rate", "1000"].map(str::to_owned);
    let report = site.report(&load.each_ref().map(String::as_str));
    assert_eq!(number(&report, "keys"), trifold_tests::FLIGHTS);
}

#[test]
fn the_drawing_is_xml_with_all_lines() {
    let site = Site::start();
    let report = site.report(&["--key", KEY, "--rate", "1000", "--requests", "500", "--svg", "load.svg"]);
    let read = "import sys, xml.etree.ElementTree as tree\n\
        ns = '{http://www.w3.org/2000/svg}'\n\
        root = tree.parse(sys.argv[1]).getroot()\n\
        assert root.tag == ns + 'svg', root.tag\n\
        for line in root.iter(ns + 'polyline'): print(line.get('id'), len(line.get('points').split()))\n\
        for text in root.iter(ns + 'text'): print(text.text)\n";
    let mut python = Command::new("python3");
    let read = Ran::of(python.args(["-c", read]).arg(site.trifold.path("load.svg"))).succeeded().stdout;
    let parts = report["over-time"].as_array().unwrap().len();
    for line in ["p50", "p99", "max"] {
        assert!(read.contains(&format!("{line} {parts}\n")), "{line}: {read}");
    }
    for part in ["latency 1", "latency (ms)", "percentile of requests", "99.9%", "500 sent, 500 answered", VIEW] {
        assert!(read.contains(part), "{part}: {read}");
    }
}

/// So many bytes are some dozens of requests, however many of them are read at once.
const SOME_BYTES: usize = 6_000;

/// What a relay does when some requests have passed it.
enum Then {
    /// It stands still for so long.
    Stall(Duration),
    /// It closes the connection and takes no other.
    Close,
    /// It tells so, and goes on.
    Tell,
}

/// Carries one connection. What it tells is received; it goes on until both ends are closed.
fn relay(target: &str, then: Then) -> (String, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let target = target.strip_prefix("http://").unwrap().to_owned();
    let (told, tells) = channel();
    thread::spawn(move || {
        let client = listener.accept().unwrap().0;
        drop(listener);
        let server = TcpStream::connect(target).unwrap();
        let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
        thread::spawn(move || pass(back.0, back.1, None));
        pass(client, server, Some((then, told)));
    });
    (url, tells)
}

fn pass(mut from: TcpStream, mut to: TcpStream, mut after: Option<(Then, Sender<()>)>) {
    let (mut piece, mut passed) = (vec![0; 1 << 16], 0);
    // Nobody ever sends to it, so that it waits for as long as it is told to.
    let (_silent, silence) = channel::<()>();
    while let Ok(length @ 1..) = from.read(&mut piece) {
        passed += length;
        if passed > SOME_BYTES
            && let Some(after) = after.take()
        {
            match after {
                (Then::Stall(time), _) => {
                    assert_eq!(silence.recv_timeout(time), Err(RecvTimeoutError::Timeout));
                }
                (Then::Close, _) => break,
                (Then::Tell, told) => told.send(()).unwrap(),
            }
        }
        if to.write_all(&piece[..length]).is_err() {
            break;
        }
    }
    // An end that is closed already needs no closing.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// The server stands still for a second of three. A client that waits for each answer before it asks again would see one
/// slow request in six hundred; but a third of those that were due were slow.
#[test]
fn a_server_that_stands_still_is_in_the_percentiles() {
    let site = Site::start();
    let (url, _told) = relay(&site.running.url, Then::Stall(Duration::from_secs(1)));
    let load = ["--key", KEY, "--rate", "200", "--requests", "600", "--connections", "1"];
    let ran = site.load(&url, &load);
    assert!(matches!(ran.code, Some(0 | 1)), "{ran:#?}");
    let report = ran.json();
    check_counts(&report, 1);
    assert_eq!(number(&report, "answered"), 600, "{report:#}");
    assert!(number(&report["latency-us"]["percentiles"], "p90") > 500_000, "{report:#}");
    assert!(number(&report["latency-us"], "max") >= 900_000, "{report:#}");
}

#[test]
fn requests_beyond_the_most_on_their_way_are_not_sent() {
    let site = Site::start();
    let (url, _told) = relay(&site.running.url, Then::Stall(Duration::from_secs(2)));
    let load = ["--key", KEY, "--rate", "500", "--requests", "500", "--connections", "1"];
    let ran = site.load(&url, &[&load[..], &["--in-flight-max", "4", "--timeout", "200ms"]].concat());
    let report = ran.json();
    check_counts(&report, 1);
    assert_eq!(number(&report, "sent") + number(&report, "not-sent"), 500, "{report:#}");
    assert!(number(&report, "not-sent") > 0, "{report:#}");
    assert!(number(&report["failures"]["DEADLINE_EXCEEDED"], "count") > 0, "{report:#}");
    assert!(ran.stderr.contains("requests were not sent"), "{ran:#?}");
}

#[test]
fn a_server_that_goes_away_is_told_of() {
    let site = Site::start();
    let (url, _told) = relay(&site.running.url, Then::Close);
    let load = ["--key", KEY, "--rate", "200", "--requests", "300", "--connections", "1"];
    let ran = site.load(&url, &load).refused(Exit::Unavailable, &["the server went away", "its last answer came"]);
    let report = ran.json();
    check_counts(&report, 1);
    assert!(number(&report, "answered") > 0, "{report:#}");
    assert!(number(&report["failures"]["UNAVAILABLE"], "count") > 0, "{report:#}");
    // Before there is any load, it is the same as for a lookup.
    let ran = site.load("http://127.0.0.1:9", &load);
    ran.refused(Exit::Unavailable, &["no server answers at http://127.0.0.1:9", "trifold serve"]);
}

#[test]
fn an_interrupt_ends_the_load_with_a_report() {
    let site = Site::start();
    let (url, told) = relay(&site.running.url, Then::Tell);
    let load = ["--key", KEY, "--rate", "200", "--duration", "1h", "--connections", "1"];
    let child = site.start_load(&url, &load);
    told.recv().unwrap();
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let output = child.wait_with_output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    check_counts(&report, 1);
    assert_eq!(report["interrupted"], true, "{report:#}");
    assert!(number(&report, "answered") > 0, "{report:#}");
}

/// Nobody can send a thousand million requests a second; who tries is told that the figures are no server's.
#[test]
fn a_generator_that_does_not_keep_up_says_so() {
    let site = Site::start();
    let load = ["--key", KEY, "--rate", "1e9", "--requests", "20000", "--batch", "50", "--in-flight-max", "10"];
    let parts = ["the generator did not keep its schedule", "lower the rate"];
    let ran = site.load(&site.running.url, &load).refused(Exit::Refused, &parts);
    let report = ran.json();
    check_counts(&report, 50);
    assert_eq!(report["kept-schedule"], false, "{report:#}");
}

#[test]
fn mistakes_are_named_before_any_load() {
    let site = Site::start();
    let url = site.running.url.clone();
    let check = |arguments: &[&str], exit, parts: &[&str]| {
        let ran = site.trifold.run([&["loadtest", "--server", &url], arguments].concat());
        ran.refused(exit, parts);
    };
    check(&["nope", "--key", KEY], Exit::NotFound, &["no view `nope` is in force", VIEW]);
    check(&[VIEW], Exit::Usage, &["--key"]);
    check(&[VIEW, "--key", KEY, "--keys", "x"], Exit::Usage, &["cannot be used with"]);
    check(&[VIEW, "--key", KEY, "--rate", "0"], Exit::Usage, &["more than 0 requests a second"]);
    check(&[VIEW, "--key", KEY, "--duration", "10"], Exit::Usage, &["write it as in 500ms, 30s"]);
    check(&[VIEW, "--key", KEY, "--distribution", "normal"], Exit::Usage, &["none of uniform, sequential, zipf"]);
    check(&[VIEW, "--key", "carrier=UA,flight={9..1}"], Exit::Usage, &["the range `{9..1}` has no number in it"]);
    check(&[VIEW, "--key", "carrier=UA,flight=x{1..2}"], Exit::Usage, &["flight is of type int64", "`x1`"]);
    check(&[VIEW, "--key", "carrier=UA"], Exit::Usage, &["not a whole key"]);
    check(&[VIEW, "--key", "carrier=a", "carrier=b"], Exit::Usage, &["`carrier=b` is no view", "quotes"]);
    check(&[VIEW, "--key", KEY, "--svg", "no/such/load.svg"], Exit::Io, &["cannot write no/such/load.svg"]);
    check(&[VIEW, "--key", KEY, "--batch", "20000"], Exit::Usage, &["the server refused", "20000 rows"]);
    check(&[VIEW, "--keys", "none.txt"], Exit::NotFound, &["none.txt"]);
    for (name, text, part) in [
        ("empty.txt", "\n", "it has no keys"),
        ("short.csv", "carrier\nUA\n", "it has no column `flight`"),
        ("null.csv", "carrier,flight\nUA,\n", "key 1 has no flight"),
        ("wrong.jsonl", "{\"carrier\": \"UA\", \"flight\": \"x\"}\n", "row 0"),
        ("lines.txt", "UA 1545\n", "names no key field"),
    ] {
        fs::write(site.trifold.path(name), text).unwrap();
        check(&[VIEW, "--keys", name], Exit::Data, &[name, part]);
    }
}

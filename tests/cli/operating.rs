//! Processes that are operated: what they run, and releases that they learn of at once.

use std::process::{Child, Stdio};

use serde_json::Value;
use trifold_cli::exit::Exit;
use trifold_test_servers::free_address;
use trifold_tests::command::{Ran, Running, Trifold};
use trifold_tests::guests::component;

use crate::site::{departures, log, parquet, stream, with_views};

/// Nobody looks at the registry by itself before the test is over.
const PATIENT: &str = "[server]\npoll-interval-ms = 3600000\n[stream]\npoll-interval-ms = 3600000\n";

/// Views in force, a log of theirs, and a second version of a view.
fn site() -> Trifold {
    let trifold = with_views();
    parquet(&log(&trifold).join("0.parquet"), &departures(50));
    let built = component("flight-profile", &["v2"]);
    trifold.run(["push", built.path.to_str().unwrap()]).succeeded();
    std::fs::write(trifold.path("patient.toml"), PATIENT).unwrap();
    trifold
}

/// A server that is operated, and where.
fn serve(trifold: &Trifold, command: &[&str]) -> (Running, String) {
    let address = free_address().unwrap();
    let more = ["--config", "patient.toml", "--admin", &address];
    (trifold.start(command.iter().chain(&more)), format!("http://{address}"))
}

fn status(trifold: &Trifold, urls: &[&str]) -> Ran {
    trifold.run(["status", "--format", "json"].iter().chain(urls))
}

/// What the first process says of a view.
fn of_view(status: &Value, view: &str) -> Value {
    let views = status[0]["views"].as_array().unwrap_or_else(|| panic!("{status}"));
    let found = views.iter().find(|found| found["view"] == view);
    found.unwrap_or_else(|| panic!("no {view}: {status}")).clone()
}

#[test]
fn a_server_runs_a_release_as_soon_as_it_is_told() {
    let trifold = site();
    let (_server, url) = serve(&trifold, &["serve"]);
    let first = status(&trifold, &[&url]).succeeded().json();
    assert_eq!((&first[0]["process"], &first[0]["command"]), (&url.as_str().into(), &"serve".into()));
    let (profile, aircraft) = (of_view(&first, "flight_profile"), of_view(&first, "aircraft_status"));
    assert_eq!(
        (&profile["version"], &profile["release"], &profile["waiting"]),
        (&1.into(), &1.into(), &Value::Null)
    );

    trifold.run(["release", "flight_profile@2", "--process", &url, "--wait", "30"]).succeeded();
    let second = status(&trifold, &[&url]).succeeded().json();
    let (changed, kept) = (of_view(&second, "flight_profile"), of_view(&second, "aircraft_status"));
    assert_eq!((&changed["version"], &changed["release"]), (&2.into(), &2.into()));
    assert!(changed["since"].as_str() > profile["since"].as_str(), "{changed} after {profile}");
    assert_eq!(kept, aircraft, "a view that was not released runs since it did");

    trifold.run(["rollback", "flight_profile", "--process", &url, "--wait", "30"]).succeeded();
    let third = of_view(&status(&trifold, &[&url]).succeeded().json(), "flight_profile");
    assert_eq!((&third["version"], &third["release"]), (&1.into(), &3.into()));
    let text = trifold.run(["status", &url]).succeeded().stdout;
    assert!(text.starts_with("PROCESS") && text.contains("flight_profile") && text.contains(&url), "{text}");
}

#[test]
fn a_worker_and_a_server_over_it_are_told() {
    let trifold = site();
    let log = log(&trifold);
    let events = ["up", "--events", log.to_str().unwrap()];
    let (up, url) = serve(&trifold, &events);
    trifold.run(["release", "flight_profile@2", "--process", &url, "--wait", "30"]).succeeded();
    let running = of_view(&status(&trifold, &[&url]).succeeded().json(), "flight_profile");
    assert_eq!((&running["version"], &running["release"]), (&2.into(), &2.into()));
    drop(up);
    let mut worker = Worker::start(&trifold, &["stream", "--follow", "--views", "flight_profile"]);
    let told = worker.status(&trifold);
    assert_eq!((&told[0]["command"], told[0]["views"].as_array().map(Vec::len)), (&"stream".into(), Some(1)));
    trifold.run(["rollback", "flight_profile", "--process", &worker.url, "--wait", "30"]).succeeded();
    assert_eq!(of_view(&worker.status(&trifold), "flight_profile")["version"], 1);
    // It runs one view, and is not to be waited for with another.
    let built = component("aircraft", &[]);
    let more = ["--process", &worker.url, "--wait", "0"];
    trifold.run(["push", built.path.to_str().unwrap()]).succeeded();
    let release = ["release", "aircraft_status@1"];
    trifold.run(release.iter().chain(&more)).refused(Exit::Unavailable, &["runs other views only", &worker.url]);
}

/// A worker that follows the test's log. Killed when it is dropped.
struct Worker {
    child: Child,
    url: String,
}

impl Worker {
    fn start(trifold: &Trifold, arguments: &[&str]) -> Self {
        let address = free_address().unwrap();
        let (log, mut command) = (log(trifold), trifold.command(arguments));
        command.args(["--config", "patient.toml", "--admin", &address, "--events", log.to_str().unwrap()]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Worker { child, url: format!("http://{address}") }
    }

    /// What it says, once it runs anything.
    fn status(&mut self, trifold: &Trifold) -> Value {
        loop {
            assert_eq!(self.child.try_wait().unwrap(), None, "the worker ended");
            let told = status(trifold, &[&self.url]);
            if told.code == Some(0) && told.json()[0]["views"].as_array().is_some_and(|views| !views.is_empty()) {
                return told.json();
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A release that cannot run is recorded, waits with its reason, and what ran goes on.
#[test]
fn a_release_that_does_not_run_is_told_with_its_reason() {
    let trifold = site();
    stream(&trifold).succeeded();
    let (server, url) = serve(&trifold, &["serve"]);
    let digest = component("flight-profile", &["v2"]).digest;
    let blob = trifold.data(format!("registry/components/sha256/{digest}.wasm"));
    trifold.run(["release", "flight_profile@2"]).succeeded();
    // Damaged after the release, and before anybody looks.
    let whole = std::fs::read(&blob).unwrap();
    std::fs::write(&blob, &whole[1..]).unwrap();
    let release = ["release", "flight_profile@2", "--process", &url];
    let parts = ["release 2 is recorded", &url, "does not run it", "is damaged"];
    trifold.run(release.iter().chain(&["--wait", "0"])).refused(Exit::Unavailable, &parts);
    let told = trifold.run(release).succeeded();
    assert!(told.stderr.contains("does not run release 2 yet") && told.stderr.contains("is damaged"), "{told:?}");
    let standing = of_view(&status(&trifold, &[&url]).succeeded().json(), "flight_profile");
    assert_eq!((&standing["version"], &standing["release"]), (&1.into(), &1.into()));
    assert!(standing["waiting"]["reason"].as_str().unwrap().contains("is damaged"), "{standing}");
    let text = trifold.run(["status", &url]).succeeded().stdout;
    assert!(text.contains("of view flight_profile waits: ") && text.contains("is damaged"), "{text}");
    let get =
        ["get", "flight_profile", "--key", "carrier=UA,flight=1545", "--as-of", "0", "--server", &server.url];
    trifold.run(get).succeeded();
    std::fs::write(&blob, whole).unwrap();
    trifold.run(release.iter().chain(&["--wait", "30"])).succeeded();
    let standing = of_view(&status(&trifold, &[&url]).succeeded().json(), "flight_profile");
    assert_eq!((&standing["version"], &standing["waiting"]), (&2.into(), &Value::Null));
}

#[test]
fn a_process_that_does_not_answer() {
    let trifold = site();
    let address = free_address().unwrap();
    let nobody = format!("http://{address}");
    let (server, url) = serve(&trifold, &["serve"]);
    trifold
        .run(["status", &server.url])
        .refused(Exit::Unavailable, &[&server.url, "name the address of its `--admin`"]);
    // The other processes are told of all the same.
    let asked = status(&trifold, &[&nobody, &url]).refused(Exit::Unavailable, &[&nobody, "--admin"]);
    assert_eq!(asked.json()[1]["views"].as_array().map(Vec::len), Some(2));
    assert!(asked.json()[0]["problem"].as_str().unwrap().contains(&nobody));
    // A release is not held up by a process that is down, and says so if it is waited for.
    let release = ["release", "flight_profile@2", "--process", &nobody];
    let told = trifold.run(release).succeeded();
    assert!(told.stderr.contains("no server answers at"), "{told:?}");
    trifold
        .run(release.iter().chain(&["--wait", "0"]))
        .refused(Exit::Unavailable, &["release 2 is recorded", &nobody]);

    trifold.run(["status"]).refused(Exit::Usage, &["no process is named", "--admin"]);
    trifold
        .run(["status", "ftp://127.0.0.1"])
        .refused(Exit::Unavailable, &["`ftp://127.0.0.1` is not the URL of a server"]);
    // Whoever waits for nobody has released nothing either.
    let releases = || trifold.run(["releases", "flight_profile", "--format", "json"]).succeeded().stdout;
    let before = releases();
    for command in [["release", "flight_profile@1"], ["rollback", "flight_profile"]] {
        let line = command.iter().chain(&["--wait", "1"]);
        trifold.run(line).refused(Exit::Usage, &["`--wait` waits for processes", "--process"]);
    }
    assert_eq!(releases(), before);
    let wasm = component("flight-profile", &[]).path.clone();
    let push = ["push", wasm.to_str().unwrap(), "--process", &url, "--wait", "30"];
    trifold.run(push).refused(Exit::Usage, &["`--release`"]);
    assert_eq!(releases(), before);
    trifold.run(push.iter().chain(&["--release"])).succeeded();
    assert_eq!(of_view(&status(&trifold, &[&url]).succeeded().json(), "flight_profile")["version"], 1);
    // Those that are always asked stand in the file.
    std::fs::write(trifold.path("trifold.toml"), format!("[admin]\nprocesses = [\"{url}\"]\n")).unwrap();
    assert_eq!(status(&trifold, &[]).succeeded().json()[0]["process"], url);
}

/// Nobody is asked who they are, so nobody elsewhere may come.
#[test]
fn only_this_machine_operates() {
    let trifold = site();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--admin"];
    let run = |address: &str| trifold.run(serve.iter().chain(&[address]));
    run("0.0.0.0:0").refused(Exit::Usage, &["0.0.0.0:", "is no loopback address", "127.0.0.1:7412"]);
    run("nowhere").refused(Exit::Usage, &["nowhere", "it is no address with a port"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    run(&address).refused(Exit::Unavailable, &["cannot listen on", &address, "--admin"]);
}

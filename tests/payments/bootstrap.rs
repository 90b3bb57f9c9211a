//! A state that is built beside the one in force is that of a version which was in force from the beginning, and one that is
//! given up leaves nothing behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use trifold_cli::exit::Exit;
use trifold_model::{EntityKey, Positions};
use trifold_pipeline::LiveVersion;
use trifold_server::admin::{AdminClient, api};
use trifold_store::{Slots, StateStore};
use trifold_test_servers::free_address;
use trifold_tests::guests::component;
use trifold_tests::live::{transform, version};
use trifold_tests::online::runtime;
use trifold_tests::stores;

use crate::materialize::{FILES, Site};
use crate::site::ARRIVAL;

const VIEW: &str = "card_spend";

/// A week instead of a day, and so another state.
fn second() -> LiveVersion {
    version(2, transform("card-spend", &["v2"]))
}

fn site() -> Site {
    let site = Site::new(41);
    let built = component("card-spend", &["v2"]);
    site.trifold.run(["push", built.path.to_str().unwrap()]).succeeded();
    fs::write(site.trifold.path("quick.toml"), "[stream]\npoll-interval-ms = 20\n").unwrap();
    site
}

/// A worker that follows the log. Killed when it is dropped.
struct Worker {
    child: Child,
    url: String,
}

impl Worker {
    fn start(site: &Site) -> Self {
        let address = free_address().unwrap();
        let config = site.trifold.path("quick.toml");
        let more = ["--follow", "--admin", &address, "--config", config.to_str().unwrap()];
        let mut command = site.trifold.command(site.arguments(&["stream"], &more));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Worker { child, url: format!("http://{address}") }
    }

    /// Waits for what it says of the view's states.
    fn wait_for(&mut self, is_so: impl Fn(&[api::KeptState]) -> bool) {
        loop {
            assert_eq!(self.child.try_wait().unwrap(), None, "the worker ended");
            let told = runtime().block_on(async { AdminClient::connect(&self.url).await?.status(true).await });
            let views = told.map(|told| told.views).unwrap_or_default();
            if views.iter().any(|view| view.view == VIEW && is_so(&view.states)) {
                return;
            }
        }
    }

    fn terminate(mut self) {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Adds a file of the log, all of it at once.
fn add(site: &Site, file: usize) {
    let (file, hidden) = (&site.files[file], site.dir.join(".next"));
    fs::copy(file, &hidden).unwrap();
    fs::rename(hidden, site.dir.join(file.file_name().unwrap())).unwrap();
}

/// The entities of the second version's state, and how far it is.
fn state(site: &Site) -> Option<(Positions, Vec<(EntityKey, Slots)>)> {
    let (store, state) = (stores::open(&site.trifold.data("")), second().state_id());
    let page = runtime().block_on(store.scan_slots(state, None, 1 << 20)).unwrap();
    assert_eq!(page.marker.is_some(), !page.entities.is_empty());
    Some((page.marker?.positions, page.entities))
}

fn bootstrap(worker: &Worker) -> [&str; 5] {
    ["release", "card_spend@2", "--bootstrap", "--process", &worker.url]
}

#[test]
fn a_state_that_was_built_is_that_of_a_version_which_was_always_in_force() {
    let (always, site) = (site(), site());
    site.grow_to(1);
    let mut worker = Worker::start(&site);
    worker.wait_for(|states| states.len() == 1 && states[0].applied > 0);
    let wait = ["--wait", "60", "--format", "json"];
    let mut building = site.trifold.command(bootstrap(&worker).iter().chain(&wait));
    let building = building.stdout(Stdio::piped()).spawn().unwrap();
    // Events flow meanwhile.
    add(&site, 1);
    let built = building.wait_with_output().unwrap();
    assert!(built.status.success(), "{built:?}");
    let built: Value = serde_json::from_slice(&built.stdout).unwrap();
    assert_eq!(built["state-id"], second().state_id().to_string());
    assert!(built["applied"].as_u64().unwrap() > 0, "{built}");
    let release = ["release", "card_spend@2", "--process", &worker.url, "--wait", "60"];
    site.trifold.run(release).succeeded();
    add(&site, 2);
    let all = site.log.payments.len() as u64;
    worker.wait_for(|states| states.len() == 1 && states[0].version == 2 && states[0].applied == all);
    worker.terminate();

    always.trifold.run(["release", "card_spend@2"]).succeeded();
    (1..=FILES).for_each(|files| {
        always.grow_to(files);
        always.stream(&[]).succeeded();
    });
    let (built, expected) = (state(&site).unwrap(), state(&always).unwrap());
    assert!(expected.1.len() > 30);
    assert_eq!(built, expected);
    // Each event has its row, first of the one version and then of the other.
    let dir = site.dir.to_str().unwrap();
    site.trifold.run(["audit", VIEW, "--events", dir, "--arrival", ARRIVAL]).succeeded();
}

#[test]
fn a_state_that_is_given_up_leaves_nothing_behind() {
    let site = site();
    site.grow_to(FILES);
    let mut worker = Worker::start(&site);
    worker.wait_for(|states| states.len() == 1 && states[0].applied == states[0].known);
    let unbuilt = site.trifold.run(["release", "card_profile@1", "--bootstrap", "--process", &worker.url]);
    unbuilt.refused(Exit::Refused, &["card_profile", "version 1 is in force already"]);
    for is_told in [true, false] {
        site.trifold.run(bootstrap(&worker).iter().chain(&["--wait", "60"])).succeeded();
        worker.wait_for(|states| states.len() == 2);
        let status = site.trifold.run(["status", &worker.url]).succeeded().stdout;
        assert!(status.contains("the state of card_spend@2, a bootstrap, has applied "), "{status}");
        if !is_told {
            worker.terminate();
            assert!(state(&site).is_some());
            site.trifold.run(["rollback", VIEW]).succeeded();
            site.stream(&[]).succeeded();
            assert_eq!(state(&site), None);
            break;
        }
        site.trifold.run(["rollback", VIEW, "--process", &worker.url, "--wait", "60"]).succeeded();
        worker.wait_for(|states| states.len() == 1);
        worker.terminate();
        assert_eq!(state(&site), None);
        worker = Worker::start(&site);
    }
    for kind in ["rows", "aside"] {
        let of_view = site.trifold.data(format!("{kind}/{VIEW}"));
        let states: Vec<_> = fs::read_dir(of_view).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let first = version(1, transform("card-spend", &[])).state_id();
        assert_eq!(states, [first.to_string().as_str()], "{kind}");
    }
}

#[test]
fn a_build_that_nobody_carries_out_is_told_of_and_can_be_interrupted() {
    let site = site();
    let nobody = format!("http://{}", free_address().unwrap());
    let asked = |command: &[&str]| site.trifold.run(command.iter().chain(&["--process", &nobody]));
    site.trifold.run(["release", "card_spend@2", "--bootstrap"]).refused(Exit::Usage, &["--process"]);
    let late =
        ["the state of card_spend@2 has not caught up", &nobody, "`trifold rollback card_spend` gives it up"];
    asked(&["release", "card_spend@2", "--bootstrap", "--wait", "0"]).refused(Exit::Unavailable, &late);
    let early = ["the state of card_spend@2 has not caught up", "--bootstrap"];
    asked(&["release", "card_spend@2"]).refused(Exit::Unavailable, &early);
    // It goes on with what was begun, and gives that up when it is interrupted.
    let mut command = site.trifold.command(["release", "card_spend@2", "--bootstrap", "--process", &nobody]);
    let mut child = command.args(["--log", "info"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("the state is being built")));
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let told: Vec<_> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(i32::from(Exit::Unavailable.code())), "{told:?}");
    assert!(told.iter().any(|line| line.contains("release 3 gives the state of card_spend@2 up")), "{told:?}");
}

//! Versions that swap under workers: each event is computed once, by the version that its row names.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::runtime::Runtime;
use trifold_model::EventTime;
use trifold_pipeline::Canary;
use trifold_registry::{Registry, Steps, Trial};
use trifold_server::admin::{AdminClient, api};
use trifold_test_servers::{Kafka, free_address};
use trifold_tests::guests::component;
use trifold_tests::online::runtime;

use crate::data::{Event, FLIGHT_EVENTS};
use crate::expected::text;
use crate::site::Site;
use crate::worker::Worker;

const RELEASES: usize = 50;
const EVENTS: usize = 1_600;
const VIEWS: [&str; 2] = ["carrier_load", "flight_profile"];

/// A worker that is operated.
struct Operated {
    worker: Worker,
    admin: AdminClient,
}

impl Operated {
    fn start(site: &Site, name: &str, runtime: &Runtime) -> Self {
        let address = free_address().unwrap();
        let mut worker = Worker::start(site.command(name, &["--follow", "--admin", &address]));
        worker.wait_for("those who operate this process are answered");
        let admin = runtime.block_on(AdminClient::connect(&format!("http://{address}"))).unwrap();
        Operated { worker, admin }
    }
}

#[test]
fn fifty_releases_of_a_group_of_workers() {
    let kafka = Kafka::start().unwrap();
    let site = Site::of(FLIGHT_EVENTS, &kafka, kafka.bootstrap(), 31, EVENTS as u64);
    for package in site.data.packages {
        site.trifold.run(["push", text(&component(package, &["v2"]).path)]).succeeded();
    }
    site.release(site.data.packages);
    let runtime = runtime();
    let mut workers = ["a", "b"].map(|name| Operated::start(&site, name, &runtime));
    let slice = site.events.len() / (RELEASES + 1);
    for number in 0..RELEASES {
        site.produce(number * slice..(number + 1) * slice);
        let (view, version) = (VIEWS[number % 2], 1 + (number as u64 / 2 + 1) % 2);
        let request = api::ReleaseRequest { view: view.to_owned(), version, ..Default::default() };
        // One of them is told, and the other looks when it is time, or is told too.
        let told = &mut workers[number % 3 % 2];
        let answer = runtime.block_on(told.admin.release(request)).unwrap();
        let running = answer.status.unwrap().running.unwrap();
        assert_eq!((running.version, running.release), (version, answer.release.map(|release| release.release)));
        if number % 5 == 0 {
            runtime.block_on(workers[1].admin.status(true)).unwrap();
        }
    }
    site.produce(RELEASES * slice..site.events.len());
    workers.into_iter().for_each(|operated| operated.worker.terminate());
    site.run_to_end("afterwards");
    for view in VIEWS {
        let counts = site.check_rows_by_version(view, &[1, 2]);
        assert!(counts.len() == 2 && counts.values().all(|rows| *rows > EVENTS / 20), "{view}: {counts:?}");
        // The topics of changes tell which version computed which of them.
        let followed = site.check_followed(&view.replace('_', "-"));
        assert!(followed > RELEASES / 4, "{view}: {followed} releases computed rows");
    }
}

#[test]
fn a_canary_of_a_group_of_workers() {
    const SHARES: [&str; 3] = ["0.01%", "30%", "65%"];
    let kafka = Kafka::start().unwrap();
    let site = Site::of(FLIGHT_EVENTS, &kafka, kafka.bootstrap(), 32, EVENTS as u64);
    // It has one more feature than the version in force.
    site.trifold.run(["push", text(&component("flight-profile", &["v2"]).path)]).succeeded();
    site.release(site.data.packages);
    let runtime = runtime();
    let [mut a, mut b] = ["a", "b"].map(|name| Operated::start(&site, name, &runtime));
    let registry = Registry::local(&site.trifold.data("registry"), false).unwrap();
    let view = "flight_profile".parse().unwrap();
    let (mut canaries, slice) = (Vec::new(), EVENTS / SHARES.len());
    for (number, share) in SHARES.into_iter().enumerate() {
        let share = share.parse().unwrap();
        let trial = Trial::Canary { share, steps: Steps::default() };
        let release = runtime.block_on(registry.try_out(&view, 2, trial, EventTime(0))).unwrap();
        canaries.push(Canary::new(&view, release.rollout, share));
        for worker in [&mut a, &mut b] {
            runtime.block_on(worker.admin.status(true)).unwrap();
        }
        if number == 2 {
            // Its partitions go to the other one, and what it began is begun again.
            site.produce(number * slice..number * slice + slice / 2);
            a.worker.kill();
            a = Operated::start(&site, "a", &runtime);
            site.produce(number * slice + slice / 2..EVENTS);
        } else {
            site.produce(number * slice..(number + 1) * slice);
        }
    }
    [a, b].into_iter().for_each(|operated| operated.worker.terminate());
    site.run_to_end("afterwards");
    let counts = site.check_rows_by_version("flight_profile", &[1, 2]);
    assert!(counts.len() == 2 && counts.values().all(|rows| *rows > EVENTS / 20), "{counts:?}");
    assert!(site.check_followed("flight-profile") > 1);
    // Those that were put there after a look are computed as it said, or as a later one did.
    let id =
        |event: &Event| Some(serde_json::from_str::<Value>(&event.json).ok()?["event_id"].as_str()?.to_owned());
    let slices = site.events.iter().enumerate().rev();
    // An event that was sent twice stands where it was sent first.
    let slices: BTreeMap<_, _> =
        slices.filter_map(|(at, event)| Some((id(event)?, (at / slice).min(SHARES.len() - 1)))).collect();
    for (key, id, version) in site.emitted_versions("flight-profile") {
        let (canary, last) = (&canaries[slices[&id]], &canaries[SHARES.len() - 1]);
        assert!(version == 2 || !canary.takes(&key), "{id} is the canary's");
        assert!(version == 1 || last.takes(&key), "{id} is not the canary's");
    }
}

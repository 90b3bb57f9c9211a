//! Versions that swap under workers: each event is computed once, by the version that its row names.

use std::collections::BTreeMap;
use std::process::Stdio;

use serde_json::Value;
use tokio::runtime::Runtime;
use trifold_model::EventTime;
use trifold_pipeline::Canary;
use trifold_registry::{Registry, Steps, Trial};
use trifold_server::admin::{AdminClient, api};
use trifold_test_servers::{Kafka, Redis, free_address};
use trifold_tests::guests::component;
use trifold_tests::online::runtime;

use crate::data::{Event, FLIGHT_EVENTS};
use crate::expected::text;
use crate::feeding::wait;
use crate::resp::{Answer, tell};
use crate::site::{GROUP, Site};
use crate::worker::Worker;

const RELEASES: usize = 50;
const EVENTS: usize = 1_600;
const VIEWS: [&str; 2] = ["carrier_load", "flight_profile"];

/// A worker that is operated.
struct Operated {
    worker: Worker,
    admin: AdminClient,
    url: String,
}

impl Operated {
    fn start(site: &Site, name: &str, runtime: &Runtime) -> Self {
        Operated::start_with(site, name, runtime, &[])
    }

    fn start_with(site: &Site, name: &str, runtime: &Runtime, more: &[&str]) -> Self {
        let address = free_address().unwrap();
        let options: Vec<_> = ["--follow", "--admin", &address].iter().chain(more).copied().collect();
        let mut worker = Worker::start(site.command(name, &options));
        worker.wait_for("those who operate this process are answered");
        let url = format!("http://{address}");
        let admin = runtime.block_on(AdminClient::connect(&url)).unwrap();
        Operated { worker, admin, url }
    }

    /// How many events the state in force of a view has applied here.
    fn applied(&mut self, runtime: &Runtime, view: &str) -> u64 {
        let views = runtime.block_on(self.admin.status(true)).unwrap().views.into_iter();
        let states = views.filter(|told| told.view == view).flat_map(|told| told.states);
        states.filter(|state| state.role.is_empty()).map(|state| state.applied).sum()
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
    assert_eq!(site.check_follows_in_archive("flight_profile"), 2);
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

#[test]
fn a_state_that_is_built_by_a_group_of_workers() {
    const PAYMENTS: usize = 1_200;
    let (kafka, redis) = (Kafka::start().unwrap(), Redis::start().unwrap());
    let site = Site::new(&kafka, kafka.bootstrap(), 33, PAYMENTS as u64);
    // A week instead of a day, and so another state.
    site.trifold.run(["push", text(&component("card-spend", &["v2"]).path)]).succeeded();
    site.release(site.data.packages);
    let runtime = runtime();
    let third = site.events.len() / 3;
    site.produce(0..third);
    let feeds = ["--materialize", "--redis", redis.url()];
    let start = || ["a", "b"].map(|name| Operated::start_with(&site, name, &runtime, &feeds));
    let mut workers = start();
    // The state in force is ahead.
    while workers.iter_mut().map(|worker| worker.applied(&runtime, "card_spend")).sum::<u64>() < third as u64 {}
    let build = ["release", "card_spend@2", "--bootstrap", "--format", "json"];
    let urls = |workers: &[Operated; 2]| workers.each_ref().map(|worker| worker.url.clone()).join(",");
    // A build that is given up leaves nothing, whether somebody runs then or not.
    for is_told in [true, false] {
        let named = ["--process", &urls(&workers), "--wait", "80"];
        let built = site.trifold.run(build.iter().chain(&named)).succeeded().json();
        let state = built["state-id"].as_str().unwrap();
        let topic = format!("{GROUP}.card_spend.{state}.changes");
        let in_redis = || {
            let Answer::Several(keys) = tell(redis.address(), &format!("KEYS *{state}*")) else {
                panic!("no keys")
            };
            !keys.is_empty()
        };
        assert!(site.cluster.topics().contains_key(&topic));
        wait(in_redis);
        if is_told {
            site.trifold.run(["rollback", "card_spend"].iter().chain(&named)).succeeded();
        } else {
            workers.into_iter().for_each(|operated| operated.worker.terminate());
            site.trifold.run(["rollback", "card_spend"]).succeeded();
            assert!(site.cluster.topics().contains_key(&topic) && in_redis());
            workers = start();
        }
        wait(|| !site.cluster.topics().contains_key(&topic) && !in_redis());
    }
    let named = ["--process", &urls(&workers), "--wait", "80"];
    let building = site.trifold.command(build.iter().chain(&named)).stdout(Stdio::piped()).spawn().unwrap();
    // Events flow meanwhile.
    site.produce(third..2 * third);
    let built = building.wait_with_output().unwrap();
    assert!(built.status.success(), "{built:?}");
    let built: Value = serde_json::from_slice(&built.stdout).unwrap();
    assert!(built["applied"].as_u64().unwrap() >= third as u64, "{built}");
    site.trifold.run(["release", "card_spend@2"].iter().chain(&named)).succeeded();
    for worker in &mut workers {
        runtime.block_on(worker.admin.status(true)).unwrap();
    }
    site.produce(2 * third..site.events.len());
    workers.into_iter().for_each(|operated| operated.worker.terminate());
    site.run_to_end("afterwards");
    let counts = site.check_rows_by_version("card_spend", &[1, 2]);
    assert!(counts.len() == 2 && counts.values().all(|rows| *rows > PAYMENTS / 20), "{counts:?}");
    site.check_state_of_second("card-spend");
    assert_eq!(site.check_follows_in_archive("card_spend"), 2);
}

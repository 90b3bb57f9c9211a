//! Clocks that are wrong: what is in force follows from the numbers of releases alone.

use std::sync::Arc;
use std::time::Duration;

use trifold_model::{EventTime, ViewName};
use trifold_pipeline::Catalog;
use trifold_registry::{Registry, Release};
use trifold_sandbox::SandboxConfig;
use trifold_server::admin::Desk;
use trifold_server::following::Following;
use trifold_tests::live::{admit, sandbox};
use trifold_tests::online::runtime;
use trifold_tests::random::SplitMix64;
use trifold_tests::stores;

use crate::legs::adding;
use crate::processes::{Server, Site, VIEWS};

const VERSIONS: u64 = 3;
const STEPS: u64 = 120;
const HOUR: i64 = 3_600_000_000;
const NOW: i64 = 1_760_000_000_000_000;

/// Hours by which the clocks of those who release are wrong.
const WRONG: [i64; 5] = [-9, -1, 0, 2, 7];

/// Lets machines whose clocks differ release and take back, one after the other: the last release of each view.
async fn release_by_wrong_clocks(registry: &Registry, seed: u64) -> Vec<Release> {
    let mut random = SplitMix64(seed);
    let mut last = VIEWS.map(|_| None);
    for step in 0..STEPS as i64 {
        let clock = WRONG[random.between(0, WRONG.len() as u64) as usize];
        let at = EventTime(NOW + step * 1_000_000 + clock * HOUR);
        let view = random.between(0, 2) as usize;
        let name: ViewName = VIEWS[view].parse().unwrap();
        let release = match random.between(0, 4) {
            0 => registry.roll_back(&name, at).await,
            _ => registry.release(&name, random.between(1, VERSIONS + 1), at).await,
        };
        // There may be nothing to take back.
        last[view] = release.ok().or(last[view].take());
    }
    last.into_iter().flatten().collect()
}

/// Checks that the clocks were wrong enough to matter: neither the latest nor the earliest release is the last.
async fn check_times(registry: &Registry, last: &Release) {
    let history = registry.history(&last.view).await.unwrap();
    assert_eq!(history.iter().map(|it| it.seq).collect::<Vec<_>>(), (1..=last.seq).collect::<Vec<_>>());
    assert!(!history.iter().map(|it| it.released.at).is_sorted());
}

#[test]
fn servers_whose_clocks_are_wrong_follow_releases_by_wrong_clocks() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::local(&dir.path().join("registry"), true).unwrap();
    let store = Arc::new(stores::open(dir.path()));
    runtime().block_on(async {
        for (view, number) in VIEWS.iter().flat_map(|view| (1..=VERSIONS).map(move |number| (view, number))) {
            let wasm = adding(view, number as i64);
            let transform = admit(&wasm);
            let (view, described) = (transform.view(), transform.description());
            registry.push(&wasm, view, described, EventTime(NOW - number as i64 * HOUR)).await.unwrap();
        }
        let follow = |clock: fn() -> EventTime| {
            let catalog = Catalog::new(registry.clone(), sandbox(SandboxConfig::default().batch_rows_max));
            Following::begin(catalog, store.clone(), Desk::new(), clock, |_| {})
        };
        let [behind, ahead] =
            [|| EventTime(NOW - 30 * HOUR), || EventTime(NOW + 30 * HOUR)] as [fn() -> EventTime; 2];
        let watching = [follow(behind).await.unwrap(), follow(ahead).await.unwrap()];
        let live = watching.each_ref().map(Following::live);
        let following = watching.map(|watching| tokio::spawn(watching.follow(Duration::from_millis(1))));
        for seed in 0..3 {
            let last = release_by_wrong_clocks(&registry, seed).await;
            assert_eq!(last.len(), VIEWS.len(), "seed {seed}");
            for last in &last {
                check_times(&registry, last).await;
            }
            let is_last = |views: &trifold_pipeline::LiveViews| {
                last.iter().all(|last| {
                    let version = views.views.get(&last.view);
                    version.is_some_and(|version| {
                        (version.release, version.version) == (Some(last.seq), last.version)
                            && version.digest() == last.digest
                    })
                })
            };
            for live in &live {
                live.clone().wait_for(|views| is_last(views)).await.unwrap();
            }
            // Whoever begins now sees the same at once.
            let fresh = follow(behind).await.unwrap().live().borrow().clone();
            assert!(is_last(&fresh), "seed {seed}");
        }
        following.iter().for_each(tokio::task::JoinHandle::abort);
    });
}

#[test]
fn processes_follow_releases_by_wrong_clocks() {
    let site = Site::new();
    for (view, number) in VIEWS.iter().flat_map(|view| (2..=VERSIONS).map(move |number| (view, number))) {
        assert_eq!(site.push(&adding(view, number as i64)), number);
    }
    let watching = Server::start(&site.data(), &["serve"]);
    let registry = Registry::local(&site.operator.data("registry"), false).unwrap();
    let last = site.block_on(release_by_wrong_clocks(&registry, 7));
    let expected: Vec<_> = last.iter().map(|last| (last.view.to_string(), last.version, Some(last.seq))).collect();
    let runs = |server: &Server| {
        let standings = site.standings(server, true).into_iter();
        standings.map(|(view, version, release, _)| (view, version, release)).collect::<Vec<_>>()
    };
    assert_eq!(runs(&watching), expected);
    let fresh = Server::start(&site.data(), &["serve"]);
    assert_eq!(runs(&fresh), expected);
    assert_eq!(site.answers(&fresh), site.answers(&watching));
    for (view, version, release) in &expected {
        let listed = site.operator.run(["releases", view, "--format", "json"]).succeeded().json();
        let listed = listed.as_array().unwrap();
        let numbers: Vec<_> = listed.iter().filter_map(|line| line["release"].as_u64()).collect();
        assert_eq!(numbers, (1..=release.unwrap()).collect::<Vec<_>>());
        let in_force: Vec<_> = listed.iter().filter(|line| line["in-force"] == true).collect();
        assert_eq!(in_force.len(), 1);
        assert_eq!((in_force[0]["release"].as_u64(), in_force[0]["version"].as_u64()), (*release, Some(*version)));
    }
}

//! Versions that are tried out beside the one in force.

use std::fs;

use trifold_model::{ComponentDigest, EventTime, Share};
use trifold_registry::{Candidate, Horizon, Registry, RegistryError, Release, Step, Steps, Trial};

use crate::fixtures::{NOW, edit, name, push, release_object, serve};
use crate::site::{Site, over_both};

fn share(text: &str) -> Share {
    text.parse().unwrap()
}

/// A canary for a share, held so long, and what comes then.
fn canary(of: &str, hold: Option<u64>, next: &[(&str, Option<u64>)]) -> Trial {
    let next = next.iter().map(|(of, hold)| Step { share: share(of), hold: *hold }).collect();
    Trial::Canary { share: share(of), steps: Steps { hold, next } }
}

/// A view of whose three versions the first one is in force.
async fn three(site: &Site) -> Registry {
    let registry = site.make().await;
    serve(&registry, "flights", b"one").await;
    for wasm in [&b"two"[..], b"three"] {
        push(&registry, "flights", wasm).await;
    }
    registry
}

async fn try_out(registry: &Registry, version: u64, trial: Trial) -> Release {
    registry.try_out(&name("flights"), version, trial, NOW).await.unwrap()
}

/// What is in force, as whoever opens the registry sees it: the version, the candidate and its trial, the rollout.
async fn in_force(site: &Site) -> (u64, Option<(u64, Trial)>, u64) {
    let releases = site.open().releases().await.unwrap();
    let release = releases.get(&name("flights")).unwrap().clone();
    (release.version, release.candidate.map(|candidate| (candidate.version, candidate.trial)), release.rollout)
}

async fn a_rollout_goes_step_by_step_and_is_taken_back_as_one(site: &Site) {
    let registry = three(site).await;
    let flights = name("flights");
    let first = try_out(&registry, 2, Trial::Shadow).await;
    assert_eq!((first.seq, first.version, first.rollout), (2, 1, 2));
    assert_eq!(in_force(site).await, (1, Some((2, Trial::Shadow)), 2));
    // The same once more is no other release.
    assert_eq!(try_out(&registry, 2, Trial::Shadow).await, first);
    let trial = canary("10%", Some(600), &[("50%", Some(60)), ("100%", None)]);
    let second = try_out(&registry, 2, trial.clone()).await;
    assert_eq!(in_force(site).await, (1, Some((2, trial)), 2));
    let third = registry.advance(&second, NOW).await.unwrap().unwrap();
    assert_eq!(in_force(site).await, (1, Some((2, canary("50%", Some(60), &[("100%", None)]))), 2));
    let stale = registry.advance(&second, NOW).await.unwrap_err();
    assert!(matches!(stale, RegistryError::Overtaken { seq: 4, .. }) && stale.is_passing(), "{stale}");
    let fourth = registry.advance(&third, NOW).await.unwrap().unwrap();
    assert_eq!((fourth.seq, fourth.digest), (5, ComponentDigest::of(b"two")));
    assert_eq!(in_force(site).await, (2, None, 2));
    assert_eq!(registry.advance(&fourth, NOW).await, Ok(None));
    // All of it is one thing to take back.
    let back = registry.roll_back(&flights, NOW).await.unwrap();
    assert_eq!((back.version, back.takes_back, back.candidate), (1, Some(5), None));
    assert!(matches!(registry.roll_back(&flights, NOW).await, Err(RegistryError::NothingBefore { .. })));
    // The next one draws its entities anew.
    assert_eq!(try_out(&registry, 2, canary("10%", None, &[])).await.rollout, 7);
}

async fn another_candidate_takes_the_place_of_one_and_gives_it_back(site: &Site) {
    let registry = three(site).await;
    let flights = name("flights");
    let two = canary("10%", None, &[]);
    try_out(&registry, 2, two.clone()).await;
    try_out(&registry, 3, canary("5%", None, &[])).await;
    assert_eq!(in_force(site).await, (1, Some((3, canary("5%", None, &[]))), 3));
    registry.roll_back(&flights, NOW).await.unwrap();
    assert_eq!(in_force(site).await, (1, Some((2, two.clone())), 2));
    // It goes on where it was.
    let more = canary("20%", None, &[]);
    try_out(&registry, 2, more.clone()).await;
    assert_eq!(in_force(site).await, (1, Some((2, more)), 2));
    registry.roll_back(&flights, NOW).await.unwrap();
    assert_eq!(in_force(site).await, (1, None, 1));
    // A release for everybody ends what was tried out, be it of the version in force.
    try_out(&registry, 2, two.clone()).await;
    let full = registry.put_into_force(&flights, 1, NOW).await.unwrap();
    assert_eq!((full.seq, full.rollout), (8, 8));
    assert_eq!(registry.put_into_force(&flights, 1, NOW).await.unwrap(), full);
    try_out(&registry, 2, two).await;
    assert_eq!(registry.release(&flights, 2, NOW).await.unwrap().rollout, 9);
    registry.roll_back(&flights, NOW).await.unwrap();
    assert_eq!(in_force(site).await.0, 1);
}

async fn what_cannot_be_tried_out_is_refused(site: &Site) {
    let registry = site.make().await;
    let flights = name("flights");
    push(&registry, "flights", b"one").await;
    let trial = || canary("10%", None, &[]);
    let beside = registry.try_out(&flights, 1, trial(), NOW).await.unwrap_err().to_string();
    assert!(beside.contains("no version is in force beside which version 1 could be tried out"), "{beside}");
    serve(&registry, "flights", b"one").await;
    let serves = registry.try_out(&flights, 1, trial(), NOW).await.unwrap_err();
    assert_eq!(serves, RegistryError::Serves { view: flights.clone(), version: 1 });
    assert!(registry.try_out(&flights, 2, trial(), NOW).await.unwrap_err().is_unknown());
    let everybody = registry.try_out(&flights, 1, canary("100%", None, &[]), NOW).await.unwrap_err();
    assert_eq!(everybody, RegistryError::Everybody { view: flights.clone(), version: 1 });
    push(&registry, "flights", b"two").await;
    fs::remove_file(site.file(format!("components/sha256/{}.wasm", ComponentDigest::of(b"two")))).unwrap();
    assert!(registry.try_out(&flights, 2, trial(), NOW).await.unwrap_err().is_damage());
    assert_eq!(registry.history(&flights).await.unwrap().len(), 1);
}

async fn records_that_say_nonsense_of_a_trial_are_refused(site: &Site) {
    let registry = three(site).await;
    try_out(&registry, 2, canary("10%", Some(5), &[("100%", None)])).await;
    let path = site.file(release_object("flights", 2));
    let whole = fs::read_to_string(&path).unwrap();
    for (from, to, part) in [
        ("\"canary\"", "\"full\"", "`full` has no candidate"),
        ("\"canary\"", "\"shadow\"", "a canary has a share"),
        ("\"canary\"", "\"duck\"", "knows `full`, `bootstrap`, `shadow`, `canary`"),
        ("\"10%\"", "\"100%\"", "leaves somebody"),
        ("\"10%\"", "\"0%\"", "is no share"),
        ("\"hold-seconds\"", "\"hold-hours\"", "unknown field"),
    ] {
        edit(&path, from, to);
        let problem = site.open().releases().await.unwrap().problems[&name("flights")].to_string();
        assert!(problem.contains(part), "{to}: {problem}");
        fs::write(&path, &whole).unwrap();
    }
    // Who knew the release before goes on with it, and a new one is how one gets over a damaged one.
    edit(&path, "\"canary\"", "\"duck\"");
    assert!(registry.try_out(&name("flights"), 3, Trial::Shadow, NOW).await.unwrap_err().is_damage());
    assert_eq!(registry.put_into_force(&name("flights"), 1, EventTime(9)).await.unwrap().seq, 3);
}

async fn a_version_that_is_retired_comes_back_no_more(site: &Site) {
    let registry = three(site).await;
    let flights = name("flights");
    let retire = async |version, horizon| registry.retire(&flights, version, horizon, NOW).await;
    let refused = async |version, part: &str| {
        let error = retire(version, Horizon::Kept).await.unwrap_err();
        assert!(matches!(error, RegistryError::InUse { .. }) && error.to_string().contains(part), "{error}");
    };
    refused(1, "release 1 has it in force").await;
    try_out(&registry, 2, Trial::Shadow).await;
    refused(2, "release 2 has it in force or tries it out").await;
    registry.release(&flights, 2, NOW).await.unwrap();
    registry.release(&flights, 3, NOW).await.unwrap();
    refused(2, "would put release 3 into force again").await;
    // What lies further back may go; taking back passes it over.
    let retired = retire(1, Horizon::Kept).await.unwrap();
    assert_eq!(retire(1, Horizon::Kept).await.unwrap(), retired);
    assert_eq!(site.open().retired(&flights).await.unwrap(), [retired]);
    let again = registry.release(&flights, 1, NOW).await.unwrap_err();
    assert_eq!(again, RegistryError::Retired { view: flights.clone(), version: 1 });
    retire(2, Horizon::GivenUp).await.unwrap();
    assert!(matches!(registry.roll_back(&flights, NOW).await, Err(RegistryError::NothingBefore { .. })));
    refused(3, "in force").await;
    assert!(retire(9, Horizon::Kept).await.unwrap_err().is_unknown());
    assert_eq!(in_force(site).await.0, 3);
}

/// Of those who decide about the same release at once, one does, whatever each decides.
async fn of_those_who_decide_at_once_one_does(site: &Site) {
    let registry = three(site).await;
    for round in 0..15 {
        let release = try_out(&registry, 2, canary("10%", Some(1), &[("20%", None)])).await;
        let deciding = (0..4).map(|task| {
            let (registry, release) = (site.open(), release.clone());
            tokio::spawn(async move {
                match task % 2 {
                    0 => registry.advance(&release, NOW).await.map(Option::unwrap),
                    _ => registry.take_back(&release, NOW).await,
                }
            })
        });
        let mut done = Vec::new();
        for task in deciding.collect::<Vec<_>>() {
            match task.await.unwrap() {
                Ok(decided) => done.push(decided),
                Err(RegistryError::Overtaken { .. }) => {}
                Err(error) => panic!("round {round}: {error}"),
            }
        }
        let newest = registry.history(&name("flights")).await.unwrap().pop().unwrap();
        assert_eq!(done, std::slice::from_ref(&newest), "round {round}");
        let advanced = Candidate { trial: canary("20%", None, &[]), ..release.candidate.clone().unwrap() };
        assert!(newest.candidate.is_none() || newest.candidate == Some(advanced), "round {round}: {newest:?}");
        if newest.candidate.is_some() {
            registry.roll_back(&name("flights"), NOW).await.unwrap();
        }
        assert_eq!(in_force(site).await.0, 1);
    }
}

over_both! {
    a_rollout_goes_step_by_step_and_is_taken_back_as_one
    another_candidate_takes_the_place_of_one_and_gives_it_back
    what_cannot_be_tried_out_is_refused
    records_that_say_nonsense_of_a_trial_are_refused
    a_version_that_is_retired_comes_back_no_more
    of_those_who_decide_at_once_one_does
}

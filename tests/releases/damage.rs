//! A release whose component is damaged: the version before it stays in force, and no other view notices.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use trifold_model::{EntityKey, EventTime, RowStatus};
use trifold_pipeline::{CatalogProblem, Outcome};
use trifold_store::StateStore;
use trifold_tests::guests::component;
use trifold_tests::live::transform;
use trifold_tests::online::Online;

use crate::legs::adding;
use crate::processes::{Server, Site, VIEWS};
use crate::rig::Rig;

fn blob(rig: &Rig, features: &[&str]) -> PathBuf {
    let digest = component("flight-profile", features).digest;
    rig.dir.path().join("registry/components/sha256").join(format!("{digest}.wasm"))
}

/// The version that answers for one entity of a package's view, which must have a value.
#[track_caller]
fn answering(rig: &Rig, server: &Online, package: &str) -> u64 {
    let view = transform(package, &[]).view().clone();
    let page = rig.runtime.block_on(rig.store.scan(view.state_id(), None, 1)).unwrap();
    let keys: Vec<EntityKey> = page.entries.into_iter().map(|(key, _)| key).collect();
    let answer = server.look_up(&view, &keys, EventTime(0), &[]);
    assert_eq!(answer.rows.outcomes(), [Outcome::Known(RowStatus::Value)]);
    answer.version
}

#[track_caller]
fn check_old_version_stays(rig: &mut Rig, server: &Online, parts: &[&str]) {
    let problems = rig.poll();
    let [CatalogProblem::Registry { view, message }] = problems.as_slice() else { panic!("{problems:?}") };
    assert_eq!(view.as_str(), "flight_profile");
    for part in parts {
        assert!(message.contains(part), "`{part}` is missing: {message}");
    }
    // And at the next look, too.
    rig.poll();
    assert_eq!(answering(rig, server, "flight-profile"), 1);
    assert_eq!(answering(rig, server, "aircraft"), 1);
}

#[test]
fn a_damaged_component_keeps_the_old_version_until_it_is_restored() {
    let mut rig = Rig::new();
    let server = rig.serve(Arc::new(rig.store.clone()));
    rig.release("flight-profile", &["v2"]);
    let path = blob(&rig, &["v2"]);
    let whole = fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    flipped[1_000] ^= 1;
    let digest = component("flight-profile", &["v2"]).digest.to_string();
    fs::write(&path, &flipped).unwrap();
    check_old_version_stays(&mut rig, &server, &["is damaged", "SHA-256", &digest]);
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    check_old_version_stays(&mut rig, &server, &["is damaged"]);
    fs::remove_file(&path).unwrap();
    check_old_version_stays(&mut rig, &server, &["there is no component", &digest, "push it to restore it"]);
    // Pushing again restores it, and the release that waited comes into force.
    assert_eq!(rig.release("flight-profile", &["v2"]), 2);
    assert!(rig.poll().is_empty());
    assert_eq!(answering(&rig, &server, "flight-profile"), 2);
}

#[test]
fn a_damaged_release_record_keeps_the_old_version() {
    let mut rig = Rig::new();
    let server = rig.serve(Arc::new(rig.store.clone()));
    rig.release("flight-profile", &["v2"]);
    let record = rig.dir.path().join("registry/views/flight_profile/releases/0000000002.json");
    let whole = fs::read_to_string(&record).unwrap();
    fs::write(&record, &whole[..whole.len() / 2]).unwrap();
    check_old_version_stays(&mut rig, &server, &["0000000002.json", "cannot be used"]);
    fs::write(&record, whole).unwrap();
    assert!(rig.poll().is_empty());
    assert_eq!(answering(&rig, &server, "flight-profile"), 2);
}

/// A server that starts on a damaged registry serves what it can.
#[test]
fn a_view_that_never_was_in_force_is_missing_and_the_other_is_there() {
    let rig = Rig::new();
    fs::write(blob(&rig, &[]), b"nothing").unwrap();
    let mut catalog = trifold_pipeline::Catalog::new(
        rig.registry.clone(),
        trifold_tests::live::sandbox(trifold_sandbox::SandboxConfig::default().batch_rows_max),
    );
    let problems = rig.runtime.block_on(catalog.poll()).unwrap();
    assert_eq!(problems.len(), 1, "{problems:?}");
    let views: Vec<_> = catalog.live().views.keys().map(ToString::to_string).collect();
    assert_eq!(views, ["aircraft_status"]);
}

/// Of a server that runs, what it serves; of one that is started, another view.
#[test]
fn a_component_that_is_damaged_while_it_serves_goes_on_until_the_process_ends() {
    let [neighbour, view] = VIEWS;
    let site = Site::new();
    let data = site.data();
    let server = Server::start(&data, &["serve"]);
    let before = site.answers(&server);
    let digest = &before.iter().find(|answered| answered.0 == view).unwrap().2;
    let blob = site.operator.data(format!("registry/components/sha256/{digest}.wasm"));
    let whole = fs::read(&blob).unwrap();
    fs::write(&blob, &whole[..whole.len() / 2]).unwrap();
    // It looks, and follows the other view.
    assert_eq!(site.push(&adding(neighbour, 2)), 2);
    site.release(neighbour, 2, &[&server]);
    let after = site.answers(&server);
    assert_eq!(after[1], before[1]);
    assert_eq!((after[0].0.as_str(), after[0].1), (neighbour, 2));
    assert!(site.status(&server, true).views.iter().all(|view| view.waiting.is_none()));
    server.running.kill();

    let server = Server::start(&data, &["serve"]);
    let standings = site.standings(&server, true);
    assert_eq!(standings.iter().map(|standing| standing.0.as_str()).collect::<Vec<_>>(), [neighbour]);
    assert_eq!(site.answers_about(&server, &[neighbour]), after[..1]);
    let status = site.status(&server, true);
    let waiting =
        status.views.iter().find(|status| status.view == view).and_then(|status| status.waiting.as_ref());
    let reason = &waiting.unwrap().reason;
    assert!(
        reason.contains("is damaged") && reason.contains(digest) && reason.contains("push it again"),
        "{reason}"
    );
    assert!(data.run(["get", view, "--key", "flight=1545", "--server", &server.running.url]).code != Some(0));
    // As the reason says.
    assert_eq!(site.push(&whole), 1);
    site.status(&server, true);
    assert_eq!(site.answers(&server), after);
    server.running.terminate();
    let told = server.running.wait().succeeded().stderr;
    assert_eq!(
        told.lines().filter(|line| line.contains("is damaged") && line.contains(view)).count(),
        1,
        "{told}"
    );
}

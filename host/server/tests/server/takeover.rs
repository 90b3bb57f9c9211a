//! When a release takes over from the version that answers.

use std::sync::Arc;

use trifold_pipeline::{LiveVersion, LiveViews, take_over};
use trifold_store::{Commit, EmbeddedStore, StateStore};

use crate::rig::{echo, marker, open, version, views};

/// A version of the view `v`; versions of one state version share their state.
fn of_state(number: u64, state_version: u64) -> LiveVersion {
    let guest = echo("v", &[("id", "int64")], |view| {
        view["state-version"] = state_version.into();
        view["doc"] = format!("Version {number}.").into();
    });
    version(number, &guest)
}

/// Lets a state reach a position.
async fn reach(store: &EmbeddedStore, version: &LiveVersion, log: &str, next: u64) {
    let commit = Commit {
        state: version.state_id(),
        marker: marker(log, next),
        puts: Vec::new(),
        slots: Vec::new(),
        switches: Vec::new(),
    };
    store.commit(vec![commit]).await.unwrap();
}

async fn taken(store: &EmbeddedStore, serving: &Arc<LiveViews>, released: &LiveVersion) -> u64 {
    let next = take_over(store, serving, &views(std::slice::from_ref(released))).await.unwrap().live;
    assert_eq!(next.views.len(), 1);
    next.views[&released.view().name].version
}

#[tokio::test]
async fn a_release_with_its_own_state_waits_until_that_has_caught_up() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (old, new) = (of_state(1, 1), of_state(2, 2));
    assert_ne!(old.state_id(), new.state_id());
    let serving = views(std::slice::from_ref(&old));
    reach(&store, &old, "log", 10).await;
    assert_eq!(taken(&store, &serving, &new).await, 1, "it has no state");
    reach(&store, &new, "log", 9).await;
    assert_eq!(taken(&store, &serving, &new).await, 1, "one event is missing");
    reach(&store, &old, "log", 11).await;
    reach(&store, &new, "log", 10).await;
    assert_eq!(taken(&store, &serving, &new).await, 1, "the old state went on");
    reach(&store, &new, "log", 11).await;
    assert_eq!(taken(&store, &serving, &new).await, 2);
    // Going back is held to the same.
    let serving = views(std::slice::from_ref(&new));
    assert_eq!(taken(&store, &serving, &old).await, 1);
    reach(&store, &new, "log", 12).await;
    assert_eq!(taken(&store, &serving, &old).await, 2);
}

#[tokio::test]
async fn positions_of_another_log_are_no_catching_up() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (old, new) = (of_state(1, 1), of_state(2, 2));
    reach(&store, &old, "log", 10).await;
    reach(&store, &new, "another log", 100).await;
    assert_eq!(taken(&store, &views(&[old]), &new).await, 1);
}

#[tokio::test]
async fn a_release_on_the_same_state_answers_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (old, new) = (of_state(1, 1), of_state(2, 1));
    assert_eq!(old.state_id(), new.state_id());
    assert_ne!(old.digest(), new.digest());
    reach(&store, &old, "log", 10).await;
    assert_eq!(taken(&store, &views(&[old]), &new).await, 2);
}

#[tokio::test]
async fn a_release_that_replaces_nothing_answers_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (old, new) = (of_state(1, 1), of_state(2, 2));
    assert_eq!(taken(&store, &Arc::default(), &new).await, 2, "the view is new");
    assert_eq!(taken(&store, &views(&[old]), &new).await, 2, "the old state is empty");
}

#[tokio::test]
async fn a_view_that_is_no_longer_released_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let serving = views(&[of_state(1, 1)]);
    let next = take_over(&open(dir.path()), &serving, &LiveViews::default()).await.unwrap().live;
    assert!(next.views.is_empty());
}

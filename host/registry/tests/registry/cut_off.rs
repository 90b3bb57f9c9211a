//! Processes that end while they push and release, after every step that they can end after.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use tokio::runtime::Runtime;
use trifold_registry::{Registry, RegistryError};

use crate::fixtures::{NOW, component_object, name, push, serve, view};
use crate::site::Site;

/// What an end left behind: whether the component is there, and how many versions and releases.
type Left = (bool, usize, usize);

/// What there may be of a second component after the first: nothing, or what was written until then.
const PREFIXES: [Left; 4] = [(false, 1, 1), (true, 1, 1), (true, 2, 1), (true, 2, 2)];

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Lets a process push and release a component in so many steps, each of which ends where it has to wait for the disk or
/// the store, and ends the process there: whether it was done before.
fn is_done_within(site: &Site, steps: usize) -> bool {
    let process = runtime();
    let done = process.block_on(async {
        let registry = site.create();
        let mut work = pin!(async {
            registry.push(b"two", &view("flights"), "{}", NOW).await?;
            registry.release(&name("flights"), 2, NOW).await.map(drop)
        });
        let mut steps = 0..steps;
        poll_fn(|context| match steps.next().map(|_| work.as_mut().poll(context)) {
            Some(Poll::Ready(done)) => Poll::Ready(Some(done)),
            Some(Poll::Pending) if !steps.is_empty() => Poll::Pending,
            Some(Poll::Pending) | None => Poll::Ready(None),
        })
        .await
    });
    // With its runtime go its connections, and what it had not begun.
    drop(process);
    done.is_some_and(|done: Result<(), RegistryError>| done.map(|()| true).unwrap())
}

/// What whoever looks at the registry sees, which is whole. What is written last is looked at first, for a store may still
/// be carrying a last request out.
async fn seen(site: &Site, registry: &Registry) -> Left {
    let flights = name("flights");
    let releases = registry.releases().await.unwrap();
    assert!(releases.problems.is_empty(), "{:?}", releases.problems);
    assert_eq!(releases.views.keys().collect::<Vec<_>>(), [&flights]);
    let history = registry.history(&flights).await.unwrap();
    assert_eq!(
        history.iter().map(|it| it.seq).collect::<Vec<_>>(),
        (1..=history.len() as u64).collect::<Vec<_>>()
    );
    assert!(history.contains(&releases.views[&flights]));
    let versions = registry.versions(&flights).await.unwrap();
    assert!(history.iter().all(|release| release.version <= versions.len() as u64));
    for (version, number) in versions.iter().zip(1..) {
        assert_eq!(version.version, number);
        registry.component(&version.digest).await.unwrap();
    }
    (site.file(component_object(b"two")).is_file(), versions.len(), history.len())
}

fn check(kind: &Site) {
    let observer = runtime();
    let mut left = BTreeSet::new();
    let mut steps = 0;
    // How many steps it takes differs, for what was waited for may be there already.
    while left.len() < PREFIXES.len() {
        let site = kind.another();
        observer.block_on(async { serve(&site.make().await, "flights", b"one").await });
        let is_done = is_done_within(&site, steps);
        observer.block_on(async {
            let registry = site.open();
            let seen = seen(&site, &registry).await;
            assert!(PREFIXES.contains(&seen), "{seen:?} after {steps} steps");
            left.insert(seen);
            assert_eq!(push(&registry, "flights", b"two").await.0, 2, "after {steps} steps");
            let release = registry.release(&name("flights"), 2, NOW).await.unwrap();
            assert_eq!(registry.releases().await.unwrap().get(&name("flights")), Some(&release));
            assert_eq!(registry.versions(&name("flights")).await.unwrap().len(), 2);
        });
        steps = if is_done { 0 } else { steps + 1 };
    }
}

#[test]
fn what_a_process_that_ends_in_a_push_leaves_in_a_directory_is_whole() {
    check(&Site::directory());
}

#[test]
fn what_a_process_that_ends_in_a_push_leaves_in_a_bucket_is_whole() {
    check(&Site::bucket());
}

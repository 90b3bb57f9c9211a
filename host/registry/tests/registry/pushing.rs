//! Pushing and releasing.

use std::collections::BTreeSet;
use std::fs;

use trifold_model::{ComponentDigest, EventTime};
use trifold_registry::RegistryError;

use crate::fixtures::{NOW, component_object, name, push, release_object, serve, view};
use crate::site::{Site, id, over_both};

async fn a_push_is_recorded_once(site: &Site) {
    let registry = site.make().await;
    assert_eq!(push(&registry, "flights", b"one").await, (1, true));
    assert_eq!(push(&registry, "flights", b"two").await, (2, true));
    assert_eq!(push(&registry, "flights", b"one").await, (1, false));
    assert_eq!(push(&registry, "tails", b"one").await, (1, true));

    let version = registry.version(&name("flights"), 2).await.unwrap();
    assert_eq!(version.digest, ComponentDigest::of(b"two"));
    assert_eq!((version.size, version.pushed.clone()), (3, NOW.into()));
    assert_eq!(version.state_id, view("flights").state_id());
    assert_eq!(version.description, r#"{"view":"flights","contract":1,"inputs":[]}"#);
    assert_eq!(registry.latest_version(&name("flights")).await.unwrap(), version);
    assert_eq!(registry.versions(&name("flights")).await.unwrap().len(), 2);
    assert_eq!(registry.views().await.unwrap(), [name("flights"), name("tails")]);
    assert_eq!(registry.component(&version.digest).await.unwrap(), b"two");
    assert!(site.file(component_object(b"two")).is_file());
    assert!(site.file("views/flights/versions/0000000002.json").is_file());
}

async fn the_highest_release_is_in_force(site: &Site) {
    let registry = site.make().await;
    for wasm in [b"one", b"two"] {
        push(&registry, "flights", wasm).await;
    }
    assert!(registry.releases().await.unwrap().views.is_empty());
    // Back and forth past the ninth, where names that are not padded would sort wrongly.
    for seq in 1..=11 {
        let release = registry.release(&name("flights"), 1 + seq % 2, EventTime(seq as i64)).await.unwrap();
        assert_eq!(release.seq, seq);
    }
    let releases = registry.releases().await.unwrap();
    let release = releases.get(&name("flights")).unwrap();
    assert_eq!((release.seq, release.version, release.released.at), (11, 2, EventTime(11)));
    assert_eq!(release.digest, ComponentDigest::of(b"two"));
    assert_eq!(releases.get(&name("tails")), None);
    let history = registry.history(&name("flights")).await.unwrap();
    assert_eq!(history.iter().map(|release| release.seq).collect::<Vec<_>>(), (1..=11).collect::<Vec<_>>());
    let text = fs::read_to_string(site.file(release_object("flights", 11))).unwrap();
    let keys = ["view", "seq", "version", "digest", "kind", "released-at-micros"];
    assert!(keys.iter().all(|key| text.contains(&format!("\"{key}\": "))), "{text}");
}

async fn unknown_views_and_versions_say_what_there_is(site: &Site) {
    let registry = site.make().await;
    let unknown = registry.release(&name("flights"), 1, NOW).await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no view flights; nothing was pushed yet");
    push(&registry, "flights", b"one").await;
    push(&registry, "flights", b"two").await;
    push(&registry, "tails", b"one").await;
    let unknown = registry.release(&name("flights"), 5, NOW).await.unwrap_err();
    assert_eq!(unknown.to_string(), "view flights has no version 5; it has 1 to 2");
    for unknown in [
        registry.version(&name("airports"), 1).await.unwrap_err(),
        registry.versions(&name("airports")).await.unwrap_err(),
        registry.latest_version(&name("airports")).await.unwrap_err(),
    ] {
        assert_eq!(unknown.to_string(), "there is no view airports; the views are flights, tails");
        assert!(unknown.is_unknown());
    }
    assert_eq!(registry.history(&name("airports")).await, Ok(Vec::new()));
    let bad = registry.push(b"one", &view("flights"), "{", NOW).await.unwrap_err();
    assert!(matches!(bad, RegistryError::Description { .. }), "{bad}");
}

async fn foreign_names_are_passed_over(site: &Site) {
    let registry = site.make().await;
    serve(&registry, "flights", b"one").await;
    let views = site.file("views");
    fs::create_dir(views.join("Not A View")).unwrap();
    fs::write(views.join("notes.txt"), b"").unwrap();
    for foreign in ["2.json", "0000000002.json#1", "0000000002.json~", "0000000000.json", ".DS_Store"] {
        fs::write(views.join("flights/releases").join(foreign), b"?").unwrap();
    }
    let releases = registry.releases().await.unwrap();
    assert_eq!((releases.views.len(), releases.problems.len()), (1, 0));
    assert_eq!(serve(&registry, "flights", b"two").await, 2);
}

/// Every task has a registry of its own, as every process has.
async fn concurrent_pushes_and_releases_lose_nothing(site: &Site) {
    const TASKS: u64 = 48;
    let registry = site.make().await;
    push(&registry, "flights", b"first").await;
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let registry = site.open();
            tokio::spawn(async move {
                let own = push(&registry, "flights", format!("component {task}").as_bytes()).await;
                let shared = push(&registry, "flights", format!("shared {}", task % 4).as_bytes()).await;
                let released = registry.release(&name("flights"), own.0, EventTime(task as i64)).await.unwrap();
                (own, shared, released)
            })
        })
        .collect();
    let (mut owned, mut shared, mut seqs) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut first_shared = 0;
    for task in tasks {
        let (own, of_four, release) = task.await.unwrap();
        assert!(own.1);
        assert_eq!(release.version, own.0);
        owned.insert(own.0);
        shared.insert(of_four.0);
        first_shared += u64::from(of_four.1);
        seqs.insert(release.seq);
    }
    assert_eq!((owned.len() as u64, shared.len(), first_shared), (TASKS, 4, 4));
    assert_eq!(seqs, (1..=TASKS).collect());

    let versions = registry.versions(&name("flights")).await.unwrap();
    let digests: BTreeSet<_> = versions.iter().map(|version| version.digest).collect();
    let numbers: Vec<_> = versions.iter().map(|version| version.version).collect();
    assert_eq!(numbers, (1..=1 + TASKS + 4).collect::<Vec<_>>());
    assert_eq!(digests.len(), versions.len());
    let history = registry.history(&name("flights")).await.unwrap();
    assert_eq!(history.iter().map(|release| release.seq).collect::<Vec<_>>(), (1..=TASKS).collect::<Vec<_>>());
    let by_task: BTreeSet<_> = history.iter().map(|release| release.released.at).collect();
    assert_eq!(by_task.len(), history.len());
    assert_eq!(registry.releases().await.unwrap().views[&name("flights")].seq, TASKS);
}

/// Nobody takes another's record for its own, however alike they are.
async fn releases_that_are_alike_are_all_made(site: &Site) {
    const TASKS: u64 = 16;
    push(&site.make().await, "flights", b"one").await;
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let registry = site.open();
            tokio::spawn(async move { registry.release(&name("flights"), 1, NOW).await.unwrap().seq })
        })
        .collect();
    let mut seqs = BTreeSet::new();
    for task in tasks {
        seqs.insert(task.await.unwrap());
    }
    assert_eq!(seqs, (1..=TASKS).collect());
}

async fn a_registry_has_the_id_that_it_got_first_and_so_have_its_copies(site: &Site) {
    let registry = site.make().await;
    assert_eq!(registry.id(&id("one")).await.unwrap(), id("of-tests"));
    let copy = site.another();
    fs::create_dir_all(&copy.files).unwrap();
    fs::write(copy.file("id"), "one\n").unwrap();
    assert_eq!(copy.open().id(&id("two")).await.unwrap(), id("one"));
    fs::write(site.file("id"), "no id").unwrap();
    let error = registry.id(&id("two")).await.unwrap_err();
    assert!(error.is_damage() && error.to_string().contains("field id is `no id`"), "{error}");
}

over_both! {
    a_push_is_recorded_once
    the_highest_release_is_in_force
    unknown_views_and_versions_say_what_there_is
    foreign_names_are_passed_over
    concurrent_pushes_and_releases_lose_nothing
    releases_that_are_alike_are_all_made
    a_registry_has_the_id_that_it_got_first_and_so_have_its_copies
}

//! Watching the releases.

use std::fs;

use trifold_registry::RegistryError;

use crate::fixtures::{name, release_object, serve};
use crate::site::{Site, over_both};

async fn a_poll_returns_what_changed_and_nothing_otherwise(site: &Site) {
    let registry = site.make().await;
    let mut watcher = registry.watcher();
    assert!(watcher.poll().await.unwrap().unwrap().views.is_empty());
    assert_eq!(watcher.poll().await, Ok(None));
    serve(&registry, "flights", b"one").await;
    assert_eq!(watcher.poll().await.unwrap().unwrap().views[&name("flights")].seq, 1);
    assert_eq!(watcher.poll().await, Ok(None));
    serve(&registry, "tails", b"one").await;
    serve(&registry, "flights", b"two").await;
    let releases = watcher.poll().await.unwrap().unwrap();
    assert_eq!((releases.views[&name("flights")].version, releases.views[&name("tails")].version), (2, 1));
    // A release that is known is not read again: not even damage is noticed.
    fs::write(site.file(release_object("flights", 2)), b"?").unwrap();
    assert_eq!(watcher.poll().await, Ok(None));
}

async fn a_release_stays_in_force_while_a_newer_one_is_damaged_or_its_record_is_gone(site: &Site) {
    let registry = site.make().await;
    serve(&registry, "flights", b"one").await;
    serve(&registry, "flights", b"two").await;
    let mut watcher = registry.watcher();
    watcher.poll().await.unwrap();

    let newer = site.file(release_object("flights", 3));
    fs::write(&newer, b"?").unwrap();
    let releases = watcher.poll().await.unwrap().unwrap();
    assert_eq!(releases.views[&name("flights")].seq, 2);
    assert!(matches!(releases.problems[&name("flights")], RegistryError::DamagedRecord { .. }));
    assert_eq!(watcher.poll().await, Ok(None), "the problem is the same");
    fs::remove_file(&newer).unwrap();
    assert!(watcher.poll().await.unwrap().unwrap().problems.is_empty());

    let path = site.file(release_object("flights", 2));
    fs::remove_file(path).unwrap();
    let releases = watcher.poll().await.unwrap().unwrap();
    assert_eq!(releases.views[&name("flights")].seq, 2);
    assert_eq!(
        releases.problems[&name("flights")],
        RegistryError::Vanished { place: site.place(&release_object("flights", 2)) }
    );
}

async fn a_registry_that_went_away_is_an_error_and_not_an_empty_snapshot(site: &Site) {
    let registry = site.make().await;
    let (here, away) = (site.files.clone(), site.files.with_extension("away"));
    serve(&registry, "flights", b"one").await;
    let mut watcher = registry.watcher();
    watcher.poll().await.unwrap();
    fs::rename(&here, &away).unwrap();
    assert_eq!(watcher.poll().await, Err(RegistryError::Missing { place: site.location.clone() }));
    fs::rename(&away, &here).unwrap();
    assert_eq!(watcher.poll().await, Ok(None));
}

/// The watcher polls while releases are made: it sees them in ascending order, each whole.
async fn polls_during_releases_see_whole_releases_in_order(site: &Site) {
    const RELEASES: u64 = 40;
    let registry = site.make().await;
    let mut watcher = registry.watcher();
    let writer = tokio::spawn(async move {
        for release in 0..RELEASES {
            serve(&registry, "flights", &[release as u8 % 3]).await;
        }
    });
    let mut seen = 0;
    while seen < RELEASES {
        if let Some(releases) = watcher.poll().await.unwrap() {
            assert!(releases.problems.is_empty(), "{:?}", releases.problems);
            let seq = releases.views.get(&name("flights")).map_or(0, |release| release.seq);
            assert!(seq >= seen);
            seen = seq;
        }
    }
    writer.await.unwrap();
}

over_both! {
    a_poll_returns_what_changed_and_nothing_otherwise
    a_release_stays_in_force_while_a_newer_one_is_damaged_or_its_record_is_gone
    a_registry_that_went_away_is_an_error_and_not_an_empty_snapshot
    polls_during_releases_see_whole_releases_in_order
}

//! A server that does not see releases when they are made serves what one serves that saw each of them.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::legs::adding;
use crate::processes::{Server, Site, VIEWS};

/// Five releases of two views, each seen by a server.
fn release_five_times(site: &Site, watching: &Server) {
    let [hops, legs] = VIEWS;
    let mut seen = vec![site.standings(watching, false)];
    for (view, version) in [(legs, 2), (hops, 2), (legs, 3)] {
        site.release(view, version, &[watching]);
        seen.push(site.standings(watching, false));
    }
    for view in [hops, legs] {
        site.roll_back(view, &[watching]);
        seen.push(site.standings(watching, false));
    }
    seen.dedup();
    assert_eq!(seen.len(), 6, "{seen:?}");
}

fn site() -> Site {
    let site = Site::new();
    for (view, number) in [("legs", 2), ("hops", 2), ("legs", 3)] {
        assert_eq!(site.push(&adding(view, number as i64)), number);
    }
    site
}

#[test]
fn a_server_that_was_killed_before_five_releases() {
    let site = site();
    let (watching, data) = (Server::start(&site.data(), &["serve"]), site.data());
    let before = Server::start(&data, &["serve"]);
    let first = site.answers(&before);
    before.running.kill();
    release_five_times(&site, &watching);
    let back = Server::start(&data, &["serve"]);
    // At once, for it has looked before it listens.
    let answered = site.answers(&back);
    assert_eq!(answered, site.answers(&watching));
    assert_ne!(answered, first);
    assert_eq!(site.standings(&back, false), site.standings(&watching, false));
}

#[test]
fn a_server_that_was_stopped_during_five_releases() {
    let site = site();
    let [watching, away] = [(); 2].map(|()| Server::start(&site.data(), &["serve"]));
    let first = site.answers(&away);
    assert_eq!(first, site.answers(&watching));
    away.running.signal("STOP");
    while !is_stopped(away.running.pid()) {}
    let stop = Arc::new(AtomicBool::new(false));
    let asking = site.keep_asking(&away, &stop);
    release_five_times(&site, &watching);
    assert!(!asking.is_finished(), "a request of a server that is stopped failed");
    away.running.signal("CONT");
    // By itself, without a call.
    let last = site.standings(&watching, false);
    while site.standings(&away, false) != last {}
    stop.store(true, Ordering::Relaxed);
    assert!(!site.block_on(asking).unwrap().is_empty());
    let answered = site.answers(&away);
    assert_eq!(answered, site.answers(&watching));
    assert_ne!(answered, first);
}

fn is_stopped(pid: u32) -> bool {
    let told = Command::new("ps").args(["-o", "state=", "-p", &pid.to_string()]).output().unwrap();
    told.stdout.starts_with(b"T")
}

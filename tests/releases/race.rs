//! Processes that release different versions of a view at once make one timeline, and whoever watches them comes to its
//! end.

use std::collections::BTreeMap;
use std::thread;

use serde_json::Value;

use crate::legs::adding;
use crate::processes::{Server, Site, VIEWS};

const VIEW: &str = VIEWS[1];
const ROUNDS: u64 = 25;

#[test]
fn two_processes_that_release_at_once_make_one_timeline() {
    let site = Site::new();
    for version in 2..=3 {
        assert_eq!(site.push(&adding(VIEW, version)), version as u64);
    }
    let watching = [(); 2].map(|()| Server::start(&site.data(), &["serve"]));
    let release = |version: u64, by: &str| {
        let named = format!("{VIEW}@{version}");
        let released = site.operator.run(["release", &named, "--by", by, "--format", "json"]);
        released.succeeded().json()["release"].as_u64().unwrap()
    };
    let mut in_force = 1;
    let mut made = BTreeMap::from([(1, None)]);
    for round in 0..ROUNDS {
        // Neither is in force, so that both have something to do.
        let others: Vec<u64> = (1..=3).filter(|version| *version != in_force).collect();
        let numbers: Vec<_> = thread::scope(|scope| {
            let racing = others.iter().map(|&version| {
                let by = format!("{version} in round {round}");
                scope.spawn(move || (release(version, &by), (version, by)))
            });
            racing.collect::<Vec<_>>().into_iter().map(|racing| racing.join().unwrap()).collect()
        });
        in_force = numbers.iter().max().unwrap().1.0;
        for (number, call) in numbers {
            assert_eq!(made.insert(number, Some(call)), None, "two calls made release {number}");
        }
    }
    let releases = site.operator.run(["releases", VIEW, "--format", "json"]).succeeded().json();
    let releases = releases.as_array().unwrap();
    assert_eq!(releases.len() as u64, 1 + 2 * ROUNDS);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    for (release, (number, call)) in releases.iter().zip(&made) {
        assert_eq!(release["release"].as_u64(), Some(*number));
        if let Some((version, by)) = call {
            assert_eq!(
                (release["version"].as_u64(), text(&release["released-by"])),
                (Some(*version), Some(by.clone()))
            );
        }
    }
    assert_eq!(made.keys().copied().collect::<Vec<_>>(), (1..=1 + 2 * ROUNDS).collect::<Vec<_>>());
    let standings = watching.each_ref().map(|server| {
        loop {
            let standing = site.standings(server, false);
            if standing.iter().any(|(view, _, release, _)| view == VIEW && *release == Some(1 + 2 * ROUNDS)) {
                break standing;
            }
        }
    });
    assert_eq!(standings[0], standings[1]);
    assert_eq!(standings[0].iter().find(|(view, ..)| view == VIEW).map(|standing| standing.1), Some(in_force));
    let [one, other] = watching.each_ref().map(|server| site.answers(server));
    assert_eq!(one, other);
}

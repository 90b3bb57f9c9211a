//! Who did what and why, and taking releases back.

use std::fs;

use trifold_model::EventTime;
use trifold_registry::{Act, Registry, RegistryError, Trial};

use crate::fixtures::{DESCRIPTION, NOW, edit, name, push, release_object, serve, view, view_of_state};
use crate::site::{Site, over_both};

fn act(micros: i64, by: &str, note: &str) -> Act {
    Act { at: EventTime(micros), by: Some(by.to_owned()), note: Some(note.to_owned()) }
}

/// The versions that were in force one after the other.
async fn versions(registry: &Registry) -> Vec<u64> {
    registry.history(&name("flights")).await.unwrap().iter().map(|release| release.version).collect()
}

async fn it_is_recorded_who_did_what_and_why(site: &Site) {
    let registry = site.make().await;
    let pushed = act(1, "ada", "counts \"refunds\"\nand fees");
    let version = registry.push(b"one", &view("flights"), DESCRIPTION, pushed.clone()).await.unwrap().version;
    assert_eq!(version.pushed, pushed);
    let released = act(2, "bob", "for the new model");
    registry.release(&name("flights"), 1, released.clone()).await.unwrap();
    // Whoever pushes the same again does not take the place of whoever was first.
    let again = registry.push(b"one", &view("flights"), DESCRIPTION, act(3, "eve", "mine")).await.unwrap();
    assert_eq!((again.new, again.version.pushed), (false, pushed.clone()));
    let reopened = site.open();
    assert_eq!(reopened.version(&name("flights"), 1).await.unwrap().pushed, pushed);
    let [release] = reopened.history(&name("flights")).await.unwrap().try_into().unwrap();
    assert_eq!((release.released, release.takes_back), (released, None));
}

async fn records_that_say_nothing_of_it_are_read(site: &Site) {
    let registry = site.make().await;
    serve(&registry, "flights", b"one").await;
    for path in [site.file(release_object("flights", 1)), site.file("views/flights/versions/0000000001.json")] {
        let text = fs::read_to_string(path).unwrap();
        for field in ["pushed-by", "released-by", "note", "takes-back"] {
            assert!(!text.contains(field), "{text}");
        }
    }
    let version = registry.version(&name("flights"), 1).await.unwrap();
    assert_eq!(version.pushed, NOW.into());
    let releases = registry.releases().await.unwrap();
    assert_eq!(releases.get(&name("flights")).unwrap().released, NOW.into());
}

async fn states_that_were_built_and_given_up_are_nobodys(site: &Site) {
    let (registry, flights) = (site.make().await, name("flights"));
    for (wasm, state) in [(&b"one"[..], 1), (b"two", 2), (b"three", 2), (b"four", 3), (b"five", 1)] {
        registry.push(wasm, &view_of_state("flights", state), DESCRIPTION, NOW).await.unwrap();
    }
    let given_up = async || -> Vec<_> { registry.given_up(&flights).await.unwrap().into_iter().collect() };
    let of_state = |state| view_of_state("flights", state).state_id();
    registry.release(&flights, 1, NOW).await.unwrap();
    registry.try_out(&flights, 2, Trial::Bootstrap, NOW).await.unwrap();
    assert_eq!(given_up().await, [], "it is being built");
    registry.roll_back(&flights, NOW).await.unwrap();
    assert_eq!(given_up().await, [of_state(2)]);
    // Another version with the same state is tried out, and then yet another one in its place.
    registry.try_out(&flights, 3, Trial::Shadow, NOW).await.unwrap();
    assert_eq!(given_up().await, []);
    registry.try_out(&flights, 4, Trial::Bootstrap, NOW).await.unwrap();
    assert_eq!(given_up().await, [of_state(2)]);
    registry.release(&flights, 4, NOW).await.unwrap();
    registry.roll_back(&flights, NOW).await.unwrap();
    assert_eq!(given_up().await, [], "what was tried out before is again");
    registry.roll_back(&flights, NOW).await.unwrap();
    // What was in force once may be again, and what shares a state with it was never apart.
    registry.try_out(&flights, 5, Trial::Shadow, NOW).await.unwrap();
    registry.roll_back(&flights, NOW).await.unwrap();
    assert_eq!(given_up().await, [of_state(2)]);
    registry.release(&flights, 3, NOW).await.unwrap();
    registry.release(&flights, 1, NOW).await.unwrap();
    assert_eq!(given_up().await, []);
}

async fn releases_are_taken_back_one_after_the_other(site: &Site) {
    let registry = site.make().await;
    for wasm in [&b"one"[..], b"two", b"three"] {
        serve(&registry, "flights", wasm).await;
    }
    let flights = name("flights");
    let back = registry.roll_back(&flights, act(4, "ada", "nulls since noon")).await.unwrap();
    assert_eq!((back.seq, back.version, back.takes_back), (4, 2, Some(3)));
    assert_eq!(back.digest, registry.version(&flights, 2).await.unwrap().digest);
    assert_eq!(registry.releases().await.unwrap().get(&flights), Some(&back));
    let back = registry.roll_back(&flights, NOW).await.unwrap();
    assert_eq!((back.version, back.takes_back), (1, Some(2)));
    let nothing = registry.roll_back(&flights, NOW).await.unwrap_err();
    assert_eq!(nothing, RegistryError::NothingBefore { view: flights.clone(), version: 1 });
    // What is released afterwards stands on what is in force, and not on what was taken back.
    registry.release(&flights, 3, NOW).await.unwrap();
    registry.release(&flights, 2, NOW).await.unwrap();
    let back = registry.roll_back(&flights, NOW).await.unwrap();
    assert_eq!((back.seq, back.version, back.takes_back), (8, 3, Some(7)));
    assert_eq!(registry.roll_back(&flights, NOW).await.unwrap().version, 1);
    assert_eq!(versions(&registry).await, [1, 2, 3, 2, 1, 3, 2, 3, 1]);
    let reopened = site.open();
    assert_eq!(reopened.releases().await.unwrap().get(&flights).unwrap().takes_back, Some(6));
}

async fn what_cannot_be_taken_back_is_refused(site: &Site) {
    let registry = site.make().await;
    let flights = name("flights");
    let unknown = registry.roll_back(&flights, NOW).await.unwrap_err();
    assert_eq!(unknown, RegistryError::UnknownView { view: flights.clone(), known: Vec::new() });
    push(&registry, "flights", b"one").await;
    let never = registry.roll_back(&flights, NOW).await.unwrap_err();
    assert_eq!(never, RegistryError::NeverReleased { view: flights.clone() });
    assert!(unknown.is_unknown() && never.is_unknown());
    serve(&registry, "flights", b"one").await;
    serve(&registry, "flights", b"two").await;
    // What would come into force cannot serve.
    let digest = registry.version(&flights, 1).await.unwrap().digest;
    fs::remove_file(site.file(format!("components/sha256/{digest}.wasm"))).unwrap();
    assert!(registry.roll_back(&flights, NOW).await.unwrap_err().is_damage());
    assert_eq!(versions(&registry).await, [1, 2]);
    push(&registry, "flights", b"one").await;
    edit(&site.file(release_object("flights", 1)), "\"full\"", "\"half\"");
    assert!(registry.roll_back(&flights, NOW).await.unwrap_err().is_damage());
}

/// Every process writes its own clock's time, and none reads another's.
async fn the_order_is_that_of_the_numbers_whatever_the_clocks_say(site: &Site) {
    const HOUR: i64 = 3_600_000_000;
    let registry = site.make().await;
    let flights = name("flights");
    for (wasm, hours) in [(&b"one"[..], 0), (b"two", 5), (b"three", -5)] {
        registry.push(wasm, &view("flights"), DESCRIPTION, EventTime(NOW.0 + hours * HOUR)).await.unwrap();
    }
    let mut watcher = registry.watcher();
    for (seq, (version, hours)) in (1..).zip([(1, 0), (2, 9), (3, -9), (1, 3), (2, -3)]) {
        let release = site.open().release(&flights, version, EventTime(NOW.0 + hours * HOUR)).await.unwrap();
        assert_eq!((release.seq, release.released.at), (seq, EventTime(NOW.0 + hours * HOUR)));
        assert_eq!(watcher.poll().await.unwrap().unwrap().get(&flights), Some(&release));
    }
    // What is taken back is the last one by number, and not by time.
    let back = registry.roll_back(&flights, EventTime(NOW.0 - 99 * HOUR)).await.unwrap();
    assert_eq!((back.seq, back.version, back.takes_back), (6, 1, Some(5)));
    assert_eq!(site.open().releases().await.unwrap().get(&flights), Some(&back));
    assert_eq!(versions(&registry).await, [1, 2, 3, 1, 2, 1]);
    assert_eq!(registry.latest_version(&flights).await.unwrap().version, 3);
}

/// Every task has a registry of its own, as every process has.
async fn of_those_who_take_the_same_release_back_one_does(site: &Site) {
    const ROUNDS: u64 = 20;
    let registry = site.make().await;
    serve(&registry, "flights", b"one").await;
    serve(&registry, "flights", b"two").await;
    for round in 0..ROUNDS {
        let both = [0, 1].map(|_| {
            let registry = site.open();
            tokio::spawn(async move { registry.roll_back(&name("flights"), NOW).await })
        });
        let mut done = 0;
        for task in both {
            match task.await.unwrap() {
                Ok(release) => {
                    assert_eq!(release.version, 1);
                    done += 1;
                }
                // The one saw the other's file, or came behind it.
                Err(RegistryError::Overtaken { .. } | RegistryError::NothingBefore { version: 1, .. }) => {}
                Err(error) => panic!("round {round}: {error}"),
            }
        }
        assert_eq!(done, 1, "round {round}");
        registry.release(&name("flights"), 2, NOW).await.unwrap();
    }
}

over_both! {
    it_is_recorded_who_did_what_and_why
    records_that_say_nothing_of_it_are_read
    releases_are_taken_back_one_after_the_other
    states_that_were_built_and_given_up_are_nobodys
    what_cannot_be_taken_back_is_refused
    the_order_is_that_of_the_numbers_whatever_the_clocks_say
    of_those_who_take_the_same_release_back_one_does
}

//! Versions of a window view that have one state id must fold alike.

use trifold_cli::exit::Exit;
use trifold_tests::command::{Ran, Trifold};
use trifold_tests::guests::component;

use crate::command::PROGRAM;

fn push(trifold: &Trifold, features: &[&str]) -> Ran {
    trifold.run(["push", component("window-fold", features).path.to_str().unwrap()])
}

#[test]
fn a_version_that_folds_otherwise_needs_another_state_version() {
    let trifold = Trifold::new(PROGRAM);
    push(&trifold, &[]).succeeded();
    // Another one that folds alike and finishes otherwise, so that later ones are held against both.
    push(&trifold, &["refuses"]).succeeded();
    let cases = [
        ("repacked", "version 1 has another state after 1 events"),
        ("rounds", "version 1 prepares sample event"),
        ("choosy", "version 1 and this one do not both accept sample event"),
        ("regroups", "version 1 merges states otherwise"),
    ];
    for (feature, difference) in cases {
        let parts = ["view window_fold: the publish gate refuses", difference, "raise `state_version`"];
        push(&trifold, &[feature]).refused(Exit::Refused, &parts);
        let path = component("window-fold", &[feature]).path.clone();
        trifold.run(["check", path.to_str().unwrap()]).refused(Exit::Refused, &parts);
    }
    // Other windows are another state, which nobody shares.
    push(&trifold, &["limits"]).succeeded();
    let versions = trifold.run(["versions", "window_fold", "--format", "json"]).succeeded().json();
    assert_eq!(versions.as_array().map(Vec::len), Some(3));
}

/// What cannot run cannot serve either, and keeps nobody from pushing what can.
#[test]
fn an_earlier_version_that_is_damaged_is_passed_over() {
    let trifold = Trifold::new(PROGRAM);
    push(&trifold, &[]).succeeded();
    let blob = trifold.data(format!("registry/components/sha256/{}.wasm", component("window-fold", &[]).digest));
    std::fs::write(&blob, "nothing").unwrap();
    let pushed = push(&trifold, &["repacked"]).succeeded();
    assert!(pushed.stderr.contains("not compared with a version that does not run"), "{pushed:?}");
    std::fs::remove_file(trifold.data("registry/views/window_fold/versions/0000000001.json")).unwrap();
    push(&trifold, &["refuses"]).refused(Exit::Refused, &["version 2 has another state"]);
}

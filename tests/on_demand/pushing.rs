//! What an on-demand view reads is checked before it enters the registry.

use std::fs;

use serde_json::{Value, json};
use trifold_cli::exit::Exit;
use trifold_model::EventTime;
use trifold_registry::Registry;
use trifold_tests::command::{Ran, Trifold};
use trifold_tests::guests::component;
use trifold_tests::live::transform;
use trifold_tests::online::runtime;
use trifold_wat_guest::Guest;

use crate::views::{context, feature, latest};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_trifold-under-test");

/// Runs a command on a guest's component.
pub(crate) fn run(trifold: &Trifold, command: &[&str], guest: &Guest) -> Ran {
    let path = trifold.path("component.wasm");
    fs::write(&path, guest.build().unwrap()).unwrap();
    trifold.run(command.iter().copied().chain([path.to_str().unwrap()]))
}

/// A registry with the views that `context` reads. Only one of them is in force.
pub(crate) fn with_what_is_read() -> Trifold {
    let trifold = Trifold::new(PROGRAM);
    let numbers = transform("window-numbers", &[]);
    let registry = Registry::local(&trifold.data("registry"), true).unwrap();
    runtime().block_on(async {
        let wasm = &component("window-numbers", &[]).component;
        let at = EventTime(0);
        let pushed = registry.push(wasm, numbers.view(), numbers.description(), at).await.unwrap().version;
        registry.release(&pushed.view, pushed.version, at).await.unwrap();
    });
    run(&trifold, &["push"], &latest()).succeeded();
    trifold
}

fn changed(change: impl FnOnce(&mut Value)) -> Guest {
    let mut view = context();
    change(&mut view);
    Guest::new(view)
}

#[test]
fn a_view_that_reads_what_is_there_is_pushed_and_inspected() {
    let trifold = with_what_is_read();
    let guest = Guest::new(context());
    run(&trifold, &["check"], &guest).succeeded();
    run(&trifold, &["push", "--release"], &guest).succeeded();
    let inspected = run(&trifold, &["inspect"], &guest).succeeded().stdout;
    assert!(inspected.starts_with("on-demand view context\n"), "{inspected}");
    for line in ["amount  float64?  request", "last    int64?    latest.value_out"] {
        assert!(inspected.contains(line), "`{line}` is not in: {inspected}");
    }
    assert!(!inspected.contains("lateness"), "{inspected}");
}

#[test]
fn without_a_registry_nothing_can_be_read() {
    let trifold = Trifold::new(PROGRAM);
    run(&trifold, &["push"], &Guest::new(context())).refused(Exit::NotFound, &["there is no registry at"]);
}

#[test]
fn what_is_not_there_is_refused_with_all_that_is_wrong() {
    let trifold = with_what_is_read();
    let refused = |guest: &Guest, parts: &[&str]| {
        for command in ["check", "push"] {
            run(&trifold, &[command], guest).refused(Exit::Refused, parts);
        }
    };
    let guest = changed(|view| {
        view["inputs"][2]["source"] = feature("gone.count");
        view["inputs"][3]["source"] = feature("latest.value");
        view["inputs"][4]["source"] = feature("window_numbers.events_1m");
    });
    let parts = [
        "view context cannot read what it asks for: ",
        "input count is the feature gone.count, but there is no view gone: push and release it first",
        "input last is the feature latest.value, but view latest has no feature value: it has key_out, value_out",
        "input share is the feature window_numbers.events_1m, which is of type int64, but the input is of type float64",
    ];
    refused(&guest, &parts);
    let guest = changed(|view| view["inputs"][0]["name"] = json!("card"));
    let part = "view latest is keyed by key of type int64, and no input has that name: add a required input key";
    refused(&guest, &[part, "view window_numbers is keyed by key"]);
    run(&trifold, &["push"], &Guest::new(context())).succeeded();
    let guest = changed(|view| {
        view["view"] = json!("other");
        view["inputs"][2]["source"] = feature("context.count_out");
    });
    refused(&guest, &["input count is the feature context.count_out, but context is an on-demand view itself"]);
}

#[test]
fn a_sample_of_events_is_none_of_an_on_demand_view() {
    let trifold = with_what_is_read();
    let sample = ["check", "--sample", "events.jsonl"];
    run(&trifold, &sample, &Guest::new(context())).refused(Exit::Usage, &["leave `--sample` out"]);
}

//! Components whose rows depend on more than themselves.

use trifold_author::BuildError;
use trifold_pipeline::{GateCheck, GateReport, publish_gate, synthetic_samples};
use trifold_sandbox::Transform;
use trifold_tests::guests::{refusal, refused_component};
use trifold_tests::live::{admit, transform};
use trifold_wat_guest::unruly;

const SEED: u64 = 7;

fn gate(transform: &Transform) -> GateReport {
    publish_gate(transform, &[], &synthetic_samples(transform.view(), SEED, 64).unwrap(), SEED).unwrap()
}

/// The names of the checks that failed.
fn failed(report: &GateReport) -> Vec<&'static str> {
    report.checks.iter().filter(|check| check.failure.is_some()).map(|check| check.name).collect()
}

#[test]
fn a_static_counter_is_caught_in_batches_and_in_used_instances() {
    let report = gate(&transform("static-counter", &[]));
    assert_eq!(
        failed(&report),
        [
            "all rows in one batch",
            "all rows in one batch, shuffled",
            "each row in a used instance",
            "all rows, shuffled, in a used instance"
        ]
    );
    let failure = report.checks[2].failure.as_ref().unwrap();
    assert_eq!(failure, "sample row 1: seen: 1 against 2 (alone against here)");
}

#[test]
fn a_fold_whose_order_shows_may_not_claim_any() {
    let passed = gate(&transform("window-fold", &[]));
    assert!(passed.passed(), "{passed:?}");
    let report = gate(&transform("window-fold", &["claims-any"]));
    assert_eq!(
        failed(&report),
        ["events folded in any order", "events folded in groups that are merged in any order"]
    );
    let advice: Vec<_> =
        report.checks.iter().filter(|check| check.failure.is_some()).map(GateCheck::advice).collect();
    assert!(advice.iter().all(|advice| advice.contains("`event-time`")), "{advice:?}");
}

#[test]
fn a_row_that_shows_the_tiles_of_other_entities_is_caught() {
    let report = gate(&transform("window-fold", &["peeks"]));
    let failed = failed(&report);
    assert!(failed.contains(&"entities finished alone, together, shuffled and in a used instance"), "{report:?}");
    let failures = report.checks.iter().filter_map(|check| check.failure.as_ref());
    assert!(failures.clone().any(|failure| failure.contains(", together: count_1m: ")), "{report:?}");
}

#[test]
fn a_state_that_forgets_is_caught() {
    let report = gate(&transform("window-fold", &["forgets"]));
    assert_eq!(failed(&report)[0], "events folded in two calls", "{report:?}");
}

#[test]
fn a_randomly_ordered_map_is_refused_when_it_is_built() {
    let error = refusal("random-order");
    assert!(matches!(error, BuildError::RandomState { .. }), "{error}");
    let text = error.to_string();
    for part in ["package random-order", "RandomState", "random_order::random_order", "FixedMap"] {
        assert!(text.contains(part), "`{part}` is missing: {text}");
    }
}

#[test]
fn a_randomly_ordered_map_that_was_built_all_the_same_is_caught() {
    let report = gate(&admit(&refused_component("random-order")));
    let failed = failed(&report);
    assert!(failed.contains(&"all rows in one batch"), "{report:?}");
    assert!(failed.contains(&"each row in a used instance"), "{report:?}");
    let failure = report.checks[2].failure.as_ref().unwrap();
    assert!(failure.contains("numbers: "), "{failure}");
}

#[test]
fn a_component_whose_rows_are_unavailable_has_shown_nothing() {
    let report = gate(&transform("deep-recursion", &[]));
    assert!(!report.passed());
    let failure = report.checks[1].failure.as_ref().unwrap();
    assert!(failure.contains("unavailable: view deep_recursion: native stack limit"), "{failure}");
}

/// Act 14 answers how many rows the instance has seen, and generated rows hardly ever ask for it.
#[test]
fn what_samples_do_not_touch_is_not_caught() {
    let counter = admit(&unruly("unruly", |_| {}).build().unwrap());
    assert!(gate(&counter).passed());
}

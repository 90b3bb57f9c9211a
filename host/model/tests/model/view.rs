use trifold_model::view::FIELDS_MAX;
use trifold_model::{
    FeatureRef, FeatureView, FieldType, FoldOrder, ItemType, OnDemandSpec, RowLimits, Span, ViewKind, ViewSpec,
    Window, WindowSpec,
};

use crate::random::field;

/// A view without a flaw.
pub(crate) fn spec() -> ViewSpec {
    ViewSpec {
        name: "flight_profile".parse().unwrap(),
        kind: ViewKind::Row,
        doc: "What a flight looks like.".to_owned(),
        entity: vec!["flight".parse().unwrap(), "carrier".parse().unwrap()],
        inputs: vec![
            field("carrier", FieldType::Utf8, false),
            field("flight", FieldType::Int64, false),
            field("event_time", FieldType::Timestamp, false),
            field("dep_delay", FieldType::Float64, true),
        ],
        outputs: vec![field("hour", FieldType::Int64, false), field("dep_delay", FieldType::Float64, true)],
        ttl: None,
        lateness: Span::from_seconds(7_200),
        max_early: Span::from_seconds(300),
        state_version: 1,
        limits: RowLimits::default(),
    }
}

#[track_caller]
fn check(change: impl FnOnce(&mut ViewSpec), expected: &[&str]) {
    let mut spec = spec();
    change(&mut spec);
    match FeatureView::new(spec) {
        Ok(_) => assert!(expected.is_empty(), "accepted"),
        Err(error) => {
            assert_eq!(error.problems, expected);
            assert_eq!(error.to_string(), format!("view flight_profile: {}", expected.join("; ")));
        }
    }
}

#[test]
fn a_view_knows_its_key_in_declared_order() {
    let view = FeatureView::new(spec()).unwrap();
    assert_eq!(view.key_columns(), [1, 0]);
    let names: Vec<_> = view.key_fields().iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["flight", "carrier"]);
    assert_eq!(view.input_schema().fields().len(), 4);
    assert!(view.output_schema().field(1).is_nullable());
}

#[test]
fn each_problem_is_reported() {
    check(|_| {}, &[]);
    check(|spec| spec.outputs.clear(), &["it has no output fields"]);
    check(|spec| spec.entity.clear(), &["it has no entity fields"]);
    let many = || (0..=FIELDS_MAX).map(|index| field(&format!("f{index}"), FieldType::Bool, true)).collect();
    check(|spec| spec.outputs = many(), &["it has 1025 output fields, the most is 1024"]);
    check(|spec| spec.outputs[1] = spec.outputs[0].clone(), &["output field hour is declared twice"]);
    check(|spec| spec.inputs.push(spec.inputs[3].clone()), &["input field dep_delay is declared twice"]);
    check(|spec| spec.entity[1] = spec.entity[0].clone(), &["entity field flight is declared twice"]);
    check(|spec| spec.entity[1] = "tailnum".parse().unwrap(), &["entity field tailnum is not an input"]);
    check(|spec| spec.inputs[0].nullable = true, &["entity field carrier may not be nullable"]);
    check(|spec| spec.limits.fuel = 9_999, &["the fuel limit 9999 is outside 10000 to 2000000000"]);
    check(
        |spec| spec.limits.memory_bytes = u64::MAX,
        &["the memory limit of 18446744073709551615 bytes is outside 2097152 to 268435456"],
    );
    for ty in [FieldType::Float32, FieldType::Float64, FieldType::List(ItemType::Int64)] {
        let expected = format!("entity field flight has type {ty}, which cannot be a key");
        check(|spec| spec.inputs[1].ty = ty, &[expected.as_str()]);
    }
}

#[test]
fn reserved_inputs_keep_their_type() {
    let time = "input event_time is the event's own and must be a required timestamp";
    check(|spec| spec.inputs[2].ty = FieldType::Int64, &[time]);
    check(|spec| spec.inputs[2].nullable = true, &[time]);
    let id = "input event_id is the event's own and must be a required utf8";
    check(|spec| spec.inputs.push(field("event_id", FieldType::Int64, false)), &[id]);
    check(|spec| spec.inputs.push(field("event_id", FieldType::Utf8, true)), &[id]);
    check(|spec| spec.inputs.push(field("event_id", FieldType::Utf8, false)), &[]);
}

#[test]
fn all_problems_are_reported_at_once() {
    let change = |spec: &mut ViewSpec| {
        spec.outputs.clear();
        spec.entity.push("flight".parse().unwrap());
        spec.inputs[1].ty = FieldType::Float64;
        spec.inputs[2].nullable = true;
        spec.limits = RowLimits { fuel: 0, memory_bytes: 0 };
    };
    check(
        change,
        &[
            "it has no output fields",
            "entity field flight has type float64, which cannot be a key",
            "entity field flight is declared twice",
            "entity field flight has type float64, which cannot be a key",
            "input event_time is the event's own and must be a required timestamp",
            "the fuel limit 0 is outside 10000 to 2000000000",
            "the memory limit of 0 bytes is outside 2097152 to 268435456",
        ],
    );
}

/// Windows of so many seconds and hops.
pub(crate) fn windows(windows: &[(u64, u64)]) -> ViewKind {
    ViewKind::Window(WindowSpec {
        windows: windows.iter().map(|&(length, hop)| Window::from_seconds(length, Some(hop)).unwrap()).collect(),
        prepared: vec![field("delay", FieldType::Float64, false)],
        order: FoldOrder::Any,
        deduplicate: true,
    })
}

#[test]
fn windows_have_a_length_and_a_hop_that_divides_it() {
    let check = |given: &[(u64, u64)], expected: &[&str]| check(|spec| spec.kind = windows(given), expected);
    check(&[(60, 60), (3600, 60), (10_000, 1)], &[]);
    check(&[], &["it has no windows"]);
    check(&[(60, 3600)], &["the window 1m is shorter than its hop 1h"]);
    check(&[(100, 60)], &["the hop 1m does not divide the window 100s"]);
    check(&[(0, 60)], &["the window 0s with hop 1m: both must be longer than nothing"]);
    check(&[(60, 0)], &["the window 1m with hop 0s: both must be longer than nothing"]);
    check(&[(60, 10), (60, 10)], &["the window 1m with hop 10s is declared twice"]);
    check(&[(10_001, 1)], &["the window 10001s has 10001 tiles of 1s, the most is 10000"]);
    let many: Vec<_> = (1..=17).map(|length| (length, 1)).collect();
    check(&many, &["it has 17 windows, the most is 16"]);
}

#[test]
fn an_on_demand_view_has_a_request_and_features_instead_of_events() {
    let change = |features: &[(&str, &str)]| {
        let parsed = |(input, view): &(&str, &str)| {
            let feature = FeatureRef { view: view.parse().unwrap(), feature: "count_1h".parse().unwrap() };
            (input.parse().unwrap(), feature)
        };
        let features = features.iter().map(parsed).collect();
        move |spec: &mut ViewSpec| {
            spec.kind = ViewKind::OnDemand(OnDemandSpec { features });
            spec.entity.clear();
            (spec.lateness, spec.max_early) = (None, None);
            // It comes from the request, where the name means nothing special.
            spec.inputs[2].ty = FieldType::Int64;
        }
    };
    check(change(&[]), &[]);
    check(change(&[("dep_delay", "load")]), &[]);
    check(
        change(&[("carrier", "load"), ("dep_delay", "flight_profile"), ("other", "load")]),
        &[
            "input carrier is the feature load.count_1h, which a lookup may be without, so it must be nullable",
            "input dep_delay is the feature flight_profile.count_1h of the view itself",
            "the feature load.count_1h is that of other, which is not an input",
        ],
    );
    let with_events = |spec: &mut ViewSpec| spec.kind = ViewKind::OnDemand(OnDemandSpec::default());
    let problems = ["entity fields", "an allowed lateness", "a limit of earliness"];
    let problems = problems.map(|what| format!("it has {what}, but an on-demand view sees no events"));
    check(with_events, &problems.each_ref().map(String::as_str));
}

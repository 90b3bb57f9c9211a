use trifold_model::{FieldType, FoldOrder, RowLimits, Span, StateId, ViewKind, ViewSpec, WindowSpec};

use crate::random::field;
use crate::view::{spec, windows};

fn changed(change: impl FnOnce(&mut ViewSpec)) -> StateId {
    let mut spec = spec();
    change(&mut spec);
    StateId::of(&spec)
}

fn window_changed(change: impl FnOnce(&mut WindowSpec)) -> StateId {
    changed(|spec| {
        spec.kind = windows(&[(3600, 60)]);
        if let ViewKind::Window(windows) = &mut spec.kind {
            change(windows);
        }
    })
}

#[test]
fn the_state_id_changes_with_each_part() {
    let ids = [
        StateId::of(&spec()),
        changed(|spec| spec.name = "other".parse().unwrap()),
        changed(|spec| spec.kind = windows(&[(3600, 60)])),
        changed(|spec| spec.kind = windows(&[(7200, 60)])),
        changed(|spec| spec.kind = windows(&[(3600, 30)])),
        changed(|spec| spec.kind = windows(&[(3600, 60), (7200, 60)])),
        window_changed(|spec| spec.order = FoldOrder::EventTime),
        window_changed(|spec| spec.deduplicate = false),
        window_changed(|spec| spec.prepared[0].nullable = true),
        changed(|spec| spec.state_version = 2),
        changed(|spec| spec.lateness = None),
        changed(|spec| spec.lateness = Span::from_seconds(1)),
        changed(|spec| spec.max_early = None),
        changed(|spec| spec.max_early = Span::from_seconds(1)),
        // What was the lateness becomes max-early, and the other way round.
        changed(|spec| std::mem::swap(&mut spec.lateness, &mut spec.max_early)),
        changed(|spec| spec.entity.truncate(1)),
        changed(|spec| spec.entity.reverse()),
        changed(|spec| spec.inputs.truncate(3)),
        changed(|spec| spec.inputs.reverse()),
        changed(|spec| spec.inputs[3].name = "arr_delay".parse().unwrap()),
        changed(|spec| spec.inputs[3].ty = FieldType::Float32),
        changed(|spec| spec.inputs[3].nullable = false),
        changed(|spec| spec.inputs.push(field("origin", FieldType::Utf8, true))),
    ];
    for (index, id) in ids.iter().enumerate() {
        assert!(!ids[..index].contains(id), "case {index} has the state id of an earlier one");
    }
}

#[test]
fn the_state_id_does_not_change_with_anything_else() {
    let id = StateId::of(&spec());
    assert_eq!(id, changed(|spec| spec.doc = "Another text.".to_owned()));
    assert_eq!(id, changed(|spec| spec.inputs[0].doc = "Another text.".to_owned()));
    assert_eq!(id, changed(|spec| spec.outputs[0].doc = "Another text.".to_owned()));
    assert_eq!(id, changed(|spec| spec.outputs.push(field("more", FieldType::Bool, true))));
    assert_eq!(id, changed(|spec| spec.ttl = Span::from_seconds(5)));
    let limits = RowLimits { fuel: 10_000, memory_bytes: 2 << 20 };
    assert_eq!(id, changed(|spec| spec.limits = limits));
}

#[test]
fn a_view_carries_its_state_id() {
    let view = trifold_model::FeatureView::new(spec()).unwrap();
    assert_eq!(view.state_id(), StateId::of(&spec()));
    assert_eq!(view.state_id().to_string().parse(), Ok(view.state_id()));
}

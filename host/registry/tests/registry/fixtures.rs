//! What the tests push, and where.

use std::fs;
use std::path::Path;

use trifold_model::{
    ComponentDigest, EventTime, FeatureView, Field, FieldType, RowLimits, ViewKind, ViewName, ViewSpec,
};
use trifold_registry::Registry;

pub(crate) const DESCRIPTION: &str = r#"{ "view": "flights", "contract": 1, "inputs": [] }"#;
pub(crate) const NOW: EventTime = EventTime(1_357_000_000_000_000);

pub(crate) fn name(view: &str) -> ViewName {
    view.parse().unwrap()
}

pub(crate) fn view(view: &str) -> FeatureView {
    view_of_state(view, 1)
}

/// The same with another state.
pub(crate) fn view_of_state(view: &str, state_version: u32) -> FeatureView {
    let field = |field: &str| Field {
        name: field.parse().unwrap(),
        ty: FieldType::Utf8,
        nullable: false,
        doc: String::new(),
    };
    FeatureView::new(ViewSpec {
        name: name(view),
        kind: ViewKind::Row,
        doc: String::new(),
        entity: vec!["tailnum".parse().unwrap()],
        inputs: vec![field("tailnum")],
        outputs: vec![field("tail")],
        ttl: None,
        lateness: None,
        max_early: None,
        state_version,
        limits: RowLimits::default(),
    })
    .unwrap()
}

pub(crate) async fn push(registry: &Registry, of: &str, wasm: &[u8]) -> (u64, bool) {
    let pushed = registry.push(wasm, &view(of), DESCRIPTION, NOW).await.unwrap();
    (pushed.version.version, pushed.new)
}

/// Pushes and releases one version of a view.
pub(crate) async fn serve(registry: &Registry, of: &str, wasm: &[u8]) -> u64 {
    let (version, _) = push(registry, of, wasm).await;
    registry.release(&name(of), version, NOW).await.unwrap().seq
}

pub(crate) fn component_object(wasm: &[u8]) -> String {
    format!("components/sha256/{}.wasm", ComponentDigest::of(wasm))
}

pub(crate) fn release_object(view: &str, seq: u64) -> String {
    format!("views/{view}/releases/{seq:010}.json")
}

pub(crate) fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

//! What the stock transforms and the example use of the contract between them.

use trifold_model::{FieldType, ItemType, ViewKind};
use trifold_tests::live::transform;

#[test]
fn the_views_that_come_along_use_every_kind_of_type() {
    let packages = ["calendar", "text-embedding", "flight-profile", "aircraft"];
    let views = packages.map(|package| transform(package, &[]).view().clone());
    assert!(views.iter().all(|view| view.kind == ViewKind::Row));
    let inputs: Vec<_> = views.iter().flat_map(|view| &view.inputs).collect();
    let outputs: Vec<_> = views.iter().flat_map(|view| &view.outputs).collect();
    for ty in [FieldType::Float64, FieldType::Utf8, FieldType::Timestamp, FieldType::Int64, FieldType::Bool] {
        assert!(inputs.iter().any(|field| field.ty == ty), "no input is a {ty}");
    }
    for ty in [FieldType::Float64, FieldType::Utf8, FieldType::Int64, FieldType::List(ItemType::Float32)] {
        assert!(outputs.iter().any(|field| field.ty == ty), "no output is a {ty}");
    }
    assert!(inputs.iter().any(|field| field.nullable) && outputs.iter().any(|field| field.nullable));
    let keys: Vec<Vec<_>> =
        views.iter().map(|view| view.key_fields().iter().map(|key| key.name.as_str()).collect()).collect();
    assert!(keys.contains(&vec!["carrier", "flight"]) && keys.contains(&vec!["tailnum"]), "{keys:?}");
}

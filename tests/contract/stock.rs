//! What the stock transforms and the example use of the contract between them.

use std::fs;

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
        views.iter().map(|view| view.key_fields().map(|key| key.name.as_str()).collect()).collect();
    assert!(keys.contains(&vec!["carrier", "flight"]) && keys.contains(&vec!["tailnum"]), "{keys:?}");
}

/// The SDK is for those who have nothing but it.
#[test]
fn the_sdk_can_be_packed_with_the_contract_in_it() {
    let target = tempfile::tempdir().unwrap();
    let mut cargo = std::process::Command::new("cargo");
    cargo.args([
        "package",
        "--offline",
        "--allow-dirty",
        "--no-verify",
        "-p",
        "trifold-sdk",
        "-p",
        "trifold-sdk-macros",
    ]);
    let packed = cargo.current_dir(trifold_tests::root()).arg("--target-dir").arg(target.path()).output().unwrap();
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    let mut crates = fs::read_dir(target.path().join("package")).unwrap().map(|entry| entry.unwrap().path());
    let sdk = crates.find(|path| path.to_string_lossy().contains("trifold-sdk-0")).unwrap();
    let listed = std::process::Command::new("tar").arg("-tzf").arg(sdk).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    for name in ["wit/row.wit", "wit/window.wit", "src/bindings.rs"] {
        assert!(listed.contains(name), "the package has no {name}: {listed}");
    }
}

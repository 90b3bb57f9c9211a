use std::fs;
use std::path::Path;

use trifold_author::{BuildError, BuildOptions, build};

use crate::workshop::{build_error, build_with, crate_with, new_crate, options};

/// A view that counts with std's map.
pub(crate) const RANDOM: &str = r#"
use std::collections::HashMap;
use trifold_sdk::prelude::*;

#[derive(Input)]
pub struct Word<'a> {
    #[entity]
    pub word: &'a str,
}

#[derive(Output)]
pub struct Letters {
    pub first: Option<i64>,
}

#[row_view]
pub fn letters(word: Word<'_>) -> Letters {
    let mut counts = HashMap::new();
    for letter in word.word.bytes() {
        *counts.entry(letter).or_insert(0_i64) += 1;
    }
    Letters { first: counts.values().next().copied() }
}
"#;

const VIEW: &str = r#"
    use trifold_sdk::prelude::*;
    #[derive(Input)]
    pub struct Row<'a> { #[entity] pub key: &'a str }
    #[derive(Output)]
    pub struct Features { pub size: i64 }
    #[row_view(name = "NAME")]
    pub fn view(row: Row<'_>) -> Features { Features { size: row.key.len() as i64 } }
"#;

#[test]
fn a_seeded_hasher_is_refused_with_the_place_and_the_way_out() {
    let (_parent, path) = crate_with("random", RANDOM);
    let (error, _) = build_error(&path);
    let BuildError::RandomState { callers, .. } = &error else { panic!("{error}") };
    assert!(callers.iter().any(|caller| caller.contains("random::")), "{callers:?}");
    let text = error.to_string();
    assert!(text.contains("package random") && text.contains("FixedMap") && text.contains("BTreeMap"), "{text}");
    assert!(!path.join("target/trifold/random.wasm").exists());
}

#[test]
fn the_maps_of_the_prelude_are_allowed() {
    let source =
        RANDOM.replace("use std::collections::HashMap;", "").replace("HashMap::new()", "FixedMap::default()");
    let (_parent, path) = crate_with("fixed", &source);
    let (result, console) = build_with(&options(&path));
    assert!(result.is_ok(), "{result:?}\n{console}");
}

#[test]
fn a_crate_that_is_no_cdylib_is_told_what_to_add() {
    let parent = tempfile::tempdir().unwrap();
    let path = new_crate(parent.path(), "plain");
    let manifest = fs::read_to_string(path.join("Cargo.toml")).unwrap();
    fs::write(path.join("Cargo.toml"), manifest.replace("\"cdylib\", ", "")).unwrap();
    let (error, _) = build_error(&path);
    assert!(matches!(error, BuildError::NoCdylib { .. }), "{error}");
    assert!(error.to_string().contains(r#"crate-type = ["cdylib", "rlib"]"#), "{error}");
}

#[test]
fn a_directory_without_a_manifest_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_owned(), dir.path().join("missing")] {
        let (error, _) = build_error(&path);
        assert!(matches!(error, BuildError::NoManifest { .. }), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}

#[test]
fn a_broken_manifest_is_explained_by_cargo() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("Cargo.toml"), "[package]\nname = ").unwrap();
    let (error, _) = build_error(dir.path());
    assert!(matches!(error, BuildError::Metadata { .. }), "{error}");
}

#[test]
fn a_workspace_lists_its_transform_crates() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("Cargo.toml"), "[workspace]\nmembers = [\"one\"]\n").unwrap();
    fs::create_dir_all(dir.path().join("one/src")).unwrap();
    fs::write(dir.path().join("one/src/lib.rs"), "").unwrap();
    let manifest = "[package]\nname = \"one\"\nedition = \"2024\"\n[lib]\ncrate-type = [\"cdylib\"]\n";
    fs::write(dir.path().join("one/Cargo.toml"), manifest).unwrap();
    let (error, _) = build_error(dir.path());
    assert!(matches!(error, BuildError::NoPackage { .. }), "{error}");
    assert!(error.to_string().contains("/one"), "{error}");
}

#[test]
fn a_compile_error_passes_through() {
    let (_parent, path) = crate_with("broken", "pub fn broken() -> i64 { \"text\" }\n");
    let (error, console) = build_error(&path);
    assert!(matches!(error, BuildError::Compile { .. }), "{error}");
    assert!(console.contains("error[E0308]") && console.contains("src/lib.rs:1"), "{console}");
}

#[test]
fn a_crate_without_a_view_is_told_so() {
    let (_parent, path) = crate_with("empty", "pub use trifold_sdk::prelude;\n");
    let (error, _) = build_error(&path);
    assert!(matches!(error, BuildError::NoView { .. }), "{error}");
}

#[test]
fn a_crate_has_one_view() {
    let modules = ["one", "two"].map(|name| format!("pub mod {name} {{ {} }}", VIEW.replace("NAME", name)));
    let (_parent, path) = crate_with("twins", &modules.concat());
    let (error, console) = build_error(&path);
    assert!(matches!(error, BuildError::ManyViews { .. }), "{error}\n{console}");

    let second = VIEW.replace("NAME", "two").replace("use trifold_sdk::prelude::*;", "");
    let second = second.replace("Row", "Row2").replace("Features", "Features2").replace("fn view", "fn view2");
    let (_parent, path) = crate_with("neighbours", &(VIEW.replace("NAME", "one") + &second));
    let (error, console) = build_error(&path);
    assert!(matches!(error, BuildError::ManyViews { .. }), "{error}\n{console}");
}

#[test]
fn cargo_that_is_not_there_is_named() {
    let parent = tempfile::tempdir().unwrap();
    let path = new_crate(parent.path(), "homeless");
    let options = BuildOptions { cargo: "/nowhere/cargo".into(), ..BuildOptions::new(&path) };
    let error = build(&options, &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("cannot run /nowhere/cargo"), "{error}");
    assert!(!Path::new(&path).join("target").exists());
}

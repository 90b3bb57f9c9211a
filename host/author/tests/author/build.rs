use std::fs;
use std::path::Path;

use trifold_author::{BuildOptions, Built};
use trifold_model::ComponentDigest;

use crate::workshop::{build_ok, build_with, crate_with, lock, new_crate, options, sdk};

/// Builds a new crate. Tests run side by side over one target directory, so each has names of its own.
fn built_in(parent: &Path, name: &str, change: impl Fn(&mut BuildOptions)) -> Built {
    let path = new_crate(parent, name);
    let mut options = options(&path);
    change(&mut options);
    let (result, console) = build_with(&options);
    let built = result.unwrap_or_else(|error| panic!("{error}\n{console}"));
    assert!(console.contains(&format!("Compiling {name}")), "the crate was not compiled anew:\n{console}");
    built
}

#[test]
fn the_same_source_gives_the_same_digest_in_two_directories() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let deeper = second.path().join("a directory/with a longer name");
    let one = built_in(first.path(), "stable", |_| ());
    // The second compiles its dependencies too, into a target directory of its own.
    let own_target = deeper.join("own");
    let two = built_in(&deeper, "stable", |options| options.target_dir = Some(own_target.clone()));
    assert_eq!(one.digest, two.digest);
    assert_eq!(one.component, two.component);
    assert_eq!(one.digest, ComponentDigest::of(&one.component));
    assert!(own_target.join("wasm32-unknown-unknown").is_dir());

    let text = String::from_utf8_lossy(&one.component);
    for tool in ["rustc", "trifold-sdk"] {
        assert!(text.contains(tool), "{tool} is not named by the component");
    }
    for machine in [first.path(), &sdk().canonicalize().unwrap()] {
        let machine = machine.to_str().unwrap();
        assert!(!text.contains(machine), "{machine} is in the component");
    }
}

#[test]
fn the_memory_begins_with_room_for_a_heap() {
    const STACK_AND_HEAP_BYTES: u64 = (1 << 20) + (256 << 10);
    const PAGE_BYTES: u64 = 64 << 10;
    let parent = tempfile::tempdir().unwrap();
    let built = built_in(parent.path(), "roomy", |_| ());
    let mut memories = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(&built.component) {
        if let wasmparser::Payload::MemorySection(section) = payload.unwrap() {
            memories.extend(section.into_iter().map(|memory| memory.unwrap().initial * PAGE_BYTES));
        }
    }
    assert!(matches!(memories[..], [bytes] if bytes >= STACK_AND_HEAP_BYTES), "{memories:?}");
}

#[test]
fn the_output_directory_can_be_chosen() {
    let parent = tempfile::tempdir().unwrap();
    let out = parent.path().join("components");
    let built = built_in(parent.path(), "chosen", |options| options.out = Some(out.clone()));
    assert_eq!(built.path, out.join("chosen.wasm"));
    let names: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["chosen.wasm"]);
}

#[test]
fn flags_of_the_environment_are_kept_beside_ours() {
    let source = r#"
        #[cfg(not(kept))]
        compile_error!("the flag is lost");
    "#;
    let (_parent, path) = crate_with("flagged", source);
    let mut options = options(&path);
    options.rustflags = vec!["--cfg=kept".to_owned()];
    let (result, console) = build_with(&options);
    let error = result.unwrap_err();
    assert!(matches!(error, trifold_author::BuildError::NoView { .. }), "{error}\n{console}");
}

#[test]
fn features_reach_the_compiler() {
    let parent = tempfile::tempdir().unwrap();
    let path = new_crate(parent.path(), "featured");
    let manifest = fs::read_to_string(path.join("Cargo.toml")).unwrap();
    fs::write(path.join("Cargo.toml"), format!("{manifest}\n[features]\nbroken = []\n")).unwrap();
    let source = fs::read_to_string(path.join("src/lib.rs")).unwrap();
    let broken = "#[cfg(feature = \"broken\")]\ncompile_error!(\"the feature is on\");\n";
    fs::write(path.join("src/lib.rs"), format!("{source}\n{broken}")).unwrap();

    let mut options = options(&path);
    build_ok(&options);
    options.features = vec!["broken".to_owned()];
    let (result, console) = build_with(&options);
    assert!(result.is_err() && console.contains("the feature is on"), "{console}");
}

/// A profile of the author's must not hide names, and with them RandomState.
#[test]
fn link_time_optimisation_does_not_hide_the_seeded_hasher() {
    let (_parent, path) = crate_with("hidden", crate::refusals::RANDOM);
    let manifest = fs::read_to_string(path.join("Cargo.toml")).unwrap();
    let manifest = manifest.replace(r#""cdylib", "rlib""#, r#""cdylib""#);
    let profile = "[profile.release]\nlto = \"fat\"\nstrip = true\nopt-level = 3\n";
    fs::write(path.join("Cargo.toml"), format!("{manifest}\n{profile}")).unwrap();
    lock(&path);
    let (error, _) = crate::workshop::build_error(&path);
    assert!(matches!(error, trifold_author::BuildError::RandomState { .. }), "{error}");
}

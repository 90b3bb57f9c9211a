//! The code map: where things are, and which library is known where.

use std::collections::BTreeMap;

use trifold_tests::root;

use crate::page::{Entry, code_map, held_in};
use crate::workspace::{Member, members};

/// Whether a line of the code map is about a folder. `transforms/<name>` is about those without a line of their own.
fn covers(entry: &Entry, folder: &str) -> bool {
    entry.folders.iter().any(|covered| match covered.strip_suffix("<name>") {
        Some(parent) => folder.strip_prefix(parent).is_some_and(|name| !name.contains('/')),
        None if covered.ends_with('/') => format!("{folder}/").starts_with(covered.as_str()),
        None => covered == folder,
    })
}

/// The crates of tests build fixtures with whatever makes them, and look from outside with whatever sees.
fn is_test(member: &Member) -> bool {
    member.folder == "tests" || member.folder.starts_with("tests/")
}

#[test]
fn every_folder_of_the_code_map_is_there() {
    for folder in code_map().iter().flat_map(|entry| &entry.folders) {
        let path = root().join(folder.trim_end_matches("<name>"));
        assert!(path.is_dir(), "the code map names {folder}, which is not there");
    }
}

#[test]
fn every_crate_has_a_line_in_the_code_map() {
    let map = code_map();
    for folder in members().into_keys() {
        let lines = map.iter().filter(|entry| covers(entry, &folder)).count();
        let of_its_own = map.iter().filter(|entry| entry.folders.contains(&folder)).count();
        assert!(lines == 1 || of_its_own == 1, "{folder} has {lines} lines in the code map");
    }
}

#[test]
fn every_manifest_is_a_member() {
    let members = members();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if name == "Cargo.toml" && folder != root() {
                let folder = folder.strip_prefix(root()).unwrap().display().to_string();
                assert!(members.contains_key(&folder), "{folder} is no member of the workspace");
            }
        }
    }
}

#[test]
fn a_library_is_known_where_the_code_map_says_and_nowhere_else() {
    let members = members();
    let mut known = 0;
    for entry in code_map().iter().filter(|entry| !entry.knows.is_empty()) {
        for library in &entry.knows {
            known += 1;
            // `tonic-health` is tonic, too.
            let family = format!("{library}-");
            let knows = |member: &&Member| {
                let names = &mut member.dependencies.iter();
                names.any(|name| name == library || name.starts_with(&family))
            };
            for member in members.values().filter(knows).filter(|member| !is_test(member)) {
                assert!(
                    covers(entry, &member.folder),
                    "{} knows {library}, which is for {:?}",
                    member.folder,
                    entry.folders
                );
            }
            let uses = |member: &&Member| entry.folders.contains(&member.folder) && knows(member);
            assert!(members.values().any(|member| uses(&member)), "nobody in {:?} knows {library}", entry.folders);
        }
    }
    assert!(known >= 8, "the code map names {known} libraries");
}

#[test]
fn the_model_does_not_serialise_itself() {
    let model = &members()["host/model"];
    let serde: Vec<_> = model.dependencies.iter().filter(|name| name.contains("serde")).collect();
    assert!(serde.is_empty(), "host/model depends on {serde:?}");
}

#[test]
fn the_places_that_hold_invariants_are_there() {
    let places = held_in();
    assert!(places.len() >= 8, "{places:?}");
    for place in places {
        assert!(root().join(&place).exists(), "an invariant is held in {place}, which is not there");
    }
}

#[test]
fn every_crate_takes_the_workspaces_lints_versions_and_edition() {
    for member in members().into_values() {
        let folder = &member.folder;
        assert_eq!(member.manifest["lints"]["workspace"].as_bool(), Some(true), "{folder}: lints");
        for key in ["version", "edition", "rust-version", "license"] {
            let inherited = member.manifest["package"][key].get("workspace").and_then(toml::Value::as_bool);
            assert_eq!(inherited, Some(true), "{folder}: {key}");
        }
    }
}

/// Two versions of a library in the tree would parse and encode differently; the workspace names each once.
#[test]
fn versions_stand_in_the_root_manifest() {
    let manifest = crate::workspace::manifest();
    let known: BTreeMap<_, _> =
        manifest["workspace"]["dependencies"].as_table().unwrap().clone().into_iter().collect();
    for member in members().into_values() {
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(table) = member.manifest.get(table).and_then(toml::Value::as_table) else { continue };
            for (name, value) in table {
                let inherited = value.get("workspace").is_some() || value.get("path").is_some();
                assert!(
                    inherited || !known.contains_key(name),
                    "{} gives {name} a version of its own",
                    member.folder
                );
            }
        }
    }
}

//! The arrow line: who may depend on whom.

use std::collections::BTreeMap;

use crate::workspace::{Member, members};
use crate::{page, source};

/// What tests share, which know no host crate.
const TEST_HELPERS: [&str; 2] = ["trifold-test-servers", "trifold-wat-guest"];

fn host_crates() -> BTreeMap<String, Member> {
    let host = members().into_values().filter_map(|member| {
        let name = member.folder.strip_prefix("host/")?.to_owned();
        Some((name, member))
    });
    host.collect()
}

/// The place of each crate on the arrow line.
fn places() -> BTreeMap<String, usize> {
    let layers = page::layers();
    let names =
        layers.into_iter().enumerate().flat_map(|(place, names)| names.into_iter().map(move |name| (name, place)));
    names.collect()
}

#[test]
fn the_arrow_line_names_every_host_crate() {
    let named: Vec<_> = places().into_keys().collect();
    let found: Vec<_> = host_crates().into_keys().collect();
    assert_eq!(named, found);
}

#[test]
fn packages_bear_their_folders_name() {
    for (name, member) in host_crates() {
        assert_eq!(member.package, format!("trifold-{name}"));
    }
    for member in members().into_values() {
        let name = member.folder.rsplit('/').next().unwrap().to_owned();
        let package = member.package.as_str();
        let fits = package == name || package.ends_with(&format!("-{name}"));
        assert!(fits, "{} holds the package {package}", member.folder);
    }
}

#[test]
fn crates_depend_on_crates_to_their_right_and_on_no_others() {
    let places = places();
    for (name, member) in host_crates() {
        let dependencies = member.dependencies.iter().chain(&member.dev_dependencies);
        let ours = dependencies.filter(|dependency| !TEST_HELPERS.contains(&dependency.as_str()));
        for dependency in ours.filter_map(|dependency| dependency.strip_prefix("trifold-")) {
            let Some(place) = places.get(dependency) else {
                panic!("host/{name} depends on trifold-{dependency}, which is not on the arrow line");
            };
            assert!(
                *place > places[&name],
                "host/{name} depends on host/{dependency}, which is not to its right on the arrow line"
            );
        }
    }
}

/// Authors get what they compile into a component, and nothing of the host.
#[test]
fn what_authors_import_knows_no_host_crate() {
    let members = members();
    let guests = members.values().filter(|member| {
        member.folder.starts_with("transforms/") || member.manifest.get("lib").is_some_and(is_cdylib)
    });
    let guests: Vec<_> = guests.collect();
    assert!(guests.len() >= 11, "{} guests", guests.len());
    for guest in guests {
        let ours = guest.dependencies.iter().filter(|dependency| dependency.starts_with("trifold-"));
        for dependency in ours {
            let allowed = ["trifold-sdk", "trifold-sdk-macros"].contains(&dependency.as_str());
            assert!(allowed, "{} depends on {dependency}", guest.folder);
        }
    }
}

fn is_cdylib(lib: &toml::Value) -> bool {
    let kinds = lib.get("crate-type").and_then(toml::Value::as_array);
    kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind.as_str() == Some("cdylib")))
}

/// What the runners are held against must not share their mistakes.
#[test]
fn the_oracle_knows_no_crate_of_ours() {
    let oracle = &members()["tests/oracle"];
    let ours =
        oracle.dependencies.iter().chain(&oracle.dev_dependencies).filter(|name| name.starts_with("trifold"));
    assert_eq!(ours.collect::<Vec<_>>(), [""; 0]);
}

/// The first word of a fresh clone is heard within seconds.
#[test]
fn xtask_has_no_dependencies() {
    assert_eq!(members()["xtask"].dependencies, [""; 0]);
}

/// A runner that could call a transform could compute a feature. What a call may spend, and why one came to
/// nothing, is no feature.
#[test]
fn runners_take_nothing_of_the_sandbox_that_computes() {
    for runner in &page::layers()[1] {
        if !members()[&format!("host/{runner}")].dependencies.contains(&"trifold-sandbox".to_owned()) {
            continue;
        }
        for source in source::of(&format!("host/{runner}")) {
            for rest in source.code.split("trifold_sandbox").skip(1) {
                let names = rest.trim_start_matches("::").split(';').next().unwrap_or_default();
                let names =
                    names.trim_matches(['{', '}']).split(',').map(str::trim).filter(|name| !name.is_empty());
                for name in names {
                    let harmless = ["Budget", "Cause"].contains(&name);
                    assert!(harmless, "{} takes `{name}` from the sandbox", source.path);
                }
            }
            assert!(!source.code.contains("transform.apply"), "{} calls a transform", source.path);
        }
    }
}

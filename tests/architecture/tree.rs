//! The tree as others get it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use trifold_tests::root;

use crate::workspace::manifest;

/// Hosts that the tree may name: licences and specifications, and addresses that lead nowhere.
const HOSTS: [&str; 10] = [
    "127.0.0.1",
    "example.org",
    "github.com",
    "json-schema.org",
    "keepachangelog.com",
    "rustup.rs",
    "semver.org",
    "www.apache.org",
    "www.w3.org",
    "creativecommons.org",
];

/// The schemes of object stores, which a bucket follows and no host.
const STORES: [&str; 2] = ["s3", "gs"];

/// Paths that look like a machine's and are examples.
const EXAMPLES: [&str; 1] = [concat!("/ho", "me/me/")];

/// The text files of the tree.
fn files() -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            // What a symbolic link leads to stands elsewhere in the tree.
            if entry.file_type().unwrap().is_dir() && !["target", ".git", ".trifold"].contains(&name.as_str()) {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                found.push((path.strip_prefix(root()).unwrap().display().to_string(), text));
            }
        }
    }
    found.sort();
    assert!(found.len() > 200, "{} files", found.len());
    found
}

#[test]
fn the_pages_that_a_reader_looks_for_are_there() {
    let manifest = manifest();
    let package = &manifest["workspace"]["package"];
    let read =
        |name: &str| fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(package["license"].as_str(), Some("Apache-2.0"));
    assert!(read("LICENSE").contains("Apache License"));
    let version = package["version"].as_str().unwrap();
    let changelog = read("CHANGELOG.md");
    assert!(changelog.contains("## Unreleased") || changelog.contains(version), "{changelog}");
    let readme = read("README.md");
    for part in ["cargo xtask demo", "cargo xtask test", "ARCHITECTURE.md"] {
        assert!(readme.contains(part), "README.md does not mention {part}");
    }
}

#[test]
fn the_lock_file_names_one_registry_alone() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let sources = lock.lines().filter_map(|line| line.strip_prefix("source = "));
    let sources: BTreeSet<_> = sources.collect();
    assert!(sources.len() == 1 && sources.iter().all(|source| source.starts_with("\"registry+")), "{sources:?}");
}

#[test]
fn no_file_names_a_host_that_is_not_known_here() {
    for (path, text) in files() {
        let parts: Vec<_> = text.split("://").collect();
        for (scheme, rest) in parts.iter().zip(&parts[1..]) {
            if STORES.iter().any(|store| scheme.ends_with(store)) {
                continue;
            }
            let end =
                rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '-').unwrap_or(rest.len());
            let host = rest[..end].trim_end_matches('.');
            let known = host.is_empty() || HOSTS.contains(&host);
            assert!(known, "{path} names the host {host}: leave it out, or add it to the list in this test");
        }
    }
}

#[test]
fn no_file_names_a_path_of_a_machine() {
    let here = root().canonicalize().unwrap().display().to_string();
    let homes = [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/"), concat!("\\Us", "ers\\")];
    for (path, text) in files() {
        assert!(!text.contains(&here), "{path} names this directory");
        for line in text.lines() {
            let foreign = homes.iter().find(|home| line.contains(**home));
            let is_example = EXAMPLES.iter().any(|example| line.contains(example));
            assert!(foreign.is_none() || is_example, "{path} names a path of a machine: {line}");
        }
    }
}

/// A configuration of cargo in the tree would send everybody to where one person's registry is.
#[test]
fn cargos_configuration_names_no_registry() {
    let config = fs::read_to_string(root().join(".cargo/config.toml")).unwrap_or_default();
    for table in ["[source", "[registr", "replace-with", "[net"] {
        assert!(!config.contains(table), ".cargo/config.toml has {table}");
    }
}

/// A link of one page to another file of the tree leads there.
#[test]
fn links_between_files_lead_somewhere() {
    let mut checked = 0;
    for (name, text) in files().into_iter().filter(|(name, _)| name.ends_with(".md")) {
        let folder = root().join(&name).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            if !path.is_empty() && !path.contains("://") {
                assert!(folder.join(path).exists(), "{name} links to {link}, which is not there");
                checked += 1;
            }
        }
    }
    assert!(checked > 10, "{checked} links");
}

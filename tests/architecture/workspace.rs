//! Reading the manifests.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use toml::{Table, Value};
use trifold_tests::root;

/// A member of the workspace.
pub(crate) struct Member {
    /// Its folder, as `host/model`.
    pub(crate) folder: String,
    /// Its package's name.
    pub(crate) package: String,
    /// What it is built with, for its users.
    pub(crate) dependencies: Vec<String>,
    /// What its tests are built with besides.
    pub(crate) dev_dependencies: Vec<String>,
    pub(crate) manifest: Table,
}

/// The root manifest.
pub(crate) fn manifest() -> Table {
    read(&root())
}

fn read(folder: &Path) -> Table {
    let path = folder.join("Cargo.toml");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All members, by folder.
pub(crate) fn members() -> BTreeMap<String, Member> {
    let manifest = manifest();
    let folders = manifest["workspace"]["members"].as_array().unwrap().iter();
    folders.map(|folder| folder.as_str().unwrap()).map(|folder| (folder.to_owned(), member(folder))).collect()
}

fn member(folder: &str) -> Member {
    let manifest = read(&root().join(folder));
    Member {
        folder: folder.to_owned(),
        package: manifest["package"]["name"].as_str().unwrap().to_owned(),
        dependencies: [names(&manifest, "dependencies"), names(&manifest, "build-dependencies")].concat(),
        dev_dependencies: names(&manifest, "dev-dependencies"),
        manifest,
    }
}

/// The packages that a table of dependencies names, for every platform.
fn names(manifest: &Table, table: &str) -> Vec<String> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let tables = targets.filter_map(Value::as_table).chain([manifest]).filter_map(|of| of.get(table));
    let entries = tables.filter_map(Value::as_table).flatten();
    let package =
        |(name, value): (&String, &Value)| value.get("package").and_then(Value::as_str).unwrap_or(name).to_owned();
    entries.map(package).collect()
}

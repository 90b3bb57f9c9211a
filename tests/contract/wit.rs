use wit_parser::{PackageId, Resolve, WorldId, WorldKey};

#[track_caller]
fn resolve() -> (Resolve, PackageId) {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(crate::wit("")).unwrap();
    (resolve, package)
}

fn names<'a>(keys: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    keys.map(String::as_str).collect()
}

fn world(resolve: &Resolve, package: PackageId, name: &str) -> WorldId {
    resolve.packages[package].worlds[name]
}

fn items<'a>(resolve: &Resolve, items: impl Iterator<Item = &'a WorldKey>) -> Vec<String> {
    items.map(|key| resolve.name_world_key(key)).collect()
}

#[track_caller]
fn check_world(name: &str, types: &[&str], exports: &[&str]) {
    let (resolve, package) = resolve();
    let world = &resolve.worlds[world(&resolve, package, name)];
    let imports = items(&resolve, world.imports.keys());
    let interfaces: Vec<_> = imports.iter().filter(|name| name.contains(':')).collect();
    let expected: Vec<_> =
        ["diagnostics"].iter().chain(types).map(|name| format!("trifold:feature/{name}@1.0.0")).collect();
    assert_eq!(interfaces, expected.iter().collect::<Vec<_>>(), "{name}");
    assert_eq!(items(&resolve, world.exports.keys()), exports, "{name}");
}

#[test]
fn the_worlds_import_diagnostics_and_types_alone() {
    check_world("row-transform", &["types"], &["describe", "apply"]);
    let exports = ["describe", "prepare", "accumulate", "merge", "finish"];
    check_world("window-transform", &["types", "window-types"], &exports);
}

#[test]
fn types_are_no_functions_and_diagnostics_give_nothing_back() {
    let (resolve, package) = resolve();
    let interface = |name: &str| &resolve.interfaces[resolve.packages[package].interfaces[name]];
    assert!(interface("types").functions.is_empty());
    assert!(interface("window-types").functions.is_empty());
    let diagnostics = &interface("diagnostics").functions;
    assert_eq!(names(diagnostics.keys()), ["log", "panic"]);
    assert!(diagnostics.values().all(|function| function.result.is_none()));
}

#[test]
fn both_texts_encode_as_a_package() {
    let (resolve, package) = resolve();
    wit_component::encode(&resolve, package).unwrap();
}

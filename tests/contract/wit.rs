use wit_parser::{PackageId, Resolve, WorldId, WorldKey};

const DRAFT: &str = "window-draft";

#[track_caller]
fn resolve(features: &[&str]) -> (Resolve, PackageId) {
    let mut resolve = Resolve::default();
    resolve.features.extend(features.iter().map(|feature| feature.to_string()));
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

#[test]
fn the_row_world_imports_diagnostics_and_types_alone() {
    for features in [&[][..], &[DRAFT]] {
        let (resolve, package) = resolve(features);
        let world = &resolve.worlds[world(&resolve, package, "row-transform")];
        let imports = items(&resolve, world.imports.keys());
        let interfaces: Vec<_> = imports.iter().filter(|name| name.contains(':')).collect();
        assert_eq!(interfaces, ["trifold:feature/diagnostics@1.0.0", "trifold:feature/types@1.0.0"]);
        assert_eq!(items(&resolve, world.exports.keys()), ["describe", "apply"]);
    }
}

#[test]
fn types_are_no_functions_and_diagnostics_give_nothing_back() {
    let (resolve, package) = resolve(&[]);
    let interface = |name: &str| &resolve.interfaces[resolve.packages[package].interfaces[name]];
    assert!(interface("types").functions.is_empty());
    let diagnostics = &interface("diagnostics").functions;
    assert_eq!(names(diagnostics.keys()), ["log", "panic"]);
    assert!(diagnostics.values().all(|function| function.result.is_none()));
}

#[test]
fn the_window_world_is_seen_only_with_its_feature() {
    let (stable, package) = resolve(&[]);
    assert_eq!(names(stable.packages[package].worlds.keys()), ["row-transform"]);
    assert_eq!(names(stable.packages[package].interfaces.keys()), ["types", "diagnostics"]);

    let (draft, package) = resolve(&[DRAFT]);
    let window = &draft.worlds[world(&draft, package, "window-transform")];
    assert_eq!(items(&draft, window.exports.keys()), ["describe", "prepare", "accumulate", "merge", "finish"]);
    assert!(draft.packages[package].interfaces.contains_key("window-types"));
}

#[test]
fn both_texts_encode_as_a_package() {
    for features in [&[][..], &[DRAFT]] {
        let (resolve, package) = resolve(features);
        wit_component::encode(&resolve, package).unwrap();
    }
}

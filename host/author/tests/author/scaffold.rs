use crate::workshop::{build_ok, cargo_test, new_crate, options};

#[test]
fn a_new_crate_tests_natively_and_builds() {
    let parent = tempfile::tempdir().unwrap();
    let path = new_crate(parent.path(), "card-risk");

    let tested = cargo_test(&path);
    let stdout = String::from_utf8_lossy(&tested.stdout);
    assert!(tested.status.success(), "{stdout}{}", String::from_utf8_lossy(&tested.stderr));
    assert!(stdout.contains("test result: ok. 3 passed"), "{stdout}");

    let built = build_ok(&options(&path));
    assert_eq!(built.package, "card-risk");
    // Below the crate's target directory, wherever the environment puts that.
    assert!(built.path.ends_with("trifold/card-risk.wasm"), "{}", built.path.display());
    assert_eq!(std::fs::read(&built.path).unwrap(), built.component);
    wasmparser::validate(&built.component).unwrap();
}

#[test]
fn a_new_crate_builds_inside_another_workspace() {
    let parent = tempfile::tempdir().unwrap();
    std::fs::write(parent.path().join("Cargo.toml"), "[workspace]\nmembers = []\n").unwrap();
    let path = new_crate(parent.path(), "inner");
    build_ok(&options(&path));
}

//! The SDK as authors get it who have no checkout.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use trifold_author::SdkSource;

use crate::workshop::{REPOSITORY, build_ok, new_crate_over, options};

/// All members of the workspace have one.
const VERSION: &str = env!("CARGO_PKG_VERSION");
const PACKAGES: [&str; 2] = ["trifold-sdk-macros", "trifold-sdk"];

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Packs the SDK as for a registry and unpacks it elsewhere. Gives the part of a manifest that takes the registry's
/// place.
#[track_caller]
fn publish(dir: &Path) -> String {
    let mut pack = Command::new("cargo");
    pack.args(["package", "--offline", "--allow-dirty", "--no-verify", "--target-dir"]).arg(dir);
    run(pack.args(PACKAGES.map(|package| ["-p", package]).as_flattened()).current_dir(REPOSITORY));
    let mut patch = String::from("\n[patch.crates-io]\n");
    for package in PACKAGES {
        let name = format!("{package}-{VERSION}");
        let packed = dir.join("package").join(format!("{name}.crate"));
        run(Command::new("tar").arg("-xzf").arg(packed).arg("-C").arg(dir));
        writeln!(patch, "{package}.path = {:?}", dir.join(name)).unwrap();
    }
    patch
}

#[test]
fn a_new_crate_builds_with_what_is_published_of_the_sdk() {
    let parent = tempfile::tempdir().unwrap();
    let patch = publish(&parent.path().join("published"));
    let path = new_crate_over(SdkSource::Version(VERSION.to_owned()), parent.path(), "far-away");
    let manifest = path.join("Cargo.toml");
    fs::write(&manifest, fs::read_to_string(&manifest).unwrap() + &patch).unwrap();
    wasmparser::validate(&build_ok(&options(&path)).component).unwrap();
}

//! Crates in temporary directories, and a way to build them that needs no network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use trifold_author::{BuildError, BuildOptions, Built, ScaffoldOptions, SdkSource, build, scaffold};

pub(crate) const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

pub(crate) fn sdk() -> PathBuf {
    Path::new(REPOSITORY).join("transforms/sdk")
}

/// Gives a crate the repository's lock file, so that the versions on this machine are chosen.
pub(crate) fn lock(dir: &Path) {
    fs::copy(Path::new(REPOSITORY).join("Cargo.lock"), dir.join("Cargo.lock")).unwrap();
}

/// A crate as `trifold new` makes it.
pub(crate) fn new_crate(parent: &Path, name: &str) -> PathBuf {
    new_crate_over(SdkSource::Path(sdk()), parent, name)
}

/// A crate as `trifold new` makes it where the SDK comes from elsewhere.
pub(crate) fn new_crate_over(sdk: SdkSource, parent: &Path, name: &str) -> PathBuf {
    let made = scaffold(&ScaffoldOptions { name: name.to_owned(), parent: parent.to_owned(), sdk }).unwrap();
    lock(&made.path);
    made.path
}

/// A crate as `trifold new` makes it, with another source.
pub(crate) fn crate_with(name: &str, source: &str) -> (TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let path = new_crate(parent.path(), name);
    fs::write(path.join("src/lib.rs"), source).unwrap();
    (parent, path)
}

/// A directory that outlives the run, so that dependencies are compiled once.
fn shared(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

pub(crate) fn options(path: &Path) -> BuildOptions {
    BuildOptions { target_dir: Some(shared("author-guests")), offline: true, ..BuildOptions::new(path) }
}

/// Builds a crate and gives what the console showed.
pub(crate) fn build_with(options: &BuildOptions) -> (Result<Built, BuildError>, String) {
    let mut console = String::new();
    let result = build(options, &mut |line| {
        console.push_str(line);
        console.push('\n');
    });
    (result, console)
}

#[track_caller]
pub(crate) fn build_ok(options: &BuildOptions) -> Built {
    let (result, console) = build_with(options);
    result.unwrap_or_else(|error| panic!("{error}\n{console}"))
}

/// The error of a build, and what the console showed.
#[track_caller]
pub(crate) fn build_error(path: &Path) -> (BuildError, String) {
    let (result, console) = build_with(&options(path));
    (result.err().unwrap_or_else(|| panic!("the build succeeded:\n{console}")), console)
}

pub(crate) fn cargo_test(path: &Path) -> Output {
    let mut command = Command::new("cargo");
    command.args(["test", "--offline", "--lib", "--target-dir"]).arg(shared("author-native"));
    command.current_dir(path).output().unwrap()
}

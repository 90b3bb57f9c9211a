//! Components, built once per process.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use trifold_author::{BuildError, BuildOptions, Built, build};
use wit_component::ComponentEncoder;

use crate::root;

/// Where transform crates stand, each folder bearing its package's name.
const FOLDERS: [&str; 4] = ["examples/flights", "examples/payments", "transforms", "tests/guests"];

static BUILT: Mutex<BTreeMap<String, Arc<Built>>> = Mutex::new(BTreeMap::new());

/// The component of a package, with features of it turned on.
#[track_caller]
pub fn component(package: &str, features: &[&str]) -> Arc<Built> {
    let name = format!("{package} {}", features.join(","));
    // The lock is held while cargo runs, so that no two builds of a package take turns with its artifact. A
    // build that failed in another test leaves nothing half done.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let entry = built.entry(name);
    let component = entry.or_insert_with(|| match try_build(package, features) {
        Ok(component) => Arc::new(component),
        Err((error, console)) => panic!("{package} does not build: {error}\n{console}"),
    });
    component.clone()
}

/// What `trifold build` says of a package that it refuses.
#[track_caller]
pub fn refusal(package: &str) -> BuildError {
    let _turn = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    try_build(package, &[]).map(|_| ()).unwrap_err().0
}

/// The component of a package that `trifold build` refuses, made from the module that it compiled all the same.
#[track_caller]
pub fn refused_component(package: &str) -> Vec<u8> {
    refusal(package);
    let file = format!("{}.wasm", package.replace('-', "_"));
    let module = fs::read(root().join("target/guests/wasm32-unknown-unknown/release").join(file)).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}

fn try_build(package: &str, features: &[&str]) -> Result<Built, (BuildError, String)> {
    let mut console = String::new();
    let options = BuildOptions {
        features: features.iter().map(|&feature| feature.to_owned()).collect(),
        target_dir: Some(root().join("target/guests")),
        out: Some(root().join("target/trifold/tests").join(features.join("-"))),
        cargo: PathBuf::from(env!("CARGO")),
        ..BuildOptions::new(folder(package))
    };
    build(&options, &mut |line| {
        console.push_str(line);
        console.push('\n');
    })
    .map_err(|error| (error, console))
}

#[track_caller]
fn folder(package: &str) -> PathBuf {
    let found = FOLDERS.iter().map(|folder| root().join(folder).join(package)).find(|path| path.is_dir());
    found.unwrap_or_else(|| panic!("no transform crate {package} in {FOLDERS:?}"))
}

//! `trifold new` and `trifold build`.

use std::path::PathBuf;

use serde::Serialize;
use trifold_author::{BuildError, BuildOptions, ScaffoldOptions, SdkSource};

use crate::args::{Build, New};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::output;
use crate::world::World;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Made {
    path: PathBuf,
    view: String,
    files: Vec<&'static str>,
}

/// Makes a transform crate.
pub fn new(world: &World, args: New) -> Outcome {
    let sdk = match args.sdk {
        Some(path) => SdkSource::Path(path),
        None => default_sdk(),
    };
    let options = ScaffoldOptions { name: args.name, parent: args.parent, sdk };
    let made = trifold_author::scaffold(&options).or_exit(Exit::Usage)?;
    let made = Made { path: made.path, view: made.view, files: made.files };
    output::print(world.format, &made, |made| {
        let path = made.path.display();
        format!(
            "made {path} with view {}\n\nnext:\n  cargo test --manifest-path {path}/Cargo.toml\n  trifold build {path}",
            made.view
        )
    })
}

/// The SDK's source beside the command's own, where it was built from a checkout that is still there; otherwise the
/// version of the same number.
fn default_sdk() -> SdkSource {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../transforms/sdk"));
    match beside.canonicalize() {
        Ok(path) => SdkSource::Path(path),
        Err(_) => SdkSource::Version(env!("CARGO_PKG_VERSION").to_owned()),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct BuiltReport {
    package: String,
    path: PathBuf,
    digest: String,
    bytes: usize,
}

/// Builds a component.
pub fn build(world: &World, args: Build) -> Outcome {
    let options = BuildOptions {
        features: args.features,
        out: args.out,
        locked: args.locked,
        offline: args.offline,
        cargo: variable("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from),
        rustflags: rustflags(),
        color: std::io::IsTerminal::is_terminal(&std::io::stderr()),
        ..BuildOptions::new(args.path)
    };
    let built = trifold_author::build(&options, &mut |line| {
        use std::io::Write;
        // The compiler's messages are for whoever watches; a closed standard error loses nothing else.
        let _ = writeln!(std::io::stderr(), "{line}");
    });
    let built = built.map_err(|error| Failure { exit: build_exit(&error), error: error.into() })?;
    let report = BuiltReport {
        package: built.package,
        path: built.path,
        digest: built.digest.to_string(),
        bytes: built.component.len(),
    };
    output::print(world.format, &report, |report| {
        format!("{}\n{} bytes, sha256 {}", report.path.display(), report.bytes, report.digest)
    })
}

fn build_exit(error: &BuildError) -> Exit {
    match error {
        BuildError::NoManifest { .. } | BuildError::NoPackage { .. } => Exit::NotFound,
        BuildError::Program { .. } | BuildError::TargetMissing { .. } => Exit::Unavailable,
        _ => Exit::Data,
    }
}

#[expect(clippy::disallowed_methods, reason = "the command is where the environment enters")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn rustflags() -> Vec<String> {
    match variable("CARGO_ENCODED_RUSTFLAGS") {
        Some(flags) => flags.split('\x1f').map(str::to_owned).collect(),
        None => variable("RUSTFLAGS").unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
    }
}

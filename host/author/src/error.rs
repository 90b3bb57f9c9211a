//! What can go wrong, and what to do about it.

use std::io;
use std::path::PathBuf;

use crate::toolchain::TARGET;

/// Why a transform crate was not built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// There is no manifest where one was expected.
    #[error("no Cargo.toml in {}: give the directory of a transform crate, or make one with `trifold new NAME`", .path.display())]
    NoManifest {
        /// The directory.
        path: PathBuf,
    },
    /// The manifest names no package.
    #[error("{} is a workspace without a package of its own: give the directory of one of its transform crates{}", .manifest.display(), list(.candidates))]
    NoPackage {
        /// The manifest.
        manifest: PathBuf,
        /// Directories of members that are built as `cdylib`.
        candidates: Vec<PathBuf>,
    },
    /// Cargo could not read the crate or its dependencies.
    #[error("cargo cannot read {}: {message}", .manifest.display())]
    Metadata {
        /// The manifest.
        manifest: PathBuf,
        /// What cargo said.
        message: String,
    },
    /// The crate is not built as a `cdylib`.
    #[error(
        "package {package} is not a transform crate, because it has no `cdylib`: add `[lib]` with \
         `crate-type = [\"cdylib\", \"rlib\"]` to {}", .manifest.display()
    )]
    NoCdylib {
        /// The package.
        package: String,
        /// Its manifest.
        manifest: PathBuf,
    },
    /// A program could not be started.
    #[error("cannot run {}: {source}; install Rust with rustup, or name the program's path", .program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The WebAssembly target is missing and could not be added.
    #[error(
        "the target {TARGET} is missing in {} and `rustup target add {TARGET}` did not add it ({reason}): \
         run that command where the network allows it, or install your system's package of Rust's standard \
         library for this target", .libdir.display()
    )]
    TargetMissing {
        /// Where the target's libraries would be.
        libdir: PathBuf,
        /// What rustup said, or why it could not be run.
        reason: String,
    },
    /// The crate does not compile. What the compiler said went to the console.
    #[error("package {package} does not compile for {TARGET}: see the compiler's messages above")]
    Compile {
        /// The package.
        package: String,
    },
    /// Two views export the same names.
    #[error(
        "package {package} contains more than one view: a crate has exactly one `#[row_view]`; move the \
         other to a crate of its own, and what both use to a crate without a view"
    )]
    ManyViews {
        /// The package.
        package: String,
    },
    /// The module exports no view.
    #[error("package {package} contains no view: mark its per-row function with `#[row_view]`")]
    NoView {
        /// The package.
        package: String,
    },
    /// The module links std's randomly seeded hasher.
    #[error(
        "package {package} uses a HashMap or HashSet with std's RandomState{}: its order differs from map \
         to map, so the same row could give different values; use FixedMap, FixedSet or BTreeMap of \
         `trifold_sdk::prelude` instead, and in a dependency choose another hasher", reached(.callers)
    )]
    RandomState {
        /// The package.
        package: String,
        /// The functions that lead to it, nearest first, as far as they can be told.
        callers: Vec<String>,
    },
    /// The module has no names, so that the check for RandomState would pass whatever it links.
    #[error(
        "the module of package {package} has no function names, which the check for RandomState needs: \
         remove the flags that strip symbols from RUSTFLAGS and .cargo/config.toml"
    )]
    NoNames {
        /// The package.
        package: String,
    },
    /// The module imports what no host gives it.
    #[error(
        "package {package} imports {}, which a transform cannot have: a dependency expects a browser or an \
         operating system; turn off the feature that asks for it (often `js`, `wasmbind` or `wasm-bindgen`) \
         or do without it", .imports.join(", ")
    )]
    ForeignImport {
        /// The package.
        package: String,
        /// The imports, each as `module.name`.
        imports: Vec<String>,
    },
    /// The module is not what the compiler should have written.
    #[error("the module of package {package} cannot be read: {source}")]
    Module {
        /// The package.
        package: String,
        /// Where and why.
        source: wasmparser::BinaryReaderError,
    },
    /// The module does not make a component.
    #[error("the module of package {package} does not make a component: {message}")]
    Component {
        /// The package.
        package: String,
        /// What the encoder said.
        message: String,
    },
    /// A file or directory could not be read or written.
    #[error("cannot {action} {}: {source}", .path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Why a transform crate was not made.
#[derive(Debug, thiserror::Error)]
pub enum ScaffoldError {
    /// The name cannot be that of a crate and of a view.
    #[error("`{name}` cannot be the name of a transform crate: {reason}")]
    Name {
        /// The name as given.
        name: String,
        /// What to change.
        reason: &'static str,
    },
    /// The directory is in use.
    #[error("{} exists and is not an empty directory: choose another name or remove it", .path.display())]
    Occupied {
        /// The directory.
        path: PathBuf,
    },
    /// The SDK is not where it should be.
    #[error("no crate trifold-sdk in {}: give the directory of its source (`transforms/sdk`)", .path.display())]
    NoSdk {
        /// The directory as given.
        path: PathBuf,
    },
    /// A path cannot be written into a manifest.
    #[error("the path {} is not UTF-8, so Cargo.toml cannot name it: move the SDK's source", .path.display())]
    PathText {
        /// The path.
        path: PathBuf,
    },
    /// A file or directory could not be written.
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn list(candidates: &[PathBuf]) -> String {
    let names: Vec<String> = candidates.iter().map(|path| path.display().to_string()).collect();
    if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) }
}

fn reached(callers: &[String]) -> String {
    if callers.is_empty() { String::new() } else { format!(" (reached from {})", callers.join(", ")) }
}

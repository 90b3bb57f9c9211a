//! From a crate to a component file.

use std::fs;
use std::path::{Path, PathBuf};

use trifold_model::ComponentDigest;

use crate::error::BuildError;
use crate::toolchain::Toolchain;
use crate::{compile, module, package};

/// What to build and how.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// The crate's directory, or its manifest.
    pub path: PathBuf,
    /// Features of the crate to turn on.
    pub features: Vec<String>,
    /// Where to compile; by default `guests` in the workspace's target directory, which all transforms of the
    /// workspace share and which never waits for a build of the host.
    pub target_dir: Option<PathBuf>,
    /// The directory to write the component into; by default `trifold` in the workspace's target directory.
    pub out: Option<PathBuf>,
    /// Do not use the network.
    pub offline: bool,
    /// Fail if `Cargo.lock` is missing or would change, so that the same dependencies give the same digest.
    pub locked: bool,
    /// The cargo program; rustc and rustup are taken from beside it if it is an absolute path.
    pub cargo: PathBuf,
    /// Compiler flags that the caller's environment sets (`RUSTFLAGS`). They are kept, and they shape the digest.
    pub rustflags: Vec<String>,
    /// Whether the lines for the console may be coloured.
    pub color: bool,
}

impl BuildOptions {
    /// The defaults for a crate.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        BuildOptions {
            path: path.into(),
            features: Vec::new(),
            target_dir: None,
            out: None,
            offline: false,
            locked: false,
            cargo: PathBuf::from("cargo"),
            rustflags: Vec::new(),
            color: false,
        }
    }

    /// The flags that every cargo command that looks at dependencies takes.
    pub(crate) fn resolution_flags(&self) -> impl Iterator<Item = &'static str> {
        let flags = [("--offline", self.offline), ("--locked", self.locked)];
        flags.into_iter().filter_map(|(flag, is_on)| is_on.then_some(flag))
    }
}

/// A component that was built.
#[derive(Debug, Clone)]
pub struct Built {
    /// The component's bytes.
    pub component: Vec<u8>,
    /// Their digest, the component's identity.
    pub digest: ComponentDigest,
    /// The file that holds them.
    pub path: PathBuf,
    /// The package that it was built from.
    pub package: String,
}

/// Builds a transform crate to a component file. What cargo and the compiler say goes to `console`, line by
/// line and without line ends.
pub fn build(options: &BuildOptions, console: &mut dyn FnMut(&str)) -> Result<Built, BuildError> {
    let manifest = package::manifest_of(&options.path)?;
    let toolchain = Toolchain::new(&options.cargo, manifest.parent().unwrap_or(&manifest))?;
    let package = package::find(&toolchain, &manifest)?;
    toolchain.ensure_target(console)?;
    let target_dir = target_dir(options, &package.target_dir)?;
    let resolved = package::resolve(&toolchain, &package, &target_dir, options)?;
    let wasm = compile::compile(&toolchain, &package, &target_dir, &resolved.remaps, options, console)?;
    let bytes = fs::read(&wasm).map_err(|source| file_error("read", &wasm, source))?;
    let component = module::componentize(&package.name, resolved.sdk.as_deref(), &bytes)?;
    let out = options.out.clone().unwrap_or_else(|| package.target_dir.join("trifold"));
    let path = out.join(format!("{}.wasm", package.name));
    write(&out, &path, &component)?;
    Ok(Built { digest: ComponentDigest::of(&component), component, path, package: package.name })
}

/// An absolute path, because cargo runs in the crate's directory and not in the caller's.
fn target_dir(options: &BuildOptions, workspace_target: &Path) -> Result<PathBuf, BuildError> {
    let dir = options.target_dir.clone().unwrap_or_else(|| workspace_target.join("guests"));
    std::path::absolute(&dir).map_err(|source| file_error("find", &dir, source))
}

/// Writes under another name first, so that a reader never sees half a component.
fn write(dir: &Path, path: &Path, component: &[u8]) -> Result<(), BuildError> {
    fs::create_dir_all(dir).map_err(|source| file_error("make", dir, source))?;
    let unfinished = path.with_extension(format!("wasm.{}", std::process::id()));
    fs::write(&unfinished, component).map_err(|source| file_error("write", &unfinished, source))?;
    fs::rename(&unfinished, path).map_err(|source| file_error("write", path, source))
}

fn file_error(action: &'static str, path: &Path, source: std::io::Error) -> BuildError {
    BuildError::File { action, path: path.to_owned(), source }
}

//! What `cargo metadata` and `cargo build --message-format json` say, as far as it is needed here.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The answer of `cargo metadata`.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<PackageInfo>,
    /// Who depends on whom; absent where dependencies were not asked for.
    pub(crate) resolve: Option<Resolve>,
    pub(crate) workspace_root: PathBuf,
    pub(crate) target_directory: PathBuf,
}

/// Who depends on whom.
#[derive(Debug, Deserialize)]
pub(crate) struct Resolve {
    pub(crate) nodes: Vec<Node>,
}

/// The direct dependencies of one package.
#[derive(Debug, Deserialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) dependencies: Vec<String>,
}

/// One package of a workspace or among its dependencies.
#[derive(Debug, Deserialize)]
pub(crate) struct PackageInfo {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    /// Absent for a package of a local path.
    pub(crate) source: Option<String>,
    pub(crate) manifest_path: PathBuf,
    pub(crate) targets: Vec<TargetInfo>,
}

/// One thing that cargo builds of a package.
#[derive(Debug, Deserialize)]
pub(crate) struct TargetInfo {
    pub(crate) crate_types: Vec<String>,
}

impl PackageInfo {
    pub(crate) fn has_cdylib(&self) -> bool {
        self.targets.iter().any(|target| target.crate_types.iter().any(|kind| kind == "cdylib"))
    }

    pub(crate) fn dir(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }
}

/// A line of `cargo build`; of all kinds, only those about artifacts are of interest.
#[derive(Debug, Deserialize)]
struct BuildMessage {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The WebAssembly file of the package with this manifest, if the line announces it.
pub(crate) fn wasm_artifact(line: &str, manifest: &Path) -> Option<PathBuf> {
    let message: BuildMessage = serde_json::from_str(line).ok()?;
    let ours = message.reason == "compiler-artifact" && message.manifest_path == manifest;
    let is_wasm = |file: &PathBuf| file.extension().is_some_and(|ext| ext == "wasm");
    if ours { message.filenames.into_iter().find(is_wasm) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_artifact_of_another_package_is_passed_over() {
        let line = r#"{"reason":"compiler-artifact","manifest_path":"/a/Cargo.toml","target":{"name":"a"},
            "filenames":["/t/liba.rlib","/t/a.wasm"],"fresh":true}"#;
        assert_eq!(wasm_artifact(line, Path::new("/a/Cargo.toml")), Some("/t/a.wasm".into()));
        assert_eq!(wasm_artifact(line, Path::new("/b/Cargo.toml")), None);
        assert_eq!(wasm_artifact(r#"{"reason":"build-finished","success":true}"#, Path::new("/a")), None);
        assert_eq!(wasm_artifact("a line of a build script", Path::new("/a")), None);
    }
}

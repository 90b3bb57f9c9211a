//! Finds the package that is to be built, and checks that it can be a transform.

use std::fs;
use std::path::{Path, PathBuf};

use crate::build::BuildOptions;
use crate::error::BuildError;
use crate::metadata::{Metadata, PackageInfo};
use crate::toolchain::{TARGET, Toolchain, said};

/// The package that transforms are written against.
pub(crate) const SDK: &str = "trifold-sdk";

/// A package that is built as a `cdylib`, and where its workspace keeps things.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest: PathBuf,
    /// The workspace's target directory.
    pub(crate) target_dir: PathBuf,
}

/// The manifest of a crate's directory, or the manifest itself, as an absolute path.
pub(crate) fn manifest_of(path: &Path) -> Result<PathBuf, BuildError> {
    let manifest = if path.is_file() { path.to_owned() } else { path.join("Cargo.toml") };
    fs::canonicalize(&manifest).map_err(|_| BuildError::NoManifest { path: path.to_owned() })
}

/// Finds the package of a manifest. Needs neither network nor dependencies.
pub(crate) fn find(toolchain: &Toolchain, manifest: &Path) -> Result<Package, BuildError> {
    let metadata = read(toolchain, manifest, &["--no-deps"])?;
    let Some(package) = metadata.packages.iter().find(|package| package.manifest_path == manifest) else {
        let guests = metadata.packages.iter().filter(|package| package.has_cdylib());
        let candidates = guests.map(|package| package.dir().to_owned()).collect();
        return Err(BuildError::NoPackage { manifest: manifest.to_owned(), candidates });
    };
    if !package.has_cdylib() {
        return Err(BuildError::NoCdylib { package: package.name.clone(), manifest: manifest.to_owned() });
    }
    Ok(Package {
        name: package.name.clone(),
        manifest: manifest.to_owned(),
        target_dir: metadata.target_directory,
    })
}

/// What is known of a package once its dependencies are.
pub(crate) struct Resolved {
    /// The compiler flags that replace the machine's paths in panic messages, for the whole workspace, so that all
    /// its transforms share the compiled dependencies.
    pub(crate) remaps: Vec<String>,
    /// The version of the SDK that the package is written against, if it depends on it.
    pub(crate) sdk: Option<String>,
}

/// Resolves the dependencies of a package.
pub(crate) fn resolve(
    toolchain: &Toolchain,
    package: &Package,
    target_dir: &Path,
    options: &BuildOptions,
) -> Result<Resolved, BuildError> {
    let mut arguments = vec!["--filter-platform", TARGET];
    arguments.extend(options.resolution_flags());
    let metadata = read(toolchain, &package.manifest, &arguments)?;
    let mut remaps = vec![(metadata.workspace_root.clone(), "/workspace".to_owned())];
    remaps.extend(metadata.packages.iter().filter_map(|package| remap(package, &metadata.workspace_root)));
    remaps.push((target_dir.to_owned(), "/target".to_owned()));
    // Of the flags that match, rustc takes the last: a longer path sorts behind the one that contains it.
    remaps.sort();
    remaps.dedup();
    let flag = |(from, to): &(PathBuf, String)| format!("--remap-path-prefix={}={to}", from.display());
    Ok(Resolved { remaps: remaps.iter().map(flag).collect(), sdk: sdk_version(&metadata, &package.manifest) })
}

fn sdk_version(metadata: &Metadata, manifest: &Path) -> Option<String> {
    let package = metadata.packages.iter().find(|package| package.manifest_path == manifest)?;
    let node = metadata.resolve.as_ref()?.nodes.iter().find(|node| node.id == package.id)?;
    let is_sdk = |package: &&PackageInfo| package.name == SDK && node.dependencies.contains(&package.id);
    metadata.packages.iter().find(is_sdk).map(|sdk| sdk.version.clone())
}

fn remap(package: &PackageInfo, workspace_root: &Path) -> Option<(PathBuf, String)> {
    let dir = package.dir();
    let named = || format!("/{}-{}", package.name, package.version);
    match &package.source {
        // Directories of unpacked crates carry name and version already; only what is above them differs.
        Some(source) if !source.starts_with("git+") => Some((dir.parent()?.to_owned(), "/registry".to_owned())),
        Some(_) => Some((dir.to_owned(), named())),
        None if dir.starts_with(workspace_root) => None,
        None => Some((dir.to_owned(), named())),
    }
}

fn read(toolchain: &Toolchain, manifest: &Path, arguments: &[&str]) -> Result<Metadata, BuildError> {
    let failed = |message| BuildError::Metadata { manifest: manifest.to_owned(), message };
    let mut command = toolchain.cargo();
    command.args(["metadata", "--format-version", "1", "--color", "never", "--manifest-path"]).arg(manifest);
    let output = command.args(arguments).output();
    let output = output.map_err(|source| BuildError::Program { program: command.get_program().into(), source })?;
    if !output.status.success() {
        return Err(failed(said(&output)));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(manifest_path: &str, source: Option<&str>) -> PackageInfo {
        PackageInfo {
            id: "dep".to_owned(),
            name: "dep".to_owned(),
            version: "1.2.3".to_owned(),
            source: source.map(str::to_owned),
            manifest_path: manifest_path.into(),
            targets: Vec::new(),
        }
    }

    #[test]
    fn paths_of_the_machine_are_replaced_by_the_same_ones_everywhere() {
        let root = Path::new("/home/me/views");
        let check = |manifest: &str, source: Option<&str>, expected: Option<(&str, &str)>| {
            let expected = expected.map(|(from, to)| (PathBuf::from(from), to.to_owned()));
            assert_eq!(remap(&package(manifest, source), root), expected, "{manifest}");
        };
        let index = Some("registry+https://example.org/index");
        check(
            "/c/registry/src/index-1/dep-1.2.3/Cargo.toml",
            index,
            Some(("/c/registry/src/index-1", "/registry")),
        );
        let git = Some("git+https://example.org/dep#0f");
        check("/c/git/checkouts/dep-9/0f/Cargo.toml", git, Some(("/c/git/checkouts/dep-9/0f", "/dep-1.2.3")));
        check("/home/me/dep/Cargo.toml", None, Some(("/home/me/dep", "/dep-1.2.3")));
        check("/home/me/views/dep/Cargo.toml", None, None);
    }
}

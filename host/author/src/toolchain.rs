//! Cargo, rustc and rustup, and the WebAssembly target.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::error::BuildError;

/// The target that transforms are compiled for: no operating system, so no clock, files or randomness.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// The programs of one Rust installation, all run in the crate's directory so that its toolchain file counts.
pub(crate) struct Toolchain {
    cargo: PathBuf,
    dir: PathBuf,
}

impl Toolchain {
    pub(crate) fn new(cargo: &Path, dir: &Path) -> Result<Toolchain, BuildError> {
        // A bare name is looked up in PATH; any other relative path is that of the caller's directory.
        let cargo = if cargo.components().count() > 1 {
            std::path::absolute(cargo).map_err(|source| BuildError::Program { program: cargo.into(), source })?
        } else {
            cargo.to_owned()
        };
        Ok(Toolchain { cargo, dir: dir.to_owned() })
    }

    /// A command of cargo.
    pub(crate) fn cargo(&self) -> Command {
        self.command(&self.cargo)
    }

    /// A companion of cargo: the one beside it, so that the toolchain is the same, or else that of PATH.
    fn companion(&self, name: &str) -> PathBuf {
        let beside = self.cargo.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        if self.cargo.is_absolute() && beside.exists() { beside } else { PathBuf::from(name) }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.dir);
        command
    }

    /// Makes sure that the WebAssembly target is installed, and says on the console when it adds it.
    pub(crate) fn ensure_target(&self, console: &mut dyn FnMut(&str)) -> Result<(), BuildError> {
        let libdir = self.target_libdir()?;
        if libdir.is_dir() {
            return Ok(());
        }
        console(&format!("adding the target {TARGET} with rustup"));
        let output = self.command(&self.companion("rustup")).args(["target", "add", TARGET]).output();
        let reason = match output {
            Ok(output) if output.status.success() && libdir.is_dir() => return Ok(()),
            Ok(output) if output.status.success() => "it is still not there".to_owned(),
            Ok(output) => said(&output),
            Err(error) => error.to_string(),
        };
        Err(BuildError::TargetMissing { libdir, reason })
    }

    fn target_libdir(&self) -> Result<PathBuf, BuildError> {
        let rustc = self.companion("rustc");
        let failed = |source| BuildError::Program { program: rustc.clone(), source };
        let mut command = self.command(&rustc);
        let output = command.args(["--print", "target-libdir", "--target", TARGET]).output().map_err(failed)?;
        if !output.status.success() {
            return Err(failed(io::Error::other(said(&output))));
        }
        Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
    }
}

/// What a failed program wrote to its standard error, on one line.
pub(crate) fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { output.status.to_string() } else { lines.join("; ") }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A directory with a `cargo` and scripts that stand for its companions.
    fn installation(rustup: &str) -> (tempfile::TempDir, Toolchain) {
        let dir = tempfile::tempdir().unwrap();
        let libdir = dir.path().join("lib");
        let rustc = format!("echo {}", libdir.display());
        for (name, body) in [("cargo", ""), ("rustc", &*rustc), ("rustup", rustup)] {
            let path = dir.path().join(name);
            fs::write(&path, format!("#!/bin/sh\ncd {}\n{body}\n", dir.path().display())).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let toolchain = Toolchain::new(&dir.path().join("cargo"), dir.path()).unwrap();
        (dir, toolchain)
    }

    #[test]
    fn a_missing_target_is_added() {
        let (_dir, toolchain) = installation("test \"$*\" = 'target add wasm32-unknown-unknown' && mkdir lib");
        let mut lines = Vec::new();
        for _ in 0..2 {
            toolchain.ensure_target(&mut |line| lines.push(line.to_owned())).unwrap();
        }
        assert_eq!(lines, ["adding the target wasm32-unknown-unknown with rustup"]);
    }

    #[test]
    fn a_target_that_cannot_be_added_names_the_command_and_the_reason() {
        let (_dir, toolchain) = installation("echo 'error: no network' >&2; exit 1");
        let error = toolchain.ensure_target(&mut |_| ()).unwrap_err().to_string();
        assert!(error.contains("rustup target add wasm32-unknown-unknown"), "{error}");
        assert!(error.contains("error: no network"), "{error}");

        let (_dir, toolchain) = installation("exit 0");
        let error = toolchain.ensure_target(&mut |_| ()).unwrap_err().to_string();
        assert!(error.contains("it is still not there"), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("rustc"), "not executable").unwrap();
        let toolchain = Toolchain::new(&dir.path().join("cargo"), dir.path()).unwrap();
        let error = toolchain.ensure_target(&mut |_| ()).unwrap_err().to_string();
        assert!(error.starts_with("cannot run") && error.contains("rustc"), "{error}");
    }
}

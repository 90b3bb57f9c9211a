//! Where the workspace's parts are, and how programs are run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::Error;

/// The workspace that this program was built from.
pub(crate) struct Workspace {
    /// Its root directory.
    pub(crate) root: PathBuf,
    /// The directory of its programs in the dev profile, wherever the target directory is.
    pub(crate) programs: PathBuf,
    cargo: PathBuf,
}

impl Workspace {
    pub(crate) fn find() -> Result<Workspace, Error> {
        let of = |name: &str, default: &str| variable(name).map_or_else(|| PathBuf::from(default), PathBuf::from);
        // Cargo says at run time where the package is; where it was built may be another clone, if clones share
        // a target directory.
        let package = of("CARGO_MANIFEST_DIR", env!("CARGO_MANIFEST_DIR"));
        let own = std::env::current_exe();
        let own = own.map_err(|source| Error::Start { program: "xtask".to_owned(), source })?;
        Ok(Workspace {
            root: package.parent().unwrap_or(&package).to_owned(),
            programs: own.parent().unwrap_or(&own).to_owned(),
            cargo: of("CARGO", "cargo"),
        })
    }

    /// A cargo command in the workspace's root, without what cargo set for this program.
    pub(crate) fn cargo(&self) -> Command {
        self.command(&self.cargo)
    }

    /// A program in the workspace's root.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(&self.root).stdin(Stdio::null());
        // Build scripts that watch these variables would run again and again.
        let own = std::env::vars_os().map(|(name, _)| name);
        for name in own.filter(|name| is_of_this_package(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command
    }

    /// Cargo's target directory, wherever it is.
    pub(crate) fn target(&self) -> &Path {
        self.programs.parent().unwrap_or(&self.programs)
    }

    /// The path of a program of the workspace.
    pub(crate) fn path_of(&self, program: &str) -> PathBuf {
        self.programs.join(format!("{program}{}", std::env::consts::EXE_SUFFIX))
    }

    /// A program of the workspace, to run in its root. What it compiles goes below the root, where the tests
    /// compile the same components, even if cargo's target directory is elsewhere.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = self.command(self.path_of(name));
        command.env("CARGO_TARGET_DIR", self.root.join("target"));
        command
    }

    /// Builds the programs that the demo consists of. The selection is that of a plain `cargo build`, because
    /// another one would turn on other features and compile dependencies a second time.
    pub(crate) fn build_programs(&self) -> Result<(), Error> {
        run(self.cargo().args(["build", "--bin", "trifold", "--bin", "flights-demo"]))
    }
}

fn is_of_this_package(name: &str) -> bool {
    name.starts_with("CARGO_PKG_") || ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH"].contains(&name)
}

/// The value of an environment variable, if it is set to anything.
#[expect(clippy::disallowed_methods, reason = "cargo tells by environment variables where it and the package are")]
pub(crate) fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Runs a command to its end, with its output going where ours does.
pub(crate) fn run(command: &mut Command) -> Result<(), Error> {
    let status = command.status().map_err(|source| start_error(command, source))?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::Failed { command: shown(command), status: status.to_string() })
    }
}

/// What a command prints, if there is such a program and it succeeds.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn start_error(command: &Command, source: std::io::Error) -> Error {
    Error::Start { program: command.get_program().to_string_lossy().into_owned(), source }
}

/// The command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_stem().unwrap_or_default().to_string_lossy();
    let words = command.get_args().map(|argument| argument.to_string_lossy());
    std::iter::once(program).chain(words).collect::<Vec<_>>().join(" ")
}

/// Prints a line.
pub(crate) fn say(line: impl std::fmt::Display) {
    use std::io::Write;
    // Whoever reads the output may stop reading; that is no failure of ours.
    let _ = writeln!(std::io::stdout(), "{line}");
}

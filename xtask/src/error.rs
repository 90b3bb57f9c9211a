//! What can go wrong, and the exit code of each.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

/// Why a word was not carried out. The exit codes from 64 up are those of the `trifold` command.
#[derive(Debug)]
pub(crate) enum Error {
    /// The command line is wrong.
    Usage(String),
    /// Something that must be installed is not.
    Missing(String),
    /// A program could not be started.
    Start { program: String, source: std::io::Error },
    /// A program ended without success.
    Failed { command: String, status: String },
    /// Some of many runs failed.
    Runs { failed: u64, of: u64 },
    /// A file could not be read.
    Read { path: PathBuf, source: std::io::Error },
    /// A file or folder could not be written.
    Write { path: PathBuf, source: std::io::Error },
    /// The demo's report is not what it must be.
    Report { path: PathBuf, problem: String },
}

impl Error {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Error::Usage(_) => 64,
            Error::Missing(_) | Error::Start { .. } => 69,
            Error::Failed { .. } | Error::Runs { .. } | Error::Report { .. } => 1,
            Error::Read { .. } | Error::Write { .. } => 74,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage(message) | Error::Missing(message) => f.write_str(message),
            Error::Start { program, source } => write!(f, "cannot run {program}: {source}"),
            Error::Failed { command, status } => write!(f, "`{command}` failed with {status}"),
            Error::Runs { failed, of } => write!(f, "{failed} of {of} runs failed"),
            Error::Read { path, source } => write!(f, "cannot read {}: {source}", path.display()),
            Error::Write { path, source } => write!(f, "cannot write {}: {source}", path.display()),
            Error::Report { path, problem } => write!(f, "{}: {problem}", path.display()),
        }
    }
}

impl std::error::Error for Error {}

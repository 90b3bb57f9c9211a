//! What can go wrong.

use std::path::{Path, PathBuf};

use arrow_schema::ArrowError;
use trifold_eventlog::LogError;
use trifold_model::DecodeError;
use trifold_model::canonical::ForeignType;
use trifold_server::client::ClientError;

/// Why the demo could not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// A file or directory.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A program that cannot be started.
    #[error("cannot run {program}: {source}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// A command that ended without success.
    #[error("`{command}` failed with {status}{said}")]
    Command {
        /// The command.
        command: String,
        /// How it ended.
        status: String,
        /// What it wrote to standard error, on lines of its own.
        said: String,
    },
    /// A command whose answer is not understood.
    #[error("`{command}` answered `{answer}`: {problem}")]
    Answer {
        /// The command.
        command: String,
        /// What it printed.
        answer: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A lookup.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A file of events or rows.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An entity key.
    #[error(transparent)]
    Key(#[from] DecodeError),
    /// A column of a type outside the contract.
    #[error(transparent)]
    Type(#[from] ForeignType),
    /// Columns that do not make a batch.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    /// Something is not as the demo expects it.
    #[error("{0}")]
    Unexpected(String),
    /// Someone ended the demo.
    #[error("interrupted")]
    Interrupted,
}

impl DemoError {
    /// A file error, for `map_err`.
    pub(crate) fn file(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> DemoError {
        let path = path.as_ref().to_owned();
        move |source| DemoError::File { action, path, source }
    }

    /// A program that cannot be started.
    pub(crate) fn start(program: impl Into<String>, source: std::io::Error) -> DemoError {
        DemoError::Start { program: program.into(), source }
    }
}

//! What can go wrong.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use thiserror::Error;

/// Why a server is not in the state that a test asked for.
#[derive(Error)]
pub enum ServerError {
    /// It was never fetched.
    #[error("there are no jars of {server} in {}: run `cargo xtask test` once, which fetches them", place.display())]
    NoJars {
        /// The server.
        server: &'static str,
        /// Where they were looked for.
        place: PathBuf,
    },
    /// It ended instead of listening.
    #[error("{server} ended with {status}; its log ends:\n{log}")]
    Died {
        /// The server.
        server: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// It runs and does not do what it was told.
    #[error("{server} has not {what} within {within:?}; its log ends:\n{log}")]
    TooSlow {
        /// The server.
        server: &'static str,
        /// What it should have done.
        what: &'static str,
        /// The time that it had.
        within: Duration,
        /// The end of its log.
        log: String,
    },
    /// It was stopped or killed before, or ended by itself.
    #[error("{server} does not run")]
    NotRunning {
        /// The server.
        server: &'static str,
    },
    /// It was started before.
    #[error("{server} runs already")]
    Running {
        /// The server.
        server: &'static str,
    },
    /// It was there before the test and belongs to others.
    #[error("{server} at {address} was not started by this test, which can neither stop nor change it")]
    Foreign {
        /// The server.
        server: &'static str,
        /// Where it is.
        address: String,
    },
    /// It does not do what it was told.
    #[error("{server} answered `{answer}` to `{command}`")]
    Refused {
        /// The server.
        server: &'static str,
        /// What it was told.
        command: String,
        /// What it said.
        answer: String,
    },
    /// There is no such cluster.
    #[error(
        "a Redis Cluster cannot have {nodes} nodes: each has a slot or more of {max}, so 1 to {max} are possible"
    )]
    ClusterSize {
        /// How many were asked for.
        nodes: usize,
        /// How many there may be.
        max: usize,
    },
    /// The machine has no port left.
    #[error("no port is free between {first} and {last}")]
    NoPort {
        /// The first port that was tried.
        first: u16,
        /// The last one.
        last: u16,
    },
    /// The system refused something.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was to be done.
        what: String,
        /// Why it was not.
        source: io::Error,
    },
}

/// The message: what a test unwraps is printed so, and a log should be readable there.
impl fmt::Debug for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl ServerError {
    /// Says what a call of the system was for.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> ServerError {
        let what = what.into();
        move |source| ServerError::Io { what, source }
    }
}

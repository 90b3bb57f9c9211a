//! The exit codes, in one place. Codes from 64 up follow BSD's `sysexits.h`.

use std::fmt;
use std::process::ExitCode;

/// Why a command ended without success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command did its work, and the answer is no: an audit found differences, a gate refused a component.
    Refused,
    /// The command line or the configuration is wrong.
    Usage,
    /// Input is malformed: a component, a file of events, a registry record.
    Data,
    /// Something named does not exist: a file, a view, a version.
    NotFound,
    /// Something needed is not there right now: a server, a store that another process holds.
    Unavailable,
    /// Trifold itself failed.
    Internal,
    /// Reading or writing failed.
    Io,
}

impl Exit {
    /// Every failure, for the help text.
    pub const ALL: [Exit; 7] =
        [Exit::Refused, Exit::Usage, Exit::Data, Exit::NotFound, Exit::Unavailable, Exit::Internal, Exit::Io];

    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Exit::Refused => 1,
            Exit::Usage => 64,
            Exit::Data => 65,
            Exit::NotFound => 66,
            Exit::Unavailable => 69,
            Exit::Internal => 70,
            Exit::Io => 74,
        }
    }

    /// What the code means.
    pub fn meaning(self) -> &'static str {
        match self {
            Exit::Refused => "the answer is no: an audit found differences, a gate refused a component",
            Exit::Usage => "the command line or the configuration is wrong",
            Exit::Data => "input is malformed: a component, events, a registry record",
            Exit::NotFound => "something named does not exist: a file, a view, a version",
            Exit::Unavailable => "something needed is not there now: a server, a store in use",
            Exit::Internal => "trifold itself failed",
            Exit::Io => "reading or writing failed",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// A failed command: the code to end with and the error to show.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// The error with its causes.
    pub error: anyhow::Error,
}

/// The result of a command.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure with a message of its own.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Failure {
        Failure { exit, error: anyhow::anyhow!("{message}") }
    }

    /// The error with its causes, without those that it names itself.
    pub fn text(&self) -> String {
        let mut text = self.error.to_string();
        for cause in self.error.chain().skip(1).map(ToString::to_string) {
            if !text.contains(&cause) {
                text.push_str(&format!(": {cause}"));
            }
        }
        text
    }
}

/// Gives errors their exit code.
pub trait OrExit<T> {
    /// The value, or a failure with this code.
    fn or_exit(self, exit: Exit) -> Outcome<T>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Outcome<T> {
        self.map_err(|error| Failure { exit, error: error.into() })
    }
}

/// The table of exit codes that `trifold --help` ends with.
pub fn help() -> String {
    let mut text = String::from("Exit codes:\n    0  success\n");
    for exit in Exit::ALL {
        text.push_str(&format!("  {:>3}  {}\n", exit.code(), exit.meaning()));
    }
    text
}

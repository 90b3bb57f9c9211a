//! The `trifold` command: what is asked of it and what it answers.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::error::DemoError;

/// The command, with a data directory.
pub(crate) struct Trifold {
    program: PathBuf,
    /// Where it runs; there is no configuration file of anybody's there.
    dir: PathBuf,
    data: PathBuf,
}

/// The answer of `trifold build`.
#[derive(Debug, Deserialize)]
pub(crate) struct Built {
    pub(crate) path: PathBuf,
    pub(crate) digest: String,
    pub(crate) bytes: u64,
}

/// The answer of `trifold push`.
#[derive(Debug, Deserialize)]
pub(crate) struct Pushed {
    pub(crate) view: String,
    pub(crate) version: u64,
}

/// The answer of `trifold stream`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Streamed {
    pub(crate) views: Vec<StreamedView>,
}

/// What a stream did for one view.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct StreamedView {
    pub(crate) view: String,
    pub(crate) state_id: String,
    pub(crate) next_offset: u64,
    pub(crate) rows: u64,
    pub(crate) aside: BTreeMap<String, u64>,
}

/// The answer of `trifold backfill`.
#[derive(Debug, Deserialize)]
pub(crate) struct Backfilled {
    pub(crate) rows: u64,
    pub(crate) statuses: BTreeMap<String, u64>,
}

/// The answer of `trifold audit`.
#[derive(Debug, Deserialize)]
pub(crate) struct Audited {
    pub(crate) compared: u64,
    pub(crate) differing: u64,
    pub(crate) missing: u64,
    pub(crate) extra: u64,
    pub(crate) unavailable: u64,
}

impl Trifold {
    pub(crate) fn new(program: &Path, dir: &Path) -> Self {
        Trifold { program: program.to_owned(), dir: dir.to_owned(), data: dir.join("data") }
    }

    /// A command line. What the environment says to trifold is not meant for the demo.
    pub(crate) fn command(&self, arguments: &[&OsStr]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).args(["--format", "json", "--data-dir"]).arg(&self.data);
        command.current_dir(&self.dir).stdin(Stdio::null());
        let named_for_trifold = |name: &OsString| name.to_string_lossy().starts_with("TRIFOLD_");
        for name in std::env::vars_os().map(|(name, _)| name).filter(named_for_trifold) {
            command.env_remove(name);
        }
        command
    }

    /// Runs a command and reads its answer.
    pub(crate) async fn run<T: DeserializeOwned>(&self, arguments: &[&OsStr]) -> Result<T, DemoError> {
        let ended = self.end(arguments).await?;
        if ended.status.success() { ended.answer() } else { Err(ended.failure()) }
    }

    /// Runs an audit, which says no with exit code 1 and an answer.
    pub(crate) async fn audit(&self, arguments: &[&OsStr]) -> Result<Audited, DemoError> {
        let ended = self.end(arguments).await?;
        match ended.status.code() {
            Some(0) => ended.answer(),
            Some(1) if !ended.stdout.is_empty() => ended.answer(),
            _ => Err(ended.failure()),
        }
    }

    async fn end(&self, arguments: &[&OsStr]) -> Result<Ended, DemoError> {
        let mut command = self.command(arguments);
        // On a terminal the command's own progress bars are the best there is to see.
        let watched = std::io::stderr().is_terminal();
        command.stdout(Stdio::piped()).stderr(if watched { Stdio::inherit() } else { Stdio::piped() });
        let mut running = Running::start(&mut command)?;
        let stdout = read_to_end(running.0.stdout.take());
        let stderr = read_to_end(running.0.stderr.take());
        let (stdout, stderr) = (stdout.await.unwrap_or_default(), stderr.await.unwrap_or_default());
        let status = running.0.wait().map_err(|source| DemoError::start(shown(&command), source))?;
        Ok(Ended { command: shown(&command), status, stdout, stderr })
    }
}

struct Ended {
    command: String,
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn answer<T: DeserializeOwned>(self) -> Result<T, DemoError> {
        serde_json::from_str(&self.stdout).map_err(|error| DemoError::Answer {
            command: self.command,
            answer: self.stdout.trim().to_owned(),
            problem: error.to_string(),
        })
    }

    fn failure(self) -> DemoError {
        failure(self.command, self.status, &self.stderr)
    }
}

/// A command that failed, with what it said if that has not been seen yet.
pub(crate) fn failure(command: String, status: ExitStatus, stderr: &str) -> DemoError {
    let said = if stderr.trim().is_empty() { String::new() } else { format!(":\n{}", stderr.trim_end()) };
    DemoError::Command { command, status: status.to_string(), said }
}

/// A child process, which does not outlive this value.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Result<Running, DemoError> {
        let program = command.get_program().to_string_lossy().into_owned();
        command.spawn().map(Running).map_err(|source| DemoError::start(program, source))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if the process has ended and been waited for, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The command as a person would type it, without what all share.
pub(crate) fn shown(command: &Command) -> String {
    let words = command.get_args().map(OsStr::to_string_lossy).take_while(|word| word != "--format");
    std::iter::once("trifold".into()).chain(words).collect::<Vec<_>>().join(" ")
}

/// Reads a pipe on a thread of its own, so that a child never waits for its reader.
pub(crate) fn read_to_end(pipe: Option<impl Read + Send + 'static>) -> oneshot::Receiver<String> {
    let (done, text) = oneshot::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is still worth showing.
            let _ = pipe.read_to_end(&mut bytes);
        }
        // Nobody waits any more if the demo was interrupted.
        let _ = done.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    text
}

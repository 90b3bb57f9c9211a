//! `trifold up`, running beside the demo.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::error::DemoError;
use crate::trifold::{Running, Trifold, failure, read_to_end, shown};

/// How long the server may take to listen, or to end. Long, because a busy machine compiles components slowly.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running stream worker and server.
pub(crate) struct Up {
    /// Where the server listens.
    pub(crate) url: String,
    running: Running,
    /// Completes when standard output is closed.
    rest: oneshot::Receiver<String>,
    command: String,
    /// What it says on standard error.
    log: PathBuf,
}

/// The first line of `trifold up`.
#[derive(Debug, Deserialize)]
struct Listening {
    listening: String,
}

impl Up {
    /// Starts on a free port and waits until it listens.
    pub(crate) async fn start(trifold: &Trifold, events: &OsStr, log: PathBuf) -> Result<Up, DemoError> {
        let arguments = ["up", "--listen", "127.0.0.1:0", "--events"].map(OsStr::new);
        let mut command = trifold.command(&[&arguments[..], &[events]].concat());
        let said = File::create(&log).map_err(DemoError::file("make", &log))?;
        command.stdout(Stdio::piped()).stderr(said);
        let mut running = Running::start(&mut command)?;
        let (first, listening) = oneshot::channel();
        let (done, rest) = oneshot::channel();
        let mut stdout = running.0.stdout.take().map(BufReader::new);
        std::thread::spawn(move || {
            let mut line = String::new();
            if let Some(stdout) = &mut stdout {
                // A line that cannot be read is as good as none.
                let _ = stdout.read_line(&mut line);
            }
            let _ = first.send(line);
            let _ = done.send(read_to_end(stdout).blocking_recv().unwrap_or_default());
        });
        let mut up = Up { url: String::new(), running, rest, command: shown(&command), log };
        let line = match timeout(PATIENCE, listening).await {
            Ok(line) => line.unwrap_or_default(),
            Err(_) => return Err(up.silent("did not say where it listens")),
        };
        if line.is_empty() {
            return Err(up.ended()?);
        }
        let parsed: Result<Listening, _> = serde_json::from_str(&line);
        up.url = parsed
            .map_err(|error| DemoError::Answer {
                command: up.command.clone(),
                answer: line.trim().to_owned(),
                problem: error.to_string(),
            })?
            .listening;
        Ok(up)
    }

    /// The better explanation of an error: if the server has ended, that is why.
    pub(crate) fn explain(&mut self, error: DemoError) -> DemoError {
        match self.running.0.try_wait() {
            Ok(Some(status)) => failure(self.command.clone(), status, &self.said()),
            _ => error,
        }
    }

    /// Asks the process to end, as a service manager would, and waits for it.
    pub(crate) async fn stop(mut self) -> Result<(), DemoError> {
        let mut kill = Command::new("sh");
        kill.args(["-c", "kill -TERM \"$0\""]).arg(self.running.0.id().to_string());
        kill.status().map_err(|source| DemoError::start("sh", source))?;
        if timeout(PATIENCE, &mut self.rest).await.is_err() {
            return Err(self.silent("did not end when it was asked to"));
        }
        let status = self.running.0.wait().map_err(|source| DemoError::start(&*self.command, source))?;
        if status.success() { Ok(()) } else { Err(failure(self.command.clone(), status, &self.said())) }
    }

    fn ended(&mut self) -> Result<DemoError, DemoError> {
        let status = self.running.0.wait().map_err(|source| DemoError::start(&*self.command, source))?;
        Ok(failure(self.command.clone(), status, &self.said()))
    }

    fn silent(&self, what: &str) -> DemoError {
        let seconds = PATIENCE.as_secs();
        DemoError::Unexpected(format!("`{}` {what} within {seconds} seconds\n{}", self.command, self.said()))
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

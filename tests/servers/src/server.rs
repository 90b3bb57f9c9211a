//! A server that can be started again.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::error::ServerError;
use crate::process::Process;

/// What was told to stop does so within.
const STOPS_WITHIN: Duration = Duration::from_secs(30);
/// How often it is looked, while a process runs, whether something has come true of which it does not tell.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How much of a log goes into an error.
const LOG_LINES: usize = 30;

/// How a server is run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    /// Host and port.
    pub(crate) address: String,
    /// The program and its arguments.
    pub(crate) line: Vec<OsString>,
    /// Whether it answers at its address; the other argument is its log.
    pub(crate) is_up: fn(&str, &Path) -> bool,
    pub(crate) up_within: Duration,
}

/// A server in a child process, with a directory of its own.
#[derive(Debug)]
pub struct Server {
    plan: Plan,
    log: PathBuf,
    // Before the directory, so that it has ended when that is removed.
    running: Option<Process>,
    dir: TempDir,
}

impl Server {
    /// Starts a server, and waits until it is up.
    pub(crate) fn start(plan: Plan, dir: TempDir) -> Result<Server, ServerError> {
        let mut server = Server { plan, log: dir.path().join("log"), running: None, dir };
        server.start_again()?;
        Ok(server)
    }

    pub(crate) fn start_again(&mut self) -> Result<(), ServerError> {
        if self.process().is_ok() {
            return Err(ServerError::Running { server: self.plan.name });
        }
        let process = Process::start(&self.plan.line, self.dir.path(), &self.log);
        self.running = Some(process.map_err(self.failed("start"))?);
        let (is_up, within) = (self.plan.is_up, self.plan.up_within);
        let outcome = self.wait("come up", within, |server| Ok(is_up(&server.plan.address, &server.log)));
        if outcome.is_err() {
            self.running = None;
        }
        outcome
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(&mut self) -> Result<(), ServerError> {
        self.signal("TERM")?;
        // A paused one would not notice.
        self.signal("CONT")?;
        self.wait_until("stopped", STOPS_WITHIN, |server| Ok(server.process().is_err()))?;
        self.running = None;
        Ok(())
    }

    /// Ends it at once, as when a machine loses power but not its disk.
    pub(crate) fn kill(&mut self) -> Result<(), ServerError> {
        self.process()?;
        self.running = None;
        Ok(())
    }

    /// Lets it do nothing more, with its connections open, until it is resumed.
    pub(crate) fn pause(&mut self) -> Result<(), ServerError> {
        self.signal("STOP")?;
        self.wait("paused", STOPS_WITHIN, |server| Ok(server.process()?.is_paused()))
    }

    pub(crate) fn resume(&mut self) -> Result<(), ServerError> {
        self.signal("CONT")
    }

    /// Fails unless it runs.
    pub(crate) fn check_runs(&mut self) -> Result<(), ServerError> {
        self.process().map(|_| ())
    }

    /// Waits until something holds of the address of a server that runs.
    pub(crate) fn wait_for(
        &mut self,
        what: &'static str,
        within: Duration,
        holds: impl Fn(&str) -> bool,
    ) -> Result<(), ServerError> {
        self.wait(what, within, |server| Ok(holds(&server.plan.address)))
    }

    fn signal(&mut self, name: &str) -> Result<(), ServerError> {
        let failed = self.failed("send a signal to");
        self.process()?.signal(name).map_err(failed)
    }

    /// The process, if it has not ended.
    fn process(&mut self) -> Result<&mut Process, ServerError> {
        let server = self.plan.name;
        let failed = self.failed("look after");
        let process = self.running.as_mut().ok_or(ServerError::NotRunning { server })?;
        match process.ended().map_err(failed)? {
            None => Ok(process),
            Some(_) => Err(ServerError::NotRunning { server }),
        }
    }

    /// Waits until something holds of a server that runs.
    fn wait(
        &mut self,
        what: &'static str,
        within: Duration,
        holds: impl Fn(&mut Server) -> Result<bool, ServerError>,
    ) -> Result<(), ServerError> {
        self.wait_until(what, within, |server| {
            let failed = server.failed("look after");
            match server.running.as_mut().map(Process::ended).transpose().map_err(failed)?.flatten() {
                Some(status) => {
                    Err(ServerError::Died { server: server.plan.name, status, log: server.end_of_log() })
                }
                None => holds(server),
            }
        })
    }

    /// Waits until something holds, or may hold because the process has ended. Nobody tells of a port that opens, so it is
    /// looked for while that is waited for.
    fn wait_until(
        &mut self,
        what: &'static str,
        within: Duration,
        holds: impl Fn(&mut Server) -> Result<bool, ServerError>,
    ) -> Result<(), ServerError> {
        let begun = Instant::now();
        while !holds(self)? {
            if begun.elapsed() > within {
                return Err(self.too_slow(what, within));
            }
            let process = self.running.as_ref().ok_or(ServerError::NotRunning { server: self.plan.name })?;
            process.ends_within(LOOK_EVERY);
        }
        Ok(())
    }

    fn failed(&self, what: &str) -> impl FnOnce(std::io::Error) -> ServerError + use<> {
        ServerError::io(format!("{what} {}", self.plan.name))
    }

    fn too_slow(&self, what: &'static str, within: Duration) -> ServerError {
        ServerError::TooSlow { server: self.plan.name, what, within, log: self.end_of_log() }
    }

    fn end_of_log(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        end_of(&String::from_utf8_lossy(&log))
    }
}

/// The last lines of a log.
pub(crate) fn end_of(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

/// A directory for a server.
pub(crate) fn directory() -> Result<TempDir, ServerError> {
    tempfile::tempdir().map_err(ServerError::io("make a temporary directory"))
}

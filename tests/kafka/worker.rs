//! A worker's process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// How long one worker is listened to while another may be the one that has something to say.
const SOON: Duration = Duration::from_millis(100);

/// A worker that follows its topic. Killed when it is dropped.
pub(crate) struct Worker {
    child: Child,
    /// What it logs, line by line.
    lines: Receiver<String>,
    heard: Vec<String>,
}

impl Worker {
    /// Starts a command whose log is worth following.
    pub(crate) fn start(mut command: Command) -> Self {
        command.args(["--log", "info,trifold_stream::kafka=trace,trifold_cli=debug"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            let lines = stderr.lines().map_while(Result::ok);
            lines.map_while(|line| sender.send(line).ok()).for_each(drop);
        });
        Worker { child, lines, heard: Vec::new() }
    }

    /// Waits for a line to come that has this in it.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, part: &str) {
        self.wait_until(part, |line| line.contains(part));
    }

    /// Where it answers those who watch it.
    #[track_caller]
    pub(crate) fn watched_at(&mut self) -> String {
        self.wait_for("metrics at /metrics");
        let line = self.heard.last().unwrap();
        line.split("address=").nth(1).unwrap().split(' ').next().unwrap().to_owned()
    }

    /// Waits for a line to come that is `what`.
    #[track_caller]
    pub(crate) fn wait_until(&mut self, what: &str, is_it: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    let found = is_it(&line);
                    self.heard.push(line);
                    if found {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no `{what}` came: {:#?}", self.last()),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the worker ended ({:?}) before `{what}`: {:#?}", self.child.wait(), self.last());
                }
            }
        }
    }

    /// Whether a line that has this in it comes soon.
    pub(crate) fn hears(&mut self, part: &str) -> bool {
        let begun = Instant::now();
        while let Ok(line) = self.lines.recv_timeout(SOON.saturating_sub(begun.elapsed())) {
            let found = line.contains(part);
            self.heard.push(line);
            if found {
                return true;
            }
        }
        false
    }

    /// Forgets the lines that came already.
    pub(crate) fn catch_up(&mut self) {
        self.heard.extend(self.lines.try_iter());
    }

    /// Whether a line that came has this in it.
    pub(crate) fn has_said(&self, part: &str) -> bool {
        self.heard.iter().any(|line| line.contains(part))
    }

    /// The last lines that came.
    pub(crate) fn last(&self) -> &[String] {
        &self.heard[self.heard.len().saturating_sub(30)..]
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends it by SIGKILL, which it must still be there for.
    #[track_caller]
    pub(crate) fn kill(mut self) {
        assert!(self.is_running(), "the worker ended by itself: {:#?}", self.last());
        self.child.kill().unwrap();
        assert_eq!(self.child.wait().unwrap().code(), None, "the worker was not killed");
    }

    /// Sends it a signal.
    #[track_caller]
    pub(crate) fn signal(&mut self, name: &str) {
        assert!(self.is_running(), "the worker ended by itself: {:#?}", self.last());
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Asks it to end, and waits until it has, in good order.
    #[track_caller]
    pub(crate) fn terminate(mut self) {
        self.signal("-TERM");
        let code = self.child.wait().unwrap().code();
        self.catch_up();
        assert_eq!(code, Some(0), "{:#?}", self.last());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            self.catch_up();
            eprintln!("the last lines of a worker: {:#?}", self.last());
        }
    }
}

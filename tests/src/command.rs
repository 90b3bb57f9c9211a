//! The `trifold` command as a child process: the same main function and library as in `host/cli`, built as a
//! program of this package so that cargo keeps it up to date for the tests.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use trifold_cli::exit::Exit;

/// A data directory and the command that works on it.
pub struct Trifold {
    program: PathBuf,
    dir: TempDir,
    variables: Vec<(String, String)>,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    /// The command line.
    pub line: String,
    /// Its exit code; `None` after a signal.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

impl Trifold {
    /// A fresh data directory for a program of cargo's.
    pub fn new(program: &str) -> Self {
        Trifold { program: PathBuf::from(program), dir: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    /// The same with a variable in the environment of every command.
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A path in the directory above the data directory, where tests may put what they like.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A path in the data directory.
    pub fn data(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path("data").join(name)
    }

    /// The command with arguments, working in a directory without a configuration file.
    pub fn command<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(self.dir.path()).stdin(Stdio::null());
        let ours = std::env::vars_os().map(|(name, _)| name);
        let is_read = |name: &str| name.starts_with("TRIFOLD_") || name.starts_with("AWS_");
        for name in ours.filter(|name| is_read(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command.env("TRIFOLD_DATA_DIR", self.data("")).envs(self.variables.iter().cloned());
        command
    }

    /// Runs the command to its end.
    pub fn run<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        Ran::of(&mut self.command(arguments))
    }

    /// Starts `up` or `serve` on a free port and waits until it listens.
    #[track_caller]
    pub fn start<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Running {
        let mut command = self.command(arguments);
        command.args(["--listen", "127.0.0.1:0", "--format", "json"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let listening: Option<Value> = serde_json::from_str(&line).ok();
        let url = listening.as_ref().and_then(|listening| listening["listening"].as_str()).map(str::to_owned);
        let Some(url) = url else {
            let mut stderr = String::new();
            child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
            panic!("{command:?} does not listen: {line}{stderr}");
        };
        let http = listening.as_ref().and_then(|listening| listening["http"].as_str()).map(str::to_owned);
        Running { child, stdout, url, http }
    }
}

impl Ran {
    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Ran {
            line: format!("{command:?}"),
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Fails unless the command succeeded.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// Fails unless the command ended with this exit code and all these parts in its complaint.
    #[track_caller]
    pub fn refused(self, exit: Exit, parts: &[&str]) -> Self {
        assert_eq!(self.code, Some(exit.code().into()), "{exit:?} was expected: {self:#?}");
        for part in parts {
            assert!(self.stderr.contains(part), "`{part}` is missing: {self:#?}");
        }
        self
    }

    /// What it printed, as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// A running server. Killed when it is dropped.
pub struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// Where it listens.
    pub url: String,
    /// Where it listens for HTTP, if it does.
    pub http: Option<String>,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it by SIGKILL and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, by SIGTERM.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends it a signal, as in `STOP`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits until it ends by itself.
    pub fn wait(mut self) -> Ran {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let code = self.child.wait().unwrap().code();
        Ran { line: format!("the server at {}", self.url), code, stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

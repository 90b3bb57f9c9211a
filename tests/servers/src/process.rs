//! A child process that ends with this one.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Runs a program, tells its process id, and sends it the signals that it is told. When nobody is left to tell any,
/// because this process was killed, it kills the program and removes the folder that it works in. The program's output
/// goes where the shell's errors go.
const SHELL: &str = r#"
folder=$(pwd)
exec 3<&0
"$@" </dev/null >&2 3<&- &
server=$!
echo "$server"
{
    while read -r signal <&3; do kill -s "$signal" "$server"; done
    kill -s KILL "$$" "$server"
    cd /
    rm -rf "$folder"
} >/dev/null 2>&1 &
watch=$!
wait "$server"
status=$?
kill -s KILL "$watch"
exit "$status"
"#;

/// A program that runs, and is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    shell: Child,
    /// Where signals are told. Nobody else has it, so it is closed when this process ends, even if that is killed.
    signals: ChildStdin,
    id: String,
    /// Nothing is ever said here, and nobody is left to say it once the shell has ended.
    end: Mutex<Receiver<()>>,
}

impl Process {
    /// Starts a program in a folder of its own. `log` begins anew.
    pub(crate) fn start<S: AsRef<OsStr>>(line: &[S], folder: &Path, log: &Path) -> io::Result<Process> {
        let mut shell = Command::new("sh");
        shell.args(["-c", SHELL, "sh"]).args(line).current_dir(folder);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(log)?);
        let mut shell = shell.spawn()?;
        let pipe = || io::Error::other("the shell has no pipe");
        let signals = shell.stdin.take().ok_or_else(pipe)?;
        let mut id = String::new();
        let mut told = BufReader::new(shell.stdout.take().ok_or_else(pipe)?);
        told.read_line(&mut id)?;
        let (sender, end) = channel();
        thread::spawn(move || {
            // The shell tells no more: what it does is to close this when it ends.
            let _ = io::copy(&mut told, &mut io::sink());
            drop(sender);
        });
        Ok(Process { signals, shell, id: id.trim().to_owned(), end: Mutex::new(end) })
    }

    /// Sends a signal, given by its name.
    pub(crate) fn signal(&mut self, name: &str) -> io::Result<()> {
        self.signals.write_all(format!("{name}\n").as_bytes())
    }

    /// Waits until it ends, for so long at most: whether it has.
    pub(crate) fn ends_within(&self, within: Duration) -> bool {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        end.recv_timeout(within) == Err(RecvTimeoutError::Disconnected)
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.shell.try_wait()
    }

    /// Whether every thread has stopped. A thread may go on for a while after the signal. Where the system does not
    /// tell, they count as stopped.
    pub(crate) fn is_paused(&self) -> bool {
        let Ok(threads) = fs::read_dir(format!("/proc/{}/task", self.id)) else { return true };
        // The state follows the program's name, which stands in brackets.
        let state = |stat: &str| stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
        let stats = threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
        stats.into_iter().all(|stat| state(&stat) == Some('T'))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // If it has ended already, nobody listens, and nobody needs to be waited for.
        let _ = self.signal("KILL");
        let _ = self.shell.wait();
    }
}

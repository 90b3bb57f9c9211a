//! Compilation, in a process that can be killed where one is given.
//!
//! What a compiler needs grows faster than what it compiles, and a thread can neither be stopped nor be held to an
//! amount of memory. So a host names a program, its own most likely, that calls [`compile_one`]: it limits its own time
//! before it reads a byte of the component, the host looks at its memory, and whatever becomes of it, the host goes on.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use wasmtime::Engine;

use crate::config;

/// A program that compiles one component at a time.
#[derive(Debug, Clone)]
pub struct Compiler {
    /// The program.
    pub program: PathBuf,
    /// The arguments with which it calls [`compile_one`].
    pub arguments: Vec<OsString>,
    /// What it may use for one component.
    pub limits: CompileLimits,
}

/// What compiling one component may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Seconds of processor time, over all threads.
    pub seconds: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
}

impl Default for CompileLimits {
    /// Measured: a transform of 77 KB takes 0.6 s and 170 MiB. The defaults leave room for one that is many times as
    /// large, and a server with the memory of two of them stands.
    fn default() -> Self {
        CompileLimits { seconds: 60, memory_bytes: 2 << 30 }
    }
}

/// Why there is no code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CompileError {
    /// The compiler refused the component.
    Refused(String),
    /// It reached a limit: the limit's name and its value.
    Limit(&'static str, String),
    /// It did not work at all.
    Broken(String),
}

/// Waiting ends where processor time has not: the program may stand still. As many times the limit of time is enough
/// for a machine on which as many other programs want to run.
const PATIENCE: u32 = 20;
/// Bytes of what the program says that are read.
const MESSAGE_BYTES_MAX: u64 = 4 << 10;
/// The exit code for a component that the compiler refuses, as in BSD's `sysexits.h`.
const REFUSED: u8 = 65;
/// How often the program's memory is looked at. It can take some ten megabytes more until then.
const GLANCE: Duration = Duration::from_millis(10);

impl Compiler {
    /// The code of a valid component.
    pub(crate) fn compile(&self, wasm: &[u8]) -> Result<Vec<u8>, CompileError> {
        let program = self.program.display();
        let broken = |error: io::Error| CompileError::Broken(format!("{program} cannot be run: {error}"));
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(broken)?;
        let (code, said) = self.talk(&mut child, wasm);
        let status = child.wait().map_err(broken)?;
        match code {
            Ok(code) if status.success() => Ok(code),
            Ok(_) => Err(self.verdict(status, &said)),
            Err(error) => Err(error),
        }
    }

    /// What the program answers and says. One that has gone too far has been killed.
    fn talk(&self, child: &mut Child, wasm: &[u8]) -> (Result<Vec<u8>, CompileError>, String) {
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        thread::scope(|scope| {
            let (sender, answer) = mpsc::channel();
            scope.spawn(move || self.feed(stdin, wasm));
            let said = scope.spawn(move || read(stderr.map(|said| said.take(MESSAGE_BYTES_MAX))));
            scope.spawn(move || sender.send(read(stdout)));
            let code = self.watch(child.id(), &answer);
            if code.is_err() {
                // Its pipes end with it, and the threads with them.
                let _ = child.kill();
            }
            let said = said.join().unwrap_or_default();
            (code, String::from_utf8_lossy(&said).trim().to_owned())
        })
    }

    /// Waits for the answer and looks at the program's memory in between.
    fn watch(&self, process: u32, answer: &mpsc::Receiver<Vec<u8>>) -> Result<Vec<u8>, CompileError> {
        let CompileLimits { seconds, memory_bytes } = self.limits;
        let patience = Duration::from_secs(seconds).saturating_mul(PATIENCE);
        let mut waited = Duration::ZERO;
        while waited < patience {
            if let Ok(code) = answer.recv_timeout(GLANCE) {
                return Ok(code);
            }
            if memory_of(process).is_some_and(|bytes| bytes > memory_bytes) {
                return Err(CompileError::Limit("compile memory", format!("{memory_bytes} bytes")));
            }
            waited += GLANCE;
        }
        Err(CompileError::Broken(format!("{} has not ended after {} s", self.program.display(), waited.as_secs())))
    }

    /// A program that has ended reads no more; its end says why.
    fn feed(&self, stdin: Option<impl Write>, wasm: &[u8]) {
        let Some(mut stdin) = stdin else { return };
        let seconds = self.limits.seconds.to_le_bytes();
        let _ = stdin.write_all(&seconds).and_then(|()| stdin.write_all(wasm));
    }

    fn verdict(&self, status: ExitStatus, said: &str) -> CompileError {
        if status.code() == Some(REFUSED.into()) {
            return CompileError::Refused(said.to_owned());
        }
        match status.signal().and_then(Signal::from_named_raw) {
            Some(Signal::XCPU) => {
                CompileError::Limit("compile time", format!("{} s of processor time", self.limits.seconds))
            }
            Some(Signal::ABORT | Signal::SEGV) => {
                CompileError::Refused(format!("the compiler crashed ({status}): {said}"))
            }
            _ => CompileError::Broken(format!("{} failed ({status}): {said}", self.program.display())),
        }
    }
}

/// The bytes that a process has for itself, where the system tells. What is reserved and never touched costs nobody
/// anything, and allocators reserve a lot, so that the system's own limit of address space would not do.
fn memory_of(process: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
    let mut pages = text.split(' ').skip(1).map_while(|pages| pages.parse::<u64>().ok());
    let (resident, shared) = (pages.next()?, pages.next()?);
    Some(resident.saturating_sub(shared) * rustix::param::page_size() as u64)
}

/// All that a pipe gives; what cannot be read is missing.
fn read(pipe: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        let _ = pipe.read_to_end(&mut bytes);
    }
    bytes
}

/// Compiles the component that standard input holds behind the seconds that it may take, and writes the code to standard
/// output: what the program of a [`Compiler`] does.
pub fn compile_one() -> ExitCode {
    let ended = compile(io::stdin().lock()).and_then(|code| {
        let mut stdout = io::stdout().lock();
        stdout.write_all(&code).and_then(|()| stdout.flush()).map_err(|error| (1, error.to_string()))
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, message)) => {
            // The host tells who reads it; there is nobody else.
            let _ = writeln!(io::stderr(), "{message}");
            ExitCode::from(code)
        }
    }
}

/// The code, or an exit code and a message.
fn compile(mut input: impl Read) -> Result<Vec<u8>, (u8, String)> {
    let failed = |error: io::Error| (1, error.to_string());
    let mut seconds = [0; size_of::<u64>()];
    input.read_exact(&mut seconds).map_err(failed)?;
    limit(Resource::Cpu, u64::from_le_bytes(seconds)).map_err(failed)?;
    // Whoever blows up the compiler does not fill the disk too.
    limit(Resource::Core, 0).map_err(failed)?;
    let mut wasm = Vec::new();
    input.read_to_end(&mut wasm).map_err(failed)?;
    let engine = Engine::new(&config::compiler_config()).map_err(|error| (1, format!("{error:#}")))?;
    engine.precompile_component(&wasm).map_err(|error| (REFUSED, format!("{error:#}")))
}

fn limit(resource: Resource, value: u64) -> io::Result<()> {
    // What the system allows at most stays, and so does the signal that tells a limit of time from other ends.
    let maximum = getrlimit(resource).maximum;
    let current = maximum.map_or(value, |maximum| maximum.min(value));
    Ok(setrlimit(resource, Rlimit { current: Some(current), maximum })?)
}

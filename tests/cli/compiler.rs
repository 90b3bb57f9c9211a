//! Components that are made to blow up the compiler.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use trifold_cli::args::COMPILE_ONE;
use trifold_cli::exit::Exit;
use trifold_sandbox::{AdmissionError, Budget, CompileLimits, Compiler, Sandbox, SandboxConfig};
use trifold_wat_guest::{Guest, field, row_view};

use crate::site::{PROGRAM, empty};

/// A transform of 200 KiB with nested loops, around all of which as many values are carried: the compiler notes each
/// value at each loop.
fn bomb(loops: usize) -> Vec<u8> {
    let mut function = format!("(func (param $more i32) (local{}) ", " i64".repeat(loops));
    function.push_str(&"(loop ".repeat(loops));
    for value in 1..loops {
        let next = value + 1;
        write!(function, "(local.set {value} (i64.add (local.get {value}) (local.get {next})))").unwrap();
    }
    function.push_str(&"(br_if 0 (local.get $more)))".repeat(loops));
    function.push(')');
    Guest::new(row_view("bomb", &[field("k", "int64")], &[field("y", "int64")])).items(&function).build().unwrap()
}

fn sandbox(limits: CompileLimits) -> Sandbox {
    let compiler = Compiler { program: PathBuf::from(PROGRAM), arguments: vec![COMPILE_ONE.into()], limits };
    Sandbox::new(SandboxConfig { instances_max: 2, compiler: Some(compiler), ..SandboxConfig::default() }).unwrap()
}

/// Admits the bomb while another transform is called. Gives the refusal.
#[track_caller]
fn refusal(limits: CompileLimits) -> AdmissionError {
    let sandbox = sandbox(limits);
    let echo = Guest::new(row_view("echo", &[field("k", "int64")], &[field("y", "int64")])).build().unwrap();
    let echo = sandbox.admit(&echo).unwrap();
    let keys = Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef;
    let inputs = RecordBatch::try_new(echo.view().input_schema().clone(), vec![keys]).unwrap();
    let ended = AtomicBool::new(false);
    let (calls, called) = mpsc::sync_channel(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                let applied = echo.apply(&inputs, &mut Budget::unlimited());
                assert_eq!(applied.failures, []);
                // Nobody may be waiting any more.
                let _ = calls.try_send(());
            }
        });
        let refused = scope.spawn(|| sandbox.admit(&bomb(1500)).map(drop).unwrap_err());
        let mut during = 0;
        while !refused.is_finished() {
            called.recv().unwrap();
            during += 1;
        }
        ended.store(true, Ordering::Relaxed);
        assert!(during > 100, "{during} calls while the bomb was compiled");
        refused.join().unwrap()
    })
}

#[test]
fn a_compiler_that_takes_too_long_is_stopped_while_calls_go_on() {
    let error = refusal(CompileLimits { seconds: 1, memory_bytes: u64::MAX });
    let is_time = matches!(&error, AdmissionError::CompileLimit { limit: "compile time", .. });
    assert!(is_time && error.to_string().contains("limit of 1 s of processor time"), "{error}");
}

#[test]
fn a_compiler_that_takes_too_much_memory_is_stopped_while_calls_go_on() {
    let error = refusal(CompileLimits { seconds: 600, memory_bytes: 512 << 20 });
    let is_memory = matches!(&error, AdmissionError::CompileLimit { limit: "compile memory", .. });
    assert!(is_memory && error.to_string().contains("limit of 536870912 bytes"), "{error}");
}

#[test]
fn the_command_names_the_limit_and_the_component() {
    let trifold = empty();
    fs::write(trifold.path("bomb.wasm"), bomb(1500)).unwrap();
    fs::write(trifold.path("trifold.toml"), "[sandbox]\ncompile-memory-mib = 512").unwrap();
    let parts = ["bomb.wasm", "compile memory limit of 536870912 bytes reached", "make the component's functions"];
    trifold.run(["inspect", "bomb.wasm"]).refused(Exit::Data, &parts);
    let parts = ["sandbox.compile-seconds", "at least 1"];
    fs::write(trifold.path("trifold.toml"), "[sandbox]\ncompile-seconds = 0").unwrap();
    trifold.run(["inspect", "bomb.wasm"]).refused(Exit::Usage, &parts);
}

#[track_caller]
fn check_broken(program: &str, arguments: &[&str], seconds: u64, message: &str) {
    let guest = Guest::new(row_view("echo", &[field("k", "int64")], &[field("y", "int64")])).build().unwrap();
    let compiler = Compiler {
        program: program.into(),
        arguments: arguments.iter().map(Into::into).collect(),
        limits: CompileLimits { seconds, ..CompileLimits::default() },
    };
    let config = SandboxConfig { instances_max: 1, compiler: Some(compiler), ..SandboxConfig::default() };
    let error = Sandbox::new(config).unwrap().admit(&guest).unwrap_err();
    assert!(matches!(error, AdmissionError::Compiler { .. }) && error.to_string().contains(message), "{error}");
}

#[test]
fn a_program_that_does_not_compile_is_named() {
    check_broken("/no/such/program", &[], 60, "/no/such/program cannot be run");
    check_broken("/bin/false", &[], 60, "/bin/false failed (exit status: 1)");
    check_broken("/bin/sleep", &["3600"], 0, "/bin/sleep has not ended after 0 s");
}

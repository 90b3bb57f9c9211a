//! `cargo xtask bench`.

use crate::error::Error;
use crate::needs;
use crate::workspace::{Workspace, run as run_command};

/// Runs the benchmarks in release mode.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Error> {
    needs::tools(&[&[&needs::C_COMPILER], needs::KAFKA_CLIENT.as_slice()].concat())?;
    needs::wasm_target(workspace)?;
    if arguments.iter().any(|argument| argument == "--instructions") {
        needs::tools(&[&needs::VALGRIND])?;
    }
    run_command(workspace.cargo().args(["run", "--release", "-p", "trifold-bench", "--"]).args(arguments))
}

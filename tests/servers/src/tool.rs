//! A program that is run to its end.

use std::process::{Command, Stdio};

use crate::error::ServerError;
use crate::server;

/// Runs a program; if it fails, what it said is the error. `name` is what it is to those who read that.
pub(crate) fn run(name: &'static str, command: &mut Command) -> Result<(), ServerError> {
    let what = format!("run {}", command.get_program().display());
    let output = command.stdin(Stdio::null()).output().map_err(ServerError::io(what))?;
    if output.status.success() {
        return Ok(());
    }
    let log = [output.stdout, output.stderr].concat();
    let log = server::end_of(&String::from_utf8_lossy(&log));
    Err(ServerError::Died { server: name, status: output.status, log })
}

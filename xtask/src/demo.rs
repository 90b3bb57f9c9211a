//! `cargo xtask demo`.

use std::path::PathBuf;

use crate::error::Error;
use crate::needs;
use crate::workspace::{self, Workspace, say};

/// Builds and runs the demo.
pub(crate) fn start(workspace: &Workspace, arguments: &[String]) -> Result<(), Error> {
    let mut demo = workspace.program("flights-demo");
    demo.arg("--trifold").arg(workspace.path_of("trifold"));
    demo.arg("--examples").arg(workspace.root.join("examples/flights"));
    demo.arg("--out").arg(out(workspace));
    workspace::run(demo.args(arguments))
}

/// The word.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Error> {
    needs::tools(&[&[&needs::C_COMPILER], needs::KAFKA_CLIENT.as_slice()].concat())?;
    needs::wasm_target(workspace)?;
    say("building trifold and the demo; the first time takes some minutes");
    workspace.build_programs()?;
    start(workspace, arguments)
}

/// The demo writes below the clone even if cargo's target directory is elsewhere: its report is for people.
pub(crate) fn out(workspace: &Workspace) -> PathBuf {
    workspace.root.join("target/demo")
}

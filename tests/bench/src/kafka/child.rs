//! Processes of their own for what is measured.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::kafka::{copier, feeder, relay, restore, worker};

/// What a process does.
#[derive(Serialize, Deserialize)]
pub(crate) enum Task {
    Work(worker::Work),
    Copy(copier::Copy),
    Read(restore::Read),
    Feed(feeder::Feed),
    Relay(relay::Relay),
}

/// Does what a process was started for, and prints what came of it.
pub(crate) fn run(json: &str) -> anyhow::Result<()> {
    let came = match serde_json::from_str(json)? {
        Task::Work(task) => serde_json::to_string(&worker::run(task)?)?,
        Task::Copy(task) => serde_json::to_string(&copier::run(&task)?)?,
        Task::Read(task) => serde_json::to_string(&restore::read(&task)?)?,
        Task::Feed(task) => serde_json::to_string(&feeder::run(task)?)?,
        Task::Relay(task) => serde_json::to_string(&relay::run(&task)?)?,
    };
    crate::say(&format!("{came}\n"))
}

fn command(task: &Task) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--kafka-child").arg(serde_json::to_string(task)?).stdin(Stdio::null());
    Ok(command)
}

/// Has something done: what came of it.
pub(crate) fn done<T: DeserializeOwned>(task: &Task) -> anyhow::Result<T> {
    let output = command(task)?.output()?;
    ensure!(output.status.success(), "a child failed: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("a child said something else")
}

/// A process that goes on until it is dropped.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(task: &Task) -> anyhow::Result<Self> {
        Ok(Running(command(task)?.stdout(Stdio::null()).spawn()?))
    }

    /// Fails if it has ended.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        let ended = self.0.try_wait()?;
        ensure!(ended.is_none(), "a child ended: {ended:?}");
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

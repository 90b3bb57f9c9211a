//! The start of a server of many views, from the process to its first answer.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, anyhow, ensure};
use clap::Parser;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use trifold_cli::args::Cli;
use trifold_cli::world::THREAD_STACK_BYTES;
use trifold_registry::Registry;
use trifold_sandbox::{Sandbox, SandboxConfig};
use trifold_server::client::Client;

use crate::guests::{self, Guest};
use crate::measure::{Effort, median};
use crate::online::{NOW, runtime};
use crate::report::Entry;

/// The entry of this module.
pub(crate) const NAME: &str = "release.start.100";

const VIEWS: usize = 100;
/// The views are these, under names of their own.
const KINDS: [Guest; 4] = [Guest::CALENDAR, Guest::TEXT_EMBEDDING, Guest::FLIGHT_PROFILE, Guest::CARD_SPEND];

pub(crate) fn run(effort: Effort) -> anyhow::Result<Entry> {
    let clients = runtime("client")?;
    let (full, empty) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let views = effort.choose(VIEWS, VIEWS / 10);
    clients.block_on(fill(full.path(), views))?;
    clients.block_on(fill(empty.path(), 0))?;
    let (mut ours, mut baseline) = (Vec::new(), Vec::new());
    for _ in 0..effort.choose(15, 2) {
        ours.push(first_answer(&clients, &full, views)?);
        baseline.push(first_answer(&clients, &empty, 0)?);
    }
    Entry::new(NAME, median(ours), median(baseline))
}

/// Makes a data directory with so many views in force, their code in the compile cache.
async fn fill(data: &Path, views: usize) -> anyhow::Result<()> {
    let registry = Registry::local(&data.join("registry"), true)?;
    let config = SandboxConfig { cache_dir: Some(data.join("cache")), ..SandboxConfig::default() };
    let sandbox = Sandbox::new(config)?;
    for number in 0..views {
        let wasm = named(&guests::component(KINDS[number % KINDS.len()])?, &sandbox, number)?;
        let transform = sandbox.admit(&wasm)?;
        registry.push(&wasm, transform.view(), transform.description(), NOW).await?;
        registry.release(&transform.view().name, 1, NOW).await?;
    }
    Ok(())
}

/// The same component under a name of the same length, which ends in a number.
fn named(wasm: &[u8], sandbox: &Sandbox, number: usize) -> anyhow::Result<Vec<u8>> {
    let name = sandbox.admit(wasm)?.view().name.to_string();
    let suffix = format!("_{number:03}");
    let stem = name.len().checked_sub(suffix.len()).context("the view's name is too short")?;
    let (from, to) = (name.as_bytes(), format!("{}{suffix}", &name[..stem]).into_bytes());
    let mut named = wasm.to_vec();
    let mut at = 0;
    while let Some(found) = named[at..].windows(from.len()).position(|bytes| bytes == from) {
        at += found;
        named[at..at + from.len()].copy_from_slice(&to);
    }
    Ok(named)
}

/// The milliseconds from the start of a server's process to its answer, which names so many views.
fn first_answer(clients: &Runtime, data: &TempDir, views: usize) -> anyhow::Result<f64> {
    let data = data.path().to_str().context("the directory's name is no text")?;
    let start = Instant::now();
    let mut server = Server::start(&["serve", "--data-dir", data, "--listen", "127.0.0.1:0", "--format", "json"])?;
    let url = server.listening()?;
    let answered = clients.block_on(async { anyhow::Ok(Client::connect(&url).await?.views().await?.len()) })?;
    let elapsed = start.elapsed().as_secs_f64() * 1e3;
    ensure!(answered == views, "{answered} views instead of {views}");
    Ok(elapsed)
}

/// A process of the `trifold` command. Killed when it is dropped.
struct Server(Child);

impl Server {
    fn start(arguments: &[&str]) -> anyhow::Result<Self> {
        let program: PathBuf = std::env::current_exe()?;
        let mut command = Command::new(program);
        command.arg("--trifold-child").arg(serde_json::to_string(arguments)?);
        Ok(Server(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?))
    }

    /// Where it listens, which its first line says.
    fn listening(&mut self) -> anyhow::Result<String> {
        let stdout = self.0.stdout.take().context("its output was read before")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line).context("the server ended before it listened")?;
        Ok(said["listening"].as_str().context("it does not say where it listens")?.to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The process of one command, as `trifold` runs it.
pub(crate) fn child(json: &str) -> anyhow::Result<()> {
    let arguments: Vec<String> = serde_json::from_str(json)?;
    let cli = Cli::try_parse_from(["trifold".to_owned()].into_iter().chain(arguments))?;
    let command = std::thread::Builder::new().stack_size(THREAD_STACK_BYTES).spawn(|| trifold_cli::run(cli))?;
    let ran = command.join().map_err(|_| anyhow!("the command panicked"))?;
    ran.map_err(|failure| anyhow!(failure.text()))
}

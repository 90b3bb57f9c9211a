//! The start of a server of many views, from the process to its first answer, and the memory that it has then.

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
use crate::measure::{Effort, RESIDENT, kibibytes, median};
use crate::online::{NOW, runtime};
use crate::report::Entry;

/// So many views, the start of a server of them, and its memory.
const SIZES: [(usize, &str, &str); 3] = [
    (1, "online.start.1", "online.memory.1"),
    (10, "online.start.10", "online.memory.10"),
    (100, "release.start.100", "online.memory.100"),
];

/// The entries of this module.
pub(crate) const NAMES: [&str; 6] = [SIZES[0].1, SIZES[0].2, SIZES[1].1, SIZES[1].2, SIZES[2].1, SIZES[2].2];

/// The views are these, under names of their own.
const KINDS: [Guest; 4] = [Guest::CALENDAR, Guest::TEXT_EMBEDDING, Guest::FLIGHT_PROFILE, Guest::CARD_SPEND];

pub(crate) fn run(effort: Effort, wanted: &dyn Fn(&str) -> bool) -> anyhow::Result<Vec<Entry>> {
    let clients = runtime("client")?;
    let empty = tempfile::tempdir()?;
    clients.block_on(fill(empty.path(), 0))?;
    let mut entries = Vec::new();
    for (views, start, memory) in SIZES {
        if !wanted(start) && !wanted(memory) {
            continue;
        }
        let full = tempfile::tempdir()?;
        let views = effort.choose(views, views.min(10));
        clients.block_on(fill(full.path(), views))?;
        let (mut ours, mut baseline) = (Vec::new(), Vec::new());
        for _ in 0..effort.choose(15, 2) {
            ours.push(first_answer(&clients, &full, views)?);
            baseline.push(first_answer(&clients, &empty, 0)?);
        }
        let of = |seen: &[Begun], figure: fn(&Begun) -> f64| median(seen.iter().map(figure).collect());
        let entry = |name, figure| Entry::new(name, of(&ours, figure), of(&baseline, figure));
        entries.extend([entry(start, |begun| begun.millis)?, entry(memory, |begun| begun.mebibytes)?]);
    }
    Ok(entries)
}

/// A server at its first answer.
struct Begun {
    /// From the start of its process.
    millis: f64,
    /// Its memory.
    mebibytes: f64,
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

/// A server from the start of its process to its answer, which names so many views.
fn first_answer(clients: &Runtime, data: &TempDir, views: usize) -> anyhow::Result<Begun> {
    let data = data.path().to_str().context("the directory's name is no text")?;
    let start = Instant::now();
    let mut server = Server::start(&["serve", "--data-dir", data, "--listen", "127.0.0.1:0", "--format", "json"])?;
    let url = server.listening()?;
    let answered = clients.block_on(async { anyhow::Ok(Client::connect(&url).await?.views().await?.len()) })?;
    let millis = start.elapsed().as_secs_f64() * 1e3;
    ensure!(answered == views, "{answered} views instead of {views}");
    Ok(Begun { millis, mebibytes: kibibytes(&server.0.id().to_string(), RESIDENT)? as f64 / 1024.0 })
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

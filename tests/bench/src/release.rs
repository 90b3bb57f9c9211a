//! Releases: what a new component costs before it serves ([`compile`]), how long a server of many views takes to start
//! ([`start`]), and, of a server that answers meanwhile, how soon they are seen and what lookups notice of them.
//!
//! The server is put together as `trifold serve` does it, with a registry on disk and those who operate it on loopback;
//! the clients have a runtime of their own.

mod compile;
pub(crate) mod start;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::transport::Channel;
use trifold_model::{EventTime, ViewName};
use trifold_pipeline::{Catalog, LiveVersion, Publisher, Versions};
use trifold_registry::Registry;
use trifold_sandbox::{Sandbox, SandboxConfig};
use trifold_server::admin::{Admin, AdminClient, Desk, Intake, Process, api};
use trifold_server::api::online_service_client::OnlineServiceClient;
use trifold_server::following::Following;
use trifold_server::{Limits, Server, ServerConfig};

use crate::guests::{self, Guest};
use crate::measure::{Effort, median, quantile};
use crate::online::clients::{Clients, Window};
use crate::online::{NOW, runtime, store};
use crate::report::Entry;

const BY_CALL: &str = "release.visible.admin.p99";
const BY_WATCH: &str = "release.visible.watch.p99";
const SWAP: &str = "release.swap.p99";

const OPERATED: [&str; 3] = [BY_CALL, BY_WATCH, SWAP];

/// The entries of this module.
pub(crate) const NAMES: &[&str] = &[
    BY_CALL,
    BY_WATCH,
    SWAP,
    start::NAMES[0],
    start::NAMES[1],
    start::NAMES[2],
    start::NAMES[3],
    start::NAMES[4],
    start::NAMES[5],
    compile::NAMES[0],
    compile::NAMES[1],
    compile::NAMES[2],
    compile::NAMES[3],
    compile::NAMES[4],
    compile::NAMES[5],
    compile::NAMES[6],
    compile::NAMES[7],
];

/// How often the server looks by itself, which is the default.
const INTERVAL: Duration = Duration::from_millis(500);
/// How long the versions that swap stay in force.
const SWAPPED_EVERY: Duration = Duration::from_millis(50);

pub(crate) fn run(effort: Effort, wanted: &dyn Fn(&str) -> bool) -> anyhow::Result<Vec<Entry>> {
    let mut entries = compile::run(effort, wanted)?;
    entries.extend(start::run(effort, wanted)?);
    if OPERATED.into_iter().any(wanted) {
        entries.extend(operate(effort, wanted)?);
    }
    Ok(entries)
}

fn operate(effort: Effort, wanted: &dyn Fn(&str) -> bool) -> anyhow::Result<Vec<Entry>> {
    let (servers, clients) = (runtime("server")?, runtime("client")?);
    let directory = tempfile::tempdir()?;
    let site = servers.block_on(Site::start(&directory))?;
    clients.block_on(async {
        let mut entries = Vec::new();
        let mut operator = Operator::connect(&site).await?;
        if wanted(BY_CALL) || wanted(BY_WATCH) {
            let releases = effort.choose(300, 20);
            let called = operator.visible(releases, true).await?;
            let written = operator.written(releases).await?;
            entries.push(Entry::new(BY_CALL, quantile(called.clone(), 0.99), quantile(written, 0.99))?);
            let watched = operator.visible(effort.choose(100, 5), false).await?;
            entries.push(Entry::new(BY_WATCH, quantile(watched, 0.99), quantile(called, 0.99))?);
        }
        if wanted(SWAP) {
            entries.push(operator.swap(effort).await?);
        }
        Ok(entries)
    })
}

/// A server and its registry, with two versions of a view.
struct Site {
    registry: Registry,
    /// Another registry of the same contents, for what is measured without a server.
    aside: Registry,
    view: ViewName,
    online: String,
    admin: String,
}

impl Site {
    async fn start(directory: &TempDir) -> anyhow::Result<Self> {
        let config = SandboxConfig { cache_dir: Some(directory.path().join("cache")), ..SandboxConfig::default() };
        let sandbox = Sandbox::new(config)?;
        let registries = ["registry", "aside"].map(|name| Registry::local(&directory.path().join(name), true));
        let [registry, aside] = registries;
        let (registry, aside) = (registry?, aside?);
        let mut filled = None;
        for guest in [Guest::FLIGHT_PROFILE_FIRST, Guest::FLIGHT_PROFILE] {
            let wasm = guests::component(guest)?;
            let transform = sandbox.admit(&wasm)?;
            for registry in [&registry, &aside] {
                registry.push(&wasm, transform.view(), transform.description(), NOW).await?;
            }
            filled = Some(LiveVersion { version: 2, release: Some(2), transform });
        }
        let version = filled.context("there is no component")?;
        let view = version.view().name.clone();
        for registry in [&registry, &aside] {
            registry.release(&view, 1, NOW).await?;
        }
        // Without kept values, so that both versions compute theirs.
        let store = Arc::new(store::fill(directory.path(), &version, false).await?);
        let desk = Desk::new();
        let publisher = Publisher::new(Versions::new(registry.clone(), sandbox.clone()), 4 << 20);
        let catalog = Catalog::new(registry.clone(), sandbox);
        let following = Following::begin(catalog, store.clone(), desk.clone(), now, |_| {}).await?;
        let (listener, admin) = (TcpListener::bind("127.0.0.1:0").await?, Admin::bind("127.0.0.1:0").await?);
        let addresses = [listener.local_addr()?, admin.local_addr()?].map(|address| format!("http://{address}"));
        let config = ServerConfig {
            rows_max: 1_000,
            cells_max: 1_000_000,
            request_bytes_max: 4 << 20,
            request_fuel: 500_000_000,
            view_fuel: u64::MAX,
            shadows_max: 1,
            drain: Duration::from_secs(10),
            limits: Limits::default(),
        };
        let server = Server::new(store, following.live(), now, config);
        let process = Process { command: "bench", program: "", pid: std::process::id(), started: NOW };
        let operated =
            Admin { process, desk, registry: registry.clone(), intake: Intake::new(publisher), clock: now };
        tokio::spawn(following.follow(INTERVAL));
        tokio::spawn(server.run(listener, std::future::pending()));
        tokio::spawn(operated.run(admin));
        let [online, admin] = addresses;
        Ok(Site { registry, aside, view, online, admin })
    }
}

fn now() -> EventTime {
    NOW
}

/// Whoever releases, and looks on.
struct Operator<'a> {
    site: &'a Site,
    admin: AdminClient,
    online: OnlineServiceClient<Channel>,
    /// The version in force.
    version: u64,
}

impl<'a> Operator<'a> {
    async fn connect(site: &'a Site) -> anyhow::Result<Self> {
        let channel = Channel::from_shared(site.online.clone())?.tcp_nodelay(true).connect().await?;
        let admin = AdminClient::connect(&site.admin).await?;
        Ok(Operator { site, admin, online: OnlineServiceClient::new(channel), version: 1 })
    }

    async fn release(&mut self) -> anyhow::Result<()> {
        self.version = 3 - self.version;
        let (view, version) = (self.site.view.to_string(), self.version);
        let answer = self.admin.release(api::ReleaseRequest { view, version, ..Default::default() }).await?;
        let running = answer.status.and_then(|status| status.running).map(|running| running.version);
        ensure!(running == Some(version), "version {version} was released, and {running:?} runs");
        Ok(())
    }

    /// The milliseconds from releases to the first answers of what was released, to a client that asks all the while.
    async fn visible(&mut self, releases: usize, by_call: bool) -> anyhow::Result<Vec<f64>> {
        let mut seen = Vec::with_capacity(releases);
        for _ in 0..releases {
            let next = 3 - self.version;
            let looking = tokio::spawn(first_answer(self.online.clone(), next));
            let start = Instant::now();
            if by_call {
                self.release().await?;
            } else {
                self.site.registry.release(&self.site.view, next, NOW).await?;
                self.version = next;
            }
            seen.push((looking.await?? - start).as_secs_f64() * 1e3);
        }
        Ok(seen)
    }

    /// The milliseconds of writing the records of releases so that they outlast a loss of power.
    async fn written(&self, releases: usize) -> anyhow::Result<Vec<f64>> {
        let mut written = Vec::with_capacity(releases);
        for release in 0..releases as u64 {
            let start = Instant::now();
            self.site.aside.release(&self.site.view, 1 + release % 2, NOW).await?;
            written.push(start.elapsed().as_secs_f64() * 1e3);
        }
        Ok(written)
    }

    /// The slowest hundredth of lookups while versions swap, against those while none does.
    async fn swap(&mut self, effort: Effort) -> anyhow::Result<Entry> {
        let mut clients = Clients::connect(&self.site.online).await?;
        let (windows, length) = effort.choose((21, Duration::from_secs(1)), (3, Duration::from_millis(200)));
        clients.window(length).await?;
        let mut swaps = tokio::time::interval(SWAPPED_EVERY);
        let (mut swapped, mut steady) = (Vec::new(), Vec::new());
        for _ in 0..windows {
            steady.push(clients.window(length).await?);
            swaps.reset();
            let asking = clients.window(length);
            tokio::pin!(asking);
            let window = loop {
                tokio::select! {
                    window = &mut asking => break window?,
                    _ = swaps.tick() => self.release().await?,
                }
            };
            swapped.push(window);
        }
        let p99 = |windows: &[Window]| median(windows.iter().map(|window| window.p99_micros).collect());
        Entry::new(SWAP, p99(&swapped), p99(&steady))
    }
}

/// When the first answer of a version came, to one who asks again and again.
async fn first_answer(mut online: OnlineServiceClient<Channel>, version: u64) -> anyhow::Result<Instant> {
    loop {
        let answer = online.get_features(store::request(12_345)).await?.into_inner();
        if answer.views.first().is_some_and(|view| view.version == version) {
            return Ok(Instant::now());
        }
    }
}

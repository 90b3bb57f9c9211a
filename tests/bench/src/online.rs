//! Lookups over real gRPC on loopback, beside a bare server that sends the same bytes from memory.
//!
//! Both servers share one runtime and the clients have another, in one process; only one server is asked at a
//! time. The store is the embedded one with 100,000 entities.

mod bare;
pub(crate) mod clients;
mod many;
mod open;
mod saturation;
pub(crate) mod store;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use prost::Message;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use trifold_model::EventTime;
use trifold_pipeline::{LiveVersion, LiveViews};
use trifold_server::api::online_service_client::OnlineServiceClient;
use trifold_server::api::{GetFeaturesResponse, RowStatus};
use trifold_server::{Limits, Server, ServerConfig};
use trifold_store::OnlineStore;

use crate::guests::{Guest, transform};
use crate::measure::{Effort, median};
use crate::online::bare::FromMemory;
use crate::online::clients::{Clients, Window};
use crate::report::Entry;

/// Lookups of values that the stream worker computed and kept.
const KEPT: [&str; 2] = ["online.lookup", "online.lookup.p99"];
/// Lookups that call the component, as they do after a release or where values are not kept.
const COMPUTED: [&str; 2] = ["online.lookup.computed", "online.lookup.computed.p99"];

/// The entries of this module.
pub(crate) const NAMES: &[&str] = &[KEPT[0], KEPT[1], COMPUTED[0], COMPUTED[1]];
/// Those of views of many features.
pub(crate) const WIDE_NAMES: &[&str] = &saturation::NAMES;
pub(crate) use saturation::run as run_wide;

/// More than the processors of a small machine and fewer than would only queue.
const CLIENTS: usize = 16;
/// The time at which lookups ask: the benchmark needs no clock, and the events must not be too old.
pub(crate) const NOW: EventTime = EventTime(1_400_000_000_000_000);

pub(crate) fn run(effort: Effort, wanted: &dyn Fn(&str) -> bool) -> anyhow::Result<Vec<Entry>> {
    let version = LiveVersion { version: 2, release: Some(2), transform: transform(Guest::FLIGHT_PROFILE)? };
    let mut entries = Vec::new();
    for (names, keep_outputs) in [(KEPT, true), (COMPUTED, false)] {
        if !names.into_iter().any(wanted) {
            continue;
        }
        let directory = tempfile::tempdir()?;
        let servers = runtime("server")?;
        let clients = runtime("client")?;
        let trifold = servers.block_on(start_trifold(version.clone(), directory.path(), keep_outputs))?;
        let answer = clients.block_on(one_answer(&trifold))?;
        let bare = servers.block_on(bare::start(FromMemory(answer.encode_to_vec().into())))?;
        entries.extend(clients.block_on(measure(names, &trifold, &bare, effort))?);
    }
    Ok(entries)
}

/// A runtime of its own.
pub(crate) fn runtime(name: &str) -> anyhow::Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().thread_name(name).build()?)
}

/// A server as `trifold serve` starts it, without the registry: one view in force.
async fn start_trifold(
    version: LiveVersion,
    directory: &std::path::Path,
    keep_outputs: bool,
) -> anyhow::Result<String> {
    let store = Arc::new(store::fill(directory, &version, keep_outputs).await?);
    let views = BTreeMap::from([(version.view().name.clone(), version)]);
    serve(store, LiveViews::new(views)).await
}

/// A server of these views with the limits of the default configuration.
async fn serve(store: Arc<dyn OnlineStore>, views: LiveViews) -> anyhow::Result<String> {
    let (live, follow) = watch::channel(Arc::new(views));
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
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        // The views stay in force as long as the server runs, which is as long as its runtime.
        let _live = live;
        Server::new(store, follow, || NOW, config).run(listener, std::future::pending()).await
    });
    Ok(url)
}

/// What the server answers to a lookup; checked, so that no error is measured for an answer.
async fn one_answer(url: &str) -> anyhow::Result<GetFeaturesResponse> {
    let mut client = OnlineServiceClient::connect(url.to_owned()).await?;
    let answer = client.get_features(store::request(12_345)).await?.into_inner();
    let view = answer.views.first().context("the server answered without a view")?;
    ensure!(view.columns.len() == 10, "{} features instead of 10", view.columns.len());
    ensure!(view.statuses == [RowStatus::Value as i32], "the row's status is {:?}", view.statuses);
    Ok(answer)
}

async fn measure(
    [lookup, p99]: [&'static str; 2],
    trifold: &str,
    bare: &str,
    effort: Effort,
) -> anyhow::Result<Vec<Entry>> {
    let (mut ours, mut baseline) = (Clients::connect(trifold).await?, Clients::connect(bare).await?);
    let (windows, length) = effort.choose((21, Duration::from_millis(700)), (3, Duration::from_millis(200)));
    // Warms up: connections, caches, and the pool of instances.
    ours.window(length).await?;
    baseline.window(length).await?;
    let (mut our_windows, mut bare_windows) = (Vec::new(), Vec::new());
    for _ in 0..windows {
        our_windows.push(ours.window(length).await?);
        bare_windows.push(baseline.window(length).await?);
    }
    let of = |windows: &[Window], figure: fn(&Window) -> f64| median(windows.iter().map(figure).collect());
    let entry = |name, figure| Entry::new(name, of(&our_windows, figure), of(&bare_windows, figure));
    Ok(vec![entry(lookup, |window| window.requests_per_second)?, entry(p99, |window| window.p99_micros)?])
}

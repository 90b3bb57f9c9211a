//! How much a server does that is asked as fast as it answers, and how fast it answers at half of that: views of 50 and of
//! 250 features, one entity and a hundred, beside a bare service that reads as many bytes and sends as many.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use prost::Message;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use trifold_pipeline::{LiveVersion, LiveViews};
use trifold_server::api::GetFeaturesResponse;
use trifold_server::api::RowStatus;
use trifold_server::api::online_service_client::OnlineServiceClient;
use trifold_store::OnlineStore;
use trifold_test_servers::{Redis, RedisOptions};

use crate::guests::{Guest, transform};
use crate::measure::{Effort, median, quantile};
use crate::online::clients::{Ask, Clients};
use crate::online::many::{self, BareEmbedded, BareRedis};
use crate::online::{bare, open, runtime, serve};
use crate::random::Random;
use crate::report::Entry;

/// The name of an entry, the view, the entities of a request, and whether the store is a Redis.
struct Case {
    name: &'static str,
    guest: Guest,
    features: usize,
    entities: u64,
    is_redis: bool,
}

const fn case(name: &'static str, guest: Guest, features: usize, entities: u64, is_redis: bool) -> Case {
    Case { name, guest, features, entities, is_redis }
}

const CASES: [Case; 16] = [
    case("online.saturation.row.1x50.embedded", Guest::MANY, 50, 1, false),
    case("online.saturation.row.100x50.embedded", Guest::MANY, 50, 100, false),
    case("online.saturation.row.1x250.embedded", Guest::MANY_LARGE, 250, 1, false),
    case("online.saturation.row.100x250.embedded", Guest::MANY_LARGE, 250, 100, false),
    case("online.saturation.row.1x50.redis", Guest::MANY, 50, 1, true),
    case("online.saturation.row.100x50.redis", Guest::MANY, 50, 100, true),
    case("online.saturation.row.1x250.redis", Guest::MANY_LARGE, 250, 1, true),
    case("online.saturation.row.100x250.redis", Guest::MANY_LARGE, 250, 100, true),
    case("online.saturation.window.1x50.embedded", Guest::MANY_WINDOW, 50, 1, false),
    case("online.saturation.window.100x50.embedded", Guest::MANY_WINDOW, 50, 100, false),
    case("online.saturation.window.1x250.embedded", Guest::MANY_WINDOW_LARGE, 250, 1, false),
    case("online.saturation.window.100x250.embedded", Guest::MANY_WINDOW_LARGE, 250, 100, false),
    case("online.saturation.window.1x50.redis", Guest::MANY_WINDOW, 50, 1, true),
    case("online.saturation.window.100x50.redis", Guest::MANY_WINDOW, 50, 100, true),
    case("online.saturation.window.1x250.redis", Guest::MANY_WINDOW_LARGE, 250, 1, true),
    case("online.saturation.window.100x250.redis", Guest::MANY_WINDOW_LARGE, 250, 100, true),
];

const LATENCY: [(&str, f64); 3] =
    [("online.latency.p50", 0.5), ("online.latency.p99", 0.99), ("online.latency.p999", 0.999)];

/// The entries of this module.
pub(crate) const NAMES: [&str; CASES.len() + LATENCY.len()] = {
    let mut names = [""; CASES.len() + LATENCY.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = if at < CASES.len() { CASES[at].name } else { LATENCY[at - CASES.len()].0 };
        at += 1;
    }
    names
};

pub(crate) fn run(effort: Effort, wanted: &dyn Fn(&str) -> bool) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for case in CASES.iter().filter(|case| wanted(case.name)) {
        entries.push(Site::start(case)?.saturation(effort).with_context(|| case.name)?);
    }
    if LATENCY.iter().any(|(name, _)| wanted(name)) {
        let case = case("online.latency", Guest::MANY, 50, 1, true);
        entries.extend(Site::start(&case)?.latency(effort)?);
    }
    Ok(entries)
}

/// A server with a view in force and all its entities, and the bare service beside it.
struct Site {
    case: &'static str,
    clients: Runtime,
    ask: Ask,
    ours: String,
    bare: String,
    /// What the servers run in and on.
    _running: (Runtime, TempDir, Option<Redis>),
}

impl Site {
    fn start(case: &Case) -> anyhow::Result<Self> {
        let (servers, clients) = (runtime("server")?, runtime("client")?);
        let directory = tempfile::tempdir()?;
        let redis = case.is_redis.then(|| Redis::start_with(&RedisOptions::default())).transpose()?;
        let version = LiveVersion { version: 1, release: Some(1), transform: transform(case.guest)? };
        let entities = case.entities;
        let ask: Ask = Arc::new(move |random: &mut Random| many::request(random, entities));
        let (ours, bytes_each) = servers.block_on(async {
            let embedded = many::fill(directory.path(), &version).await?;
            let bytes_each = many::bytes_each(&version, &embedded).await?;
            let store: Arc<dyn OnlineStore> = match &redis {
                Some(redis) => Arc::new(many::bring(&version, &embedded, redis).await?),
                None => Arc::new(embedded),
            };
            let views = BTreeMap::from([(version.view().name.clone(), version)]);
            anyhow::Ok((serve(store, LiveViews::new(views)).await?, bytes_each))
        })?;
        let answer = clients.block_on(one_answer(&ours, &ask, case))?.encode_to_vec().into();
        let bare = servers.block_on(async {
            match &redis {
                Some(redis) => bare::start(BareRedis::fill(redis, bytes_each, answer).await?).await,
                None => bare::start(BareEmbedded::fill(directory.path(), bytes_each, answer)?).await,
            }
        })?;
        Ok(Site { case: case.name, clients, ask, ours, bare, _running: (servers, directory, redis) })
    }

    /// Requests per second of clients that wait for each answer, in turns.
    fn saturation(&self, effort: Effort) -> anyhow::Result<Entry> {
        let (ours, bare) = self.clients.block_on(self.saturations(effort))?;
        Entry::new(self.case, ours, bare)
    }

    async fn saturations(&self, effort: Effort) -> anyhow::Result<(f64, f64)> {
        let mut sides = [
            (Clients::asking(&self.ours, self.ask.clone()).await?, Vec::new()),
            (Clients::asking(&self.bare, self.ask.clone()).await?, Vec::new()),
        ];
        let (windows, length) = effort.choose((9, Duration::from_millis(600)), (2, Duration::from_millis(150)));
        for (clients, _) in &mut sides {
            clients.window(length).await?;
        }
        for _ in 0..windows {
            for (clients, rates) in &mut sides {
                rates.push(clients.window(length).await?.requests_per_second);
            }
        }
        let [ours, bare] = sides.map(|(_, rates)| median(rates));
        Ok((ours, bare))
    }

    /// The microseconds of answers to requests that come at half the rate that the server can bear, whether or not those
    /// before are answered.
    fn latency(&self, effort: Effort) -> anyhow::Result<Vec<Entry>> {
        let (rate, _) = self.clients.block_on(self.saturations(effort))?;
        let (windows, length) = effort.choose((15, Duration::from_secs(1)), (2, Duration::from_millis(200)));
        let mut sides = [(&self.ours, Vec::new()), (&self.bare, Vec::new())];
        for _ in 0..windows {
            for (url, micros) in &mut sides {
                micros.extend(open::window(&self.clients, url, &self.ask, rate / 2.0, length)?);
            }
        }
        let [ours, bare] = sides.map(|(_, micros)| micros);
        let entry = |(name, share)| Entry::new(name, quantile(ours.clone(), share), quantile(bare.clone(), share));
        LATENCY.into_iter().map(entry).collect()
    }
}

/// What the server answers; checked, so that no error is measured for an answer.
async fn one_answer(url: &str, ask: &Ask, case: &Case) -> anyhow::Result<GetFeaturesResponse> {
    let mut client = OnlineServiceClient::connect(url.to_owned()).await?;
    let answer = client.get_features(ask(&mut Random::new(1))).await?.into_inner();
    let view = answer.views.first().context("the server answered without a view")?;
    ensure!(view.columns.len() == case.features, "{} features instead of {}", view.columns.len(), case.features);
    let is_value = |status: &i32| *status == RowStatus::Value as i32;
    ensure!(
        view.statuses.len() as u64 == case.entities && view.statuses.iter().all(is_value),
        "the rows' statuses are {:?}",
        view.statuses
    );
    Ok(answer)
}

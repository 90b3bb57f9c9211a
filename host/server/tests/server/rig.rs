//! What the tests share: versions of views, a store with events in it, a server.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use trifold_model::{CanonicalRows, EntityKey, EventTime, LogId, Positions, StateId};
use trifold_pipeline::{LiveVersion, LiveViews};
use trifold_sandbox::{Sandbox, SandboxConfig};
use trifold_server::api::online_service_client::OnlineServiceClient;
use trifold_server::client::{Answer, Client};
use trifold_server::{Limits, Load, LoadNow, Server, ServerConfig, ServerError};
use trifold_store::{
    Commit, EmbeddedStore, EntityQuery, Holder, Marker, OnlineStore, Record, SlotSnapshot, Snapshot, StateStore,
    StoreError,
};
use trifold_wat_guest::{Guest, field, row_view};

/// The time of a request that names none.
pub(crate) const NOW: i64 = 1_000_000;

pub(crate) fn config() -> ServerConfig {
    ServerConfig {
        rows_max: 100,
        cells_max: 1000,
        request_bytes_max: 4096,
        request_fuel: 2_000_000_000,
        view_fuel: u64::MAX,
        shadows_max: 1,
        drain: Duration::from_secs(60),
        limits: Limits::default(),
    }
}

/// A version under a number. One engine for the whole process, as each reserves address space.
pub(crate) fn version(number: u64, guest: &Guest) -> LiveVersion {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    let sandbox = SANDBOX
        .get_or_init(|| Sandbox::new(SandboxConfig { instances_max: 8, ..SandboxConfig::default() }).unwrap());
    let transform = sandbox.admit(&guest.build().unwrap()).unwrap();
    LiveVersion { version: number, release: Some(number), transform }
}

/// A guest that answers its inputs as its outputs, which are called `<input>_out`.
pub(crate) fn echo(name: &str, inputs: &[(&str, &str)], change: impl FnOnce(&mut Value)) -> Guest {
    let outputs: Vec<_> = inputs.iter().map(|(name, ty)| field(&format!("{name}_out"), ty)).collect();
    let inputs: Vec<_> = inputs.iter().map(|(name, ty)| field(name, ty)).collect();
    let mut description = row_view(name, &inputs, &outputs);
    change(&mut description);
    Guest::new(description)
}

/// The view `score`, keyed by the int64 `id`, whose values live for ten seconds.
pub(crate) fn score() -> LiveVersion {
    let guest = echo("score", &[("id", "int64"), ("x", "float64")], |view| view["ttl-seconds"] = 10.into());
    version(1, &guest)
}

pub(crate) fn views(versions: &[LiveVersion]) -> Arc<LiveViews> {
    let named = versions.iter().map(|version| (version.view().name.clone(), version.clone()));
    Arc::new(LiveViews::new(named.collect()))
}

pub(crate) fn open(dir: &Path) -> EmbeddedStore {
    let holder = Holder { pid: std::process::id(), command: "a test".to_owned(), since: EventTime(0) };
    EmbeddedStore::open(&dir.join("store.redb"), &holder).unwrap()
}

/// The marker of a state that has seen the first `next` events of a log.
pub(crate) fn marker(log: &str, next: u64) -> Marker {
    Marker {
        incarnation: 1,
        log: LogId(log.into()),
        source: "as they are".to_owned(),
        positions: Positions(BTreeMap::from([(0, next)])),
        consumed: Vec::new(),
        release: None,
        arrivals: BTreeMap::new(),
    }
}

/// The latest events of some entities as they are stored: `inputs` in the view's schema, one time each.
pub(crate) fn records(version: &LiveVersion, inputs: &RecordBatch, times: &[i64]) -> Vec<(EntityKey, Record)> {
    let keys = inputs.project(version.view().key_columns()).unwrap();
    let (keys, rows) = (CanonicalRows::new(&keys).unwrap(), CanonicalRows::new(inputs).unwrap());
    let records = times.iter().enumerate().map(|(row, &time)| {
        let mut fields = Vec::new();
        rows.write_fields(row, &mut fields);
        let event_id = format!("event {row}");
        let offset = row as u64;
        let record = Record { event_time: EventTime(time), event_id, partition: 0, offset, fields, output: None };
        (keys.key(row, &mut Vec::new()), record)
    });
    records.collect()
}

pub(crate) async fn put(store: &dyn StateStore, version: &LiveVersion, puts: Vec<(EntityKey, Record)>) {
    let marker = marker("log", puts.len() as u64);
    store
        .commit(vec![Commit { state: version.state_id(), marker, puts, slots: Vec::new(), switches: Vec::new() }])
        .await
        .unwrap();
}

/// A store that keeps account of what is read, and reads only as long as it has permits.
pub(crate) struct Watched {
    pub(crate) store: EmbeddedStore,
    pub(crate) read: Mutex<Vec<Vec<EntityKey>>>,
    /// How many reads have begun.
    pub(crate) begun: watch::Sender<usize>,
    pub(crate) permits: Semaphore,
    stalls: bool,
    /// The state whose reads need permits, if it is not all.
    only: Option<StateId>,
}

impl Watched {
    pub(crate) fn new(store: EmbeddedStore, permits: usize) -> Self {
        let (begun, permits) = (watch::channel(0).0, Semaphore::new(permits));
        Watched { store, read: Mutex::default(), begun, permits, stalls: false, only: None }
    }

    /// Waits for permits without giving way, as a slow disk does.
    pub(crate) fn stalling(self) -> Self {
        Watched { stalls: true, ..self }
    }

    /// Holds up the reads of one state only.
    pub(crate) fn only(self, state: StateId) -> Self {
        Watched { only: Some(state), ..self }
    }

    async fn permitted(&self, state: StateId) {
        if self.only.is_some_and(|only| only != state) {
            return;
        }
        let begun = Instant::now();
        while self.stalls && self.permits.available_permits() == 0 {
            assert!(begun.elapsed() < Duration::from_secs(60), "nobody else comes to their turn");
            std::thread::yield_now();
        }
        self.permits.acquire().await.unwrap().forget();
    }
}

impl OnlineStore for Watched {
    fn read<'a>(&'a self, state: StateId, keys: &'a [EntityKey]) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        async move {
            self.begun.send_modify(|begun| *begun += 1);
            self.permitted(state).await;
            self.read.lock().unwrap().push(keys.to_vec());
            self.store.read(state, keys).await
        }
        .boxed()
    }

    fn read_slots<'a>(
        &'a self,
        state: StateId,
        queries: &'a [EntityQuery],
    ) -> BoxFuture<'a, Result<SlotSnapshot, StoreError>> {
        self.store.read_slots(state, queries)
    }

    fn marker(&self, state: StateId) -> BoxFuture<'_, Result<Option<Marker>, StoreError>> {
        self.store.marker(state)
    }
}

/// A server on a free port of this machine. It ends with its test.
pub(crate) struct Online {
    pub(crate) url: String,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) serving: JoinHandle<Result<(), ServerError>>,
    pub(crate) load: Load,
}

impl Online {
    pub(crate) async fn start(store: Arc<dyn OnlineStore>, live: Arc<LiveViews>) -> Self {
        Online::limited(store, live, config()).await
    }

    pub(crate) async fn limited(store: Arc<dyn OnlineStore>, live: Arc<LiveViews>, config: ServerConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let server = Server::new(store, watch::channel(live).1, || EventTime(NOW), config);
        let load = server.load();
        let serving = tokio::spawn(server.run(listener, stopped.map(drop)));
        Online { url, stop, serving, load }
    }

    /// Waits until what the server has taken on is as it should be.
    pub(crate) async fn until(&self, is_so: impl Fn(&LoadNow) -> bool) {
        let begun = Instant::now();
        while !is_so(&self.load.now()) {
            assert!(begun.elapsed() < Duration::from_secs(60), "it stays at {:?}", self.load.now());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// How many were turned away for a reason.
    pub(crate) fn rejected(&self, reason: &str) -> u64 {
        self.load.now().rejected.get(reason).copied().unwrap_or_default()
    }

    pub(crate) async fn channel(&self) -> Channel {
        Channel::from_shared(self.url.clone()).unwrap().connect().await.unwrap()
    }

    /// A client that sends whatever it is told to.
    pub(crate) async fn raw(&self) -> OnlineServiceClient<Channel> {
        OnlineServiceClient::new(self.channel().await)
    }

    pub(crate) async fn get(&self, features: &[&str], keys: &RecordBatch, as_of: Option<i64>) -> Answer {
        let features: Vec<_> = features.iter().map(|&feature| feature.to_owned()).collect();
        let mut client = Client::connect(&self.url).await.unwrap();
        client.get(&features, keys, as_of.map(EventTime)).await.unwrap()
    }
}

//! A server in this process, and lookups through the client library.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use trifold_model::{EntityKey, EventTime, FeatureView, ViewName, decode_keys};
use trifold_pipeline::LiveViews;
use trifold_server::client::{Answer, Client, ClientError, InHand, Lookup, ViewRows};
use trifold_server::{Http, Limits, Plain, Server, ServerConfig, ServerError};
use trifold_store::OnlineStore;

/// How long a request over HTTP may take to arrive.
pub const HTTP_READ: Duration = Duration::from_millis(500);

/// The limits of servers in tests.
pub fn server_config() -> ServerConfig {
    ServerConfig {
        rows_max: 10_000,
        request_bytes_max: 4 << 20,
        cells_max: 1_000_000,
        request_fuel: 2_000_000_000,
        view_fuel: u64::MAX,
        shadows_max: 1,
        drain: Duration::from_secs(10),
        limits: Limits::default(),
    }
}

/// A runtime whose threads have the stack that guests need.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(4 << 20)
        .enable_all()
        .build()
        .unwrap()
}

/// A server on a free port of this machine.
pub struct Online {
    runtime: Runtime,
    /// Where it listens.
    pub url: String,
    /// Where it listens for HTTP, as host and port.
    pub http: String,
    client: Client,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<Result<(), ServerError>>>,
}

impl Online {
    /// Starts a server over a store and the versions in force.
    pub fn start(
        store: Arc<dyn OnlineStore>,
        live: watch::Receiver<Arc<LiveViews>>,
        config: ServerConfig,
    ) -> Self {
        Online::offering(store, live, config, &[])
    }

    /// Starts a server that serves some views by their entities' ids, too.
    pub fn offering(
        store: Arc<dyn OnlineStore>,
        live: watch::Receiver<Arc<LiveViews>>,
        config: ServerConfig,
        by_id: &[&str],
    ) -> Self {
        let runtime = runtime();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let over_http = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let http = over_http.local_addr().unwrap().to_string();
        let (stop, stopped) = oneshot::channel::<()>();
        // A request that names no time asks for the earliest there is, so that every record's own time counts.
        let by_id: Vec<ViewName> = by_id.iter().map(|name| name.parse().unwrap()).collect();
        let server = Server::new(store, live, || EventTime(i64::MIN), config)
            .with_plain(Plain { views: by_id, tell: |_| () })
            .unwrap()
            .with_http(Http { listener: over_http, read: HTTP_READ });
        let serving = runtime.spawn(server.run(listener, async {
            // A sender that is gone means the same.
            let _ = stopped.await;
        }));
        let client = runtime.block_on(Client::connect(&url)).unwrap();
        Online { runtime, url, http, client, stop: Some(stop), serving: Some(serving) }
    }

    /// A server whose versions never change.
    pub fn fixed(store: Arc<dyn OnlineStore>, live: Arc<LiveViews>) -> Self {
        Online::start(store, watch::channel(live).1, server_config())
    }

    /// A connection to it.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The runtime that it runs on.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Looks features up.
    pub fn get(
        &self,
        features: &[&str],
        keys: &RecordBatch,
        as_of: Option<EventTime>,
    ) -> Result<Answer, ClientError> {
        let features: Vec<_> = features.iter().map(|&feature| feature.to_owned()).collect();
        self.runtime.block_on(self.client().get(&features, keys, as_of))
    }

    /// Looks one view up, all of its features, with events in hand.
    #[track_caller]
    pub fn look_up(
        &self,
        view: &FeatureView,
        keys: &[EntityKey],
        as_of: EventTime,
        in_hand: &[InHand],
    ) -> ViewRows {
        let (features, columns) = ([view.name.to_string()], key_columns(view, keys));
        let lookup = Lookup { features: &features, columns: &columns, as_of: Some(as_of), in_hand };
        let answer = self.runtime.block_on(self.client().look_up(lookup)).unwrap();
        answer.views.into_iter().next().unwrap()
    }
}

impl Drop for Online {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(serving) = self.serving.take()
            && let Err(error) = self.runtime.block_on(serving).unwrap()
            && !std::thread::panicking()
        {
            panic!("the server did not stop well: {error}");
        }
    }
}

/// Entity keys as the columns of a request.
pub fn key_columns(view: &FeatureView, keys: &[EntityKey]) -> RecordBatch {
    decode_keys(view.key_fields(), keys).unwrap()
}

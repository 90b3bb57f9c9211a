//! `trifold serve`.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use trifold_pipeline::Catalog;
use trifold_server::accept::allow_connections;
use trifold_server::admin::Desk;
use trifold_server::following::{Following, News};
use trifold_server::{Http, Limits, Plain, Server, ServerConfig};
use trifold_store::{CacheSettings, CachedStore, GuardedStore, OnlineStore};

use crate::admin;
use crate::args::{Serve, ServeFrom};
use crate::clock;
use crate::config::ServerSection;
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::monitor::{Monitor, Reads};
use crate::output;
use crate::random;
use crate::world::{World, open_redis, registry_failure};

/// Serves from a Redis, or from the embedded store where none is named, until told to stop.
pub fn run(world: &World, args: ServeFrom) -> Outcome {
    let (store, guarded): (Arc<dyn OnlineStore>, _) = match world.redis(&args.redis) {
        Some(redis) => {
            let redis = Arc::new(world.block_on(open_redis(&redis))?);
            let guarded =
                GuardedStore::new(redis, clock::stopwatch(), world.config.redis.reads_max, random::seed()?);
            let guarded = Arc::new(guarded);
            (guarded.clone(), Some(guarded))
        }
        None => (world.store("serve")?, None),
    };
    let monitor = Monitor::start(world, args.watch.metrics.as_ref())?;
    let (store, cached) = cached(world, store)?;
    monitor.serves(Reads { cached, guarded });
    let desk = admin::start(world, &args.operate, "serve")?;
    let stop = world.stop_signal();
    world.block_on(async {
        let ready = || monitor.is_ready();
        serve(world, &args.serve, Part { store, desk, monitor: &monitor }, ready, stop).await
    })
}

/// A store to read, and the same as one of which what is read is kept, if it is.
pub type Kept = (Arc<dyn OnlineStore>, Option<Arc<CachedStore>>);

/// A store of which what is read is kept, if that is wanted.
pub fn cached(world: &World, store: Arc<dyn OnlineStore>) -> Outcome<Kept> {
    let section = &world.config.cache;
    if section.mib == 0 || section.ttl_ms.max(section.stale_ms) == 0 {
        return Ok((store, None));
    }
    let settings = CacheSettings {
        bytes: section.mib << 20,
        ttl: Duration::from_millis(section.ttl_ms),
        stale: Duration::from_millis(section.stale_ms),
        views: section.views.iter().cloned().collect(),
        except: section.except.iter().cloned().collect(),
    };
    let cached = Arc::new(CachedStore::new(store, clock::stopwatch(), settings));
    Ok((cached.clone(), Some(cached)))
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Listening {
    listening: String,
    /// Where HTTP is answered.
    http: Option<String>,
    views: Vec<String>,
}

/// What a server shares with what else the process does.
pub struct Part<'a> {
    /// The store that it reads.
    pub store: Arc<dyn OnlineStore>,
    /// Where it tells what it runs.
    pub desk: Desk,
    /// Where it tells what it takes on.
    pub monitor: &'a Monitor,
}

/// Serves from a store until `stop` turns true. `ready` is called once it listens.
pub async fn serve(
    world: &World,
    args: &Serve,
    part: Part<'_>,
    ready: impl FnOnce(),
    stop: watch::Receiver<bool>,
) -> Outcome {
    let Part { store, desk, monitor } = part;
    let section = &world.config.server;
    let catalog = Catalog::new(world.registry(false)?, world.sandbox()?);
    let observed = desk.observed().clone();
    let following = Following::begin(catalog, store.clone(), desk, clock::now, report).await;
    let following = following.map_err(registry_failure)?;
    let live = following.live();
    let listener = listen(args.listen.as_ref().unwrap_or(&section.listen), "--listen").await?;
    let bound = listener.local_addr().or_exit(Exit::Io)?;
    let over_http = args.http.as_ref().unwrap_or(&section.http_listen);
    let http = if over_http.is_empty() { None } else { Some(listen(over_http, "--http").await?) };
    let http_bound = http.as_ref().map(TcpListener::local_addr).transpose().or_exit(Exit::Io)?;
    let listening = Listening {
        listening: format!("http://{bound}"),
        http: http_bound.map(|bound| format!("http://{bound}")),
        views: live.borrow().views.keys().map(ToString::to_string).collect(),
    };
    let by_id = if args.feature_store_views.is_empty() {
        section.feature_store_views.clone()
    } else {
        args.feature_store_views.clone()
    };
    let server = Server::observed_by(observed, store, live, clock::now, config(section));
    monitor.watch(server.load());
    let mut server = server.with_plain(Plain { views: by_id, tell: report_missing }).or_exit(Exit::Usage)?;
    if let Some(listener) = http {
        let read = Duration::from_millis(section.receive_ms);
        server = server.with_http(Http { listener, read });
    }
    output::line(world.format, &listening, |listening| {
        let views = listening.views.join(", ");
        let views = if views.is_empty() { "no view yet, waiting for a release," } else { &views };
        let http = listening.http.as_ref().map_or_else(String::new, |http| format!(", and over HTTP at {http}"));
        format!("serving {views} at {}{http}", listening.listening)
    })?;
    let interval = Duration::from_millis(section.poll_interval_ms);
    ready();
    tokio::select! {
        served = server.run(listener, stopped(stop)) => served.or_exit(Exit::Unavailable),
        lost = following.follow(interval) => {
            // Going on would serve old versions for good without a word.
            Err(Failure::new(Exit::Internal, format!("the watch for new releases broke down: {lost}")))
        }
    }
}

fn config(section: &ServerSection) -> ServerConfig {
    let millis = Duration::from_millis;
    if let Some(fitting) = allow_connections(section.connections_max) {
        let wanted = section.connections_max;
        tracing::warn!(
            "the system's limit of open files allows {fitting} connections instead of the {wanted} of \
             `server.connections-max`; raise it with `ulimit -n`, or lower the key"
        );
    }
    let limits = Limits {
        concurrency: NonZero::new(section.concurrency),
        view_concurrency: NonZero::new(section.view_concurrency),
        queue: section.queue,
        queue_wait: millis(section.queue_ms),
        caller_rate: NonZero::new(section.caller_rate),
        caller_burst: NonZero::new(section.caller_burst),
        deadline: NonZero::new(section.deadline_ms).map(|ms| millis(ms.get())),
        receive: millis(section.receive_ms),
        receive_bytes_max: section.receive_mib.saturating_mul(1 << 20),
        connections_max: section.connections_max,
        connection_requests_max: section.connection_requests_max,
        handshake: millis(section.handshake_ms),
        keepalive: NonZero::new(section.keepalive_ms).map(|ms| millis(ms.get())),
    };
    ServerConfig {
        rows_max: section.rows_max,
        cells_max: section.cells_max,
        request_bytes_max: section.request_bytes_max,
        request_fuel: section.request_fuel,
        view_fuel: NonZero::new(section.view_fuel).map_or(u64::MAX, NonZero::get),
        shadows_max: section.shadows_max,
        drain: millis(section.drain_ms),
        limits,
    }
}

async fn listen(address: &str, flag: &str) -> Outcome<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let exit = match error.kind() {
            std::io::ErrorKind::InvalidInput => Exit::Usage,
            _ => Exit::Unavailable,
        };
        Failure::new(exit, format!("cannot listen on {address}: {error}; choose another with {flag}"))
    })
}

/// Logs why a view is not served by ids.
fn report_missing(reason: &str) {
    tracing::warn!("of feature-store-views: {reason}");
}

/// Logs what keeps releases from being served.
fn report(news: News<'_>) {
    match news {
        News::Problem(problem) => {
            tracing::error!("{problem}; the version before it stays in force, if there is one");
        }
        News::Unread(error) => {
            tracing::error!("the releases cannot be read: {error}; those of before stay in force");
        }
        News::Read => tracing::info!("the releases can be read again"),
        News::Store(error) => tracing::error!("new releases wait, because the store cannot be read: {error}"),
    }
}

/// Completes once `stop` turns true.
pub async fn stopped(mut stop: watch::Receiver<bool>) {
    // A sender that is gone will never say stop; then there is nothing to wait for either.
    let _ = stop.wait_for(|stop| *stop).await;
}

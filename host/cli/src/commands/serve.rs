//! `trifold serve`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use trifold_pipeline::{Catalog, CatalogProblem, LiveViews, take_over};
use trifold_server::{Server, ServerConfig};
use trifold_store::OnlineStore;

use crate::args::{Serve, ServeFrom};
use crate::clock;
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::output;
use crate::world::{World, open_redis, registry_failure};

/// Serves from a Redis, or from the embedded store where none is named, until told to stop.
pub fn run(world: &World, args: ServeFrom) -> Outcome {
    let store: Arc<dyn OnlineStore> = match world.redis(&args.redis) {
        Some(redis) => Arc::new(world.block_on(open_redis(&redis))?),
        None => world.store("serve")?,
    };
    let stop = world.stop_signal();
    world.block_on(serve(world, &args.serve, store, stop))
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Listening {
    listening: String,
    views: Vec<String>,
}

/// Serves from a store until `stop` turns true.
pub async fn serve(
    world: &World,
    args: &Serve,
    store: Arc<dyn OnlineStore>,
    stop: watch::Receiver<bool>,
) -> Outcome {
    let section = &world.config.server;
    let mut catalog = Catalog::new(world.registry(false)?, world.sandbox()?);
    let problems = catalog.poll().await.map_err(registry_failure)?;
    let reported = report(&problems, BTreeSet::new());
    let (publish, live) = watch::channel(catalog.live());
    let config = ServerConfig {
        rows_max: section.rows_max,
        request_bytes_max: section.request_bytes_max,
        request_fuel: section.request_fuel,
        drain: Duration::from_millis(section.drain_ms),
    };
    let address = args.listen.as_ref().unwrap_or(&section.listen);
    let listener = TcpListener::bind(address).await.map_err(|error| {
        let exit = match error.kind() {
            std::io::ErrorKind::InvalidInput => Exit::Usage,
            _ => Exit::Unavailable,
        };
        Failure::new(exit, format!("cannot listen on {address}: {error}; choose another with --listen"))
    })?;
    let bound = listener.local_addr().or_exit(Exit::Io)?;
    let views = catalog.live().views.keys().map(ToString::to_string).collect();
    let listening = Listening { listening: format!("http://{bound}"), views };
    output::line(world.format, &listening, |listening| {
        let views = listening.views.join(", ");
        let views = if views.is_empty() { "no view yet, waiting for a release," } else { &views };
        format!("serving {views} at {}", listening.listening)
    })?;
    let interval = Duration::from_millis(section.poll_interval_ms);
    let server = Server::new(store.clone(), live, clock::now, config).run(listener, stopped(stop));
    tokio::select! {
        served = server => served.or_exit(Exit::Unavailable),
        lost = follow(catalog, store, publish, interval, reported) => {
            // Going on would serve old versions for good without a word.
            Err(Failure::new(Exit::Internal, format!("the watch for new releases broke down: {lost}")))
        }
    }
}

/// Publishes every new set of versions. Admission compiles, so it must not hold up the requests' threads. Ends only
/// if a poll panics.
async fn follow(
    mut catalog: Catalog,
    store: Arc<dyn OnlineStore>,
    publish: watch::Sender<Arc<LiveViews>>,
    interval: Duration,
    mut reported: BTreeSet<String>,
) -> tokio::task::JoinError {
    loop {
        tokio::time::sleep(interval).await;
        let handle = tokio::runtime::Handle::current();
        let polled = tokio::task::spawn_blocking(move || {
            let polled = handle.block_on(catalog.poll());
            (catalog, polled)
        });
        let polled = match polled.await {
            Ok((back, polled)) => {
                catalog = back;
                polled
            }
            Err(panicked) => return panicked,
        };
        match polled {
            Ok(problems) => reported = report(&problems, reported),
            Err(error) => tracing::error!("the releases cannot be read: {error}"),
        }
        let serving = publish.borrow().clone();
        match take_over(&*store, &serving, &catalog.live()).await {
            Ok(next) if !next.same_versions(&serving) => publish.send_modify(|current| *current = Arc::new(next)),
            Ok(_) => {}
            Err(error) => tracing::error!("new releases wait, because the store cannot be read: {error}"),
        }
    }
}

/// Logs problems that were not there at the last poll, and returns those that are there now.
fn report(problems: &[CatalogProblem], before: BTreeSet<String>) -> BTreeSet<String> {
    let now: BTreeSet<String> = problems.iter().map(ToString::to_string).collect();
    for problem in now.difference(&before) {
        tracing::error!("{problem}; the version before it stays in force, if there is one");
    }
    now
}

/// Completes once `stop` turns true.
pub async fn stopped(mut stop: watch::Receiver<bool>) {
    // A sender that is gone will never say stop; then there is nothing to wait for either.
    let _ = stop.wait_for(|stop| *stop).await;
}

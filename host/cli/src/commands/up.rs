//! `trifold up`: the stream worker and the server in one process.

use tokio::sync::watch;
use trifold_stream::Until;

use super::{serve, stream};
use crate::admin;
use crate::args::Up;
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::monitor::{Monitor, Reads};
use crate::output;
use crate::world::{THREAD_STACK_BYTES, World};

/// Streams on a thread of its own and serves until told to stop. Without `--stop-at` the log is followed; with
/// it, the worker stops there and the server goes on.
pub fn run(world: &World, args: Up) -> Outcome {
    if args.stream.kafka.topic.is_some() {
        let message = "`trifold up` follows files: use `trifold stream --topic` for a topic";
        return Err(Failure::new(Exit::Usage, message));
    }
    let store = world.store("up")?;
    let until = match stream::until(&args.stream) {
        Until::End => Until::Follow,
        other => other,
    };
    let desk = admin::start(world, &args.stream.operate, "up")?;
    // What runs is told by the server, which waits for the worker where a release needs another state.
    let releases = stream::chosen(world, &args.stream.views)?.hears(&desk);
    let mut driver = stream::driver(world, &args.stream, store.clone(), releases)?;
    let monitor = Monitor::start(world, args.stream.watch.metrics.as_ref())?;
    let (read, cached) = serve::cached(world, store)?;
    monitor.serves(Reads { cached, guarded: None });
    let (stop, stopped) = world.stop_channel();
    let handle = world.handle();
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("stream".to_owned()).stack_size(THREAD_STACK_BYTES);
        let worker = thread.spawn_scoped(scope, {
            let (stop, stopped, desk, monitor) = (stop.clone(), stopped.clone(), desk.clone(), &monitor);
            move || {
                let mut guard = StopOnFailure(Some(stop));
                let report = handle.block_on(stream::drive(&mut driver, until, monitor, &desk, stopped));
                if report.is_ok() {
                    guard.0 = None;
                }
                report
            }
        });
        let worker = worker.or_exit(Exit::Internal)?;
        let part = serve::Part { store: read, desk, monitor: &monitor };
        let served = world.block_on(serve::serve(world, &args.serve, part, || (), stopped));
        // The server is gone, by a signal or by an error; the worker finishes its step.
        let _ = stop.send(true);
        let report = worker.join().map_err(|_| Failure::new(Exit::Internal, "the stream worker panicked"))??;
        served?;
        output::line(world.format, &stream::summary(&report), stream::text)
    })
}

/// A worker that failed or panicked takes the process down: stale answers without a word would be worse.
struct StopOnFailure(Option<watch::Sender<bool>>);

impl Drop for StopOnFailure {
    fn drop(&mut self) {
        if let Some(stop) = &self.0 {
            // If nobody listens, the server is gone already.
            let _ = stop.send(true);
        }
    }
}

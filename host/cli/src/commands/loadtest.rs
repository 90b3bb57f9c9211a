//! `trifold loadtest`.
//!
//! Reading order: [`keys`] (what is asked), [`draw`] (in which order, and when), [`generator`] (sends it), [`tally`]
//! (what became of it), [`report`] and [`plot`].

mod draw;
mod generator;
mod keys;
mod plot;
mod report;
mod tally;

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use indicatif::ProgressBar;
use tokio::sync::{Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use trifold_server::client::Lookup;

use self::draw::{Draw, Schedule};
use self::generator::{Generator, Shared, Until};
use self::keys::Keys;
use self::report::{Asked, Report, millis};
use self::tally::Tally;
use super::get::keys::asked_fields;
use super::get::{client_failure, connect, server_url, time};
use crate::args::Loadtest;
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::output;
use crate::progress;
use crate::world::World;

/// How long to measure if nothing is said.
const MEASURED: Duration = Duration::from_secs(10);

/// How long requests that are on their way may take after an interrupt.
const GRACE: Duration = Duration::from_secs(1);

/// How often the progress is told.
const TOLD_EVERY: Duration = Duration::from_millis(500);

/// Puts load on a server.
pub async fn run(world: &World, args: Loadtest) -> Outcome {
    if let Some(svg) = &args.svg {
        // A place that cannot be written to shall not cost a whole load.
        write(svg, "")?;
    }
    let (load, keys) = generator(world, &args).await?;
    let shared = Arc::clone(&load.shared);
    let (interrupted, questions) = drive(world, load, &args).await?;
    let (report, svg) = {
        let tally = shared.tally();
        let asked = Asked { server: server_url(world, &args.server), keys, questions, interrupted };
        let report = Report::new(asked, &args, &tally);
        let svg = args.svg.as_ref().map(|_| plot::svg(&report, &tally.latency));
        (report, svg)
    };
    if let (Some(path), Some(svg)) = (&args.svg, svg) {
        write(path, &svg)?;
    }
    output::print(world.format, &report, report::text)?;
    verdict(&report)
}

fn write(svg: &Path, text: &str) -> Outcome {
    std::fs::write(svg, text)
        .map_err(|error| Failure::new(Exit::Io, format!("cannot write {}: {error}", svg.display())))
}

/// What sends the load, once the server has answered its first request; and how many keys there are.
async fn generator(world: &World, args: &Loadtest) -> Outcome<(Generator, u64)> {
    let as_of = args.as_of.as_deref().map(time).transpose()?;
    check_features(&args.features)?;
    let mut client = in_time(args, connect(world, &args.server)).await?;
    let views = in_time(args, async { client.views().await.map_err(client_failure) }).await?;
    let keys = Keys::new(args, asked_fields(&args.features, &views)?)?;
    let count = keys.count;
    // What the server refuses, it refuses now and not a thousand times; and its first answer is not like the others.
    let columns = keys.rows(&vec![0; args.batch])?;
    let lookup = Lookup { features: &args.features, columns: &columns, as_of, in_hand: &[] };
    in_time(args, async { client.look_up(lookup).await.map_err(client_failure) }).await?;
    let mut clients = vec![client];
    while clients.len() < args.connections {
        clients.push(in_time(args, connect(world, &args.server)).await?);
    }
    let until = Until {
        warmup: args.warmup.unwrap_or_default(),
        duration: args.duration.or(args.requests.is_none().then_some(MEASURED)),
        requests: args.requests,
    };
    let tally = Tally::new(until.warmup, until.measured(args.rate))?;
    let schedule = Schedule::new(args.rate, args.arrivals, args.seed);
    let shared = Shared::new(args.features.clone(), as_of, args.timeout, tally);
    let draw = Draw::new(args.distribution, count, args.seed);
    let slots = Arc::new(Semaphore::new(args.in_flight_max as usize));
    let generator =
        Generator { shared: Arc::new(shared), clients, keys, draw, schedule, batch: args.batch, until, slots };
    Ok((generator, count))
}

/// Waits for a server no longer than for its answers under load.
async fn in_time<T>(args: &Loadtest, answer: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    timeout(args.timeout, answer).await.unwrap_or_else(|_| {
        let message = format!("the server did not answer within {:?}, before there was any load", args.timeout);
        Err(Failure::new(Exit::Unavailable, message))
    })
}

/// A shell that makes words of a template leaves all but the first to stand for views.
fn check_features(features: &[String]) -> Outcome {
    match features.iter().find(|feature| feature.contains('=')) {
        Some(key) => {
            let message =
                format!("`{key}` is no view: put templates in quotes, as in --key 'card=c-{{0..99999}}'");
            Err(Failure::new(Exit::Usage, message))
        }
        None => Ok(()),
    }
}

/// Sends the load and waits for all of it: whether it was interrupted, and the digest of what was asked.
async fn drive(world: &World, load: Generator, args: &Loadtest) -> Outcome<(bool, u64)> {
    let (shared, slots) = (Arc::clone(&load.shared), Arc::clone(&load.slots));
    let bar = progress::requests(load.until.measured(args.rate));
    let mut stopped = world.stop_signal();
    let (stop, stops) = mpsc::channel::<()>();
    let (give_up, given_up) = watch::channel(false);
    let runtime = world.handle();
    let mut sending = tokio::task::spawn_blocking(move || load.run(&stops, &given_up, &runtime));
    let mut tick = interval(TOLD_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut interrupted, questions) = loop {
        tokio::select! {
            sent = &mut sending => break (false, sent.or_exit(Exit::Internal)??),
            _ = stopped.wait_for(|stopped| *stopped) => {
                drop(stop);
                break (true, sending.await.or_exit(Exit::Internal)??);
            }
            _ = tick.tick() => tell(&bar, &shared, args.in_flight_max as usize - slots.available_permits()),
        }
    };
    // All slots are free when nobody is on his way any more.
    if !interrupted {
        tokio::select! {
            _ = slots.acquire_many(args.in_flight_max) => {}
            _ = stopped.wait_for(|stopped| *stopped) => interrupted = true,
        }
    }
    if interrupted && timeout(GRACE, slots.acquire_many(args.in_flight_max)).await.is_err() {
        give_up.send_replace(true);
        let _all = slots.acquire_many(args.in_flight_max).await.or_exit(Exit::Internal)?;
    }
    bar.finish_and_clear();
    Ok((interrupted, questions))
}

fn tell(bar: &ProgressBar, shared: &Shared, in_flight: usize) {
    let tally = shared.tally();
    let [p50, p99] = [0.5, 0.99].map(|quantile| millis(tally.latency.value_at_quantile(quantile)));
    let (answered, failed, not_sent) = (tally.answered, tally.failures(), tally.not_sent);
    drop(tally);
    bar.set_position(u64::try_from(shared.begun.elapsed().as_millis()).unwrap_or(u64::MAX));
    bar.set_message(format!(
        "{answered} answered, {failed} failed, {not_sent} not sent, {in_flight} on their way; p50 {p50}, p99 {p99}"
    ));
}

/// Whether the figures are what they seem to be.
fn verdict(report: &Report) -> Outcome {
    if report.not_sent > 0 {
        tracing::warn!(
            "{} requests were not sent, since --in-flight-max requests were on their way: the latencies leave them out, \
             and are too good",
            report.not_sent
        );
    }
    let first = || report.failures.iter().next().map(|(code, failures)| format!("{code}: {}", failures.first));
    if let Some(seconds) = report.server_gone_seconds {
        let message = format!("the server went away: its last answer came {seconds:.1} s after the load began");
        return Err(Failure::new(Exit::Unavailable, message));
    }
    if report.answered == 0 && !report.interrupted {
        let reason = first().unwrap_or_else(|| "nothing was sent".to_owned());
        return Err(Failure::new(Exit::Unavailable, format!("no request was answered: {reason}")));
    }
    match report.late() {
        Some(late) => Err(Failure::new(Exit::Refused, late)),
        None => Ok(()),
    }
}

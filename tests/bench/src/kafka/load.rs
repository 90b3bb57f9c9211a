//! Payments at a steady pace, and when each could be read behind what carries them.

use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rdkafka::producer::Producer;
use tokio::runtime::Builder;
use tokio::time::{MissedTickBehavior, interval};

use crate::kafka::PARTITIONS;
use crate::kafka::clients::{PATIENCE, consumer, ends, producer, send};
use crate::kafka::payments::Event;

/// How often it is looked what can be read. What is measured is longer than it was by half of it on average.
const LOOK: Duration = Duration::from_millis(10);
const TICK: Duration = Duration::from_millis(1);

/// By partition, the offset before which everything can be read.
pub(crate) type Reached = Vec<u64>;

/// Looks how far something is.
pub(crate) type Look<'a> = &'a mut dyn FnMut() -> anyhow::Result<Reached>;

/// Waits until everything that stands in the topic can be read: each look, and when it was.
pub(crate) fn watch(
    look: Look<'_>,
    mut is_over: impl FnMut(&Reached) -> anyhow::Result<bool>,
) -> anyhow::Result<Vec<(Instant, Reached)>> {
    let clock = Builder::new_current_thread().enable_time().build()?;
    let mut ticks = clock.block_on(async { interval(LOOK) });
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut looks, mut moved) = (Vec::new(), Instant::now());
    loop {
        clock.block_on(ticks.tick());
        let reached = look()?;
        let now = Instant::now();
        if looks.last().is_none_or(|(_, last)| *last != reached) {
            moved = now;
        }
        ensure!(moved.elapsed() < PATIENCE, "nothing moved for {PATIENCE:?}: {reached:?}");
        let over = is_over(&reached)?;
        looks.push((now, reached));
        if over {
            return Ok(looks);
        }
    }
}

/// Sends events to a topic at a pace and looks when each can be read: the milliseconds from when it was due. Those of
/// the first `warm_up` do not count.
pub(crate) fn latencies(
    (brokers, topic): (&str, &str),
    events: Vec<Event>,
    per_second: f64,
    warm_up: usize,
    look: Look<'_>,
) -> anyhow::Result<Vec<f64>> {
    let lookout = consumer(brokers, "lookout")?;
    let firsts: Vec<u64> = ends(&lookout, topic)?.into_iter().map(|(_, end)| end).collect();
    drop(lookout);
    let (mut places, mut lasts) = (Vec::with_capacity(events.len()), firsts);
    for event in &events {
        let last = &mut lasts[event.partition as usize];
        places.push((event.partition as usize, *last));
        *last += 1;
    }
    let sent = send_at_pace(brokers.to_owned(), topic.to_owned(), events, per_second)?;
    let mut begun = None;
    let looks = watch(look, |reached| {
        if let Ok(outcome) = sent.try_recv() {
            begun = Some(outcome?);
        }
        Ok(begun.is_some() && reached.iter().zip(&lasts).all(|(reached, last)| reached >= last))
    })?;
    let begun = begun.context("nothing was sent")?;
    let due = |place: usize| begun + Duration::from_secs_f64(place as f64 / per_second);
    let mut nexts = vec![0; PARTITIONS as usize];
    let mut latencies = Vec::with_capacity(places.len());
    for (place, &(partition, offset)) in places.iter().enumerate() {
        // Offsets of a partition ascend, and so do looks.
        let next = &mut nexts[partition];
        *next += looks[*next..].partition_point(|(_, reached)| reached[partition] <= offset);
        if place >= warm_up {
            let (at, _) = looks.get(*next).context("what was sent was read")?;
            latencies.push(at.saturating_duration_since(due(place)).as_secs_f64() * 1e3);
        }
    }
    Ok(latencies)
}

/// Sends events at a pace from a thread of its own, which tells when it began, once it is done.
fn send_at_pace(
    brokers: String,
    topic: String,
    events: Vec<Event>,
    per_second: f64,
) -> anyhow::Result<Receiver<anyhow::Result<Instant>>> {
    let producer = producer(&brokers)?;
    let (tell, told) = channel();
    thread::spawn(move || {
        let begun = Instant::now();
        let outcome = (|| {
            let mut sent = 0;
            while sent < events.len() {
                let due = (begun.elapsed().as_secs_f64() * per_second) as usize;
                for event in &events[sent..due.clamp(sent, events.len())] {
                    let (key, value) = (event.key.as_bytes(), event.value.as_bytes());
                    send(&producer, &topic, event.partition, key, Some(value))?;
                    sent += 1;
                }
                // A pause, unless there is something to serve.
                producer.poll(TICK);
            }
            producer.flush(PATIENCE)?;
            Ok(begun)
        })();
        // Whoever listened has failed.
        let _ = tell.send(outcome);
    });
    Ok(told)
}

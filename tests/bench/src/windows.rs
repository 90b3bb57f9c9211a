//! Window views through the embedded worker and in lookups, beside the same work with the fold compiled natively.

mod events;
mod native;
mod read;
mod stream;

use std::path::Path;

use anyhow::bail;
use tokio::runtime::{Builder, Runtime};
use trifold_model::{EventTime, LogId, Positions};
use trifold_pipeline::{Changes, Ingested, LiveVersion};
use trifold_store::{Commit, EmbeddedStore, Holder, Marker};

use crate::guests::{Guest, transform};
use crate::measure::Effort;
use crate::report::Entry;
use crate::windows::events::{Disorder, FIRST_TIME};
use crate::windows::stream::Rig;

const STREAM: &str = "windows.stream";
const STATE_BYTES: &str = "windows.stream.state_bytes";
/// The name, the guest, and the hundredths of the events that come out of order.
const OUT_OF_ORDER: [(&str, Guest, u64); 5] = [
    ("windows.out_of_order.any.1", Guest::WINDOW, 1),
    ("windows.out_of_order.any.10", Guest::WINDOW, 10),
    ("windows.out_of_order.event_time.0", Guest::WINDOW_ORDERED, 0),
    ("windows.out_of_order.event_time.1", Guest::WINDOW_ORDERED, 1),
    ("windows.out_of_order.event_time.10", Guest::WINDOW_ORDERED, 10),
];
const READ: [(&str, u64); 4] =
    [("windows.read.1", 1), ("windows.read.10", 10), ("windows.read.100", 100), ("windows.read.300", 300)];

/// The entries of this module.
pub(crate) const NAMES: &[&str] = &[
    STREAM,
    STATE_BYTES,
    OUT_OF_ORDER[0].0,
    OUT_OF_ORDER[1].0,
    OUT_OF_ORDER[2].0,
    OUT_OF_ORDER[3].0,
    OUT_OF_ORDER[4].0,
    READ[0].0,
    READ[1].0,
    READ[2].0,
    READ[3].0,
];

pub(crate) fn run(effort: Effort, wanted: &dyn Fn(&str) -> bool) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let out_of_order: Vec<_> = OUT_OF_ORDER.into_iter().filter(|(name, ..)| wanted(name)).collect();
    if wanted(STREAM) || wanted(STATE_BYTES) || !out_of_order.is_empty() {
        let in_order = Rig::new(version(Guest::WINDOW)?, effort, Disorder::hundredths(0))?;
        if wanted(STREAM) {
            let (ours, baseline) =
                stream::in_turns(effort, &|| in_order.stream(), &|| in_order.stream_natively())?;
            entries.push(Entry::new(STREAM, ours, baseline)?);
        }
        if wanted(STATE_BYTES) {
            let (state_bytes, log_bytes) = in_order.bytes_per_event()?;
            entries.push(Entry::new(STATE_BYTES, state_bytes, log_bytes)?);
        }
        for (name, guest, hundredths) in out_of_order {
            let disordered = Rig::new(version(guest)?, effort, Disorder::hundredths(hundredths))?;
            let (ours, baseline) = stream::in_turns(effort, &|| disordered.stream(), &|| in_order.stream())?;
            entries.push(Entry::new(name, ours, baseline)?);
        }
    }
    let tiles: Vec<_> = READ.into_iter().filter(|(name, _)| wanted(name)).collect();
    if !tiles.is_empty() {
        let version = version(Guest::WINDOW_FINE)?;
        for (name, tiles) in tiles {
            let (ours, baseline) = read::microseconds(&version, tiles, effort)?;
            entries.push(Entry::new(name, ours, baseline)?);
        }
    }
    Ok(entries)
}

fn version(guest: Guest) -> anyhow::Result<LiveVersion> {
    Ok(LiveVersion { version: 1, release: None, transform: transform(guest)? })
}

fn store(path: &Path) -> anyhow::Result<EmbeddedStore> {
    let holder = Holder { pid: std::process::id(), command: "bench".to_owned(), since: EventTime(FIRST_TIME) };
    Ok(EmbeddedStore::open(path, &holder)?)
}

fn runtime() -> anyhow::Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// What a batch changed, as a worker at this position would commit it.
fn commit(version: &LiveVersion, ingested: Ingested, next: u64) -> anyhow::Result<Commit> {
    let Changes::Slots(slots) = ingested.changes else { bail!("a window view has slots") };
    let marker = Marker {
        incarnation: 1,
        log: LogId("bench".into()),
        source: String::new(),
        positions: Positions([(0, next)].into()),
        consumed: Vec::new(),
        release: None,
        arrivals: Default::default(),
    };
    Ok(Commit { state: version.state_id(), marker, puts: Vec::new(), slots: slots.stored, switches: Vec::new() })
}

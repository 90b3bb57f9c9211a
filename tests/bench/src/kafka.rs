//! A worker of a group on a real Kafka and a feeder behind it, beside bare clients that carry the same records.
//!
//! What is measured runs in a process of its own, whose processor time is its own: with the threads of its clients, and
//! without the broker's.
//!
//! Reading order: `payments` (the events), `clients` (what bare clients have in common), `child` (processes), `worker`,
//! `copier`, `exactly_once`, `restore`; `freshness` with its `load`, `feeder` and `relay`.

mod child;
mod clients;
mod copier;
mod exactly_once;
mod feeder;
mod freshness;
mod load;
mod payments;
mod relay;
mod restore;
mod worker;

pub(crate) use self::child::run as child;

use std::path::PathBuf;

use tempfile::TempDir;
use trifold_pipeline::LiveVersion;
use trifold_sandbox::{Sandbox, SandboxConfig};
use trifold_stream::FeedId;
use trifold_stream::kafka::{Purpose, TopicNames};
use trifold_test_servers::Kafka;

use crate::guests::{Guest, component};
use crate::measure::Effort;
use crate::report::Entry;

const EXACTLY_ONCE: &str = "stream.kafka.exactly_once";
const RESTORE: &str = "stream.restore";
const FRESHNESS: [&str; 2] = ["stream.freshness.p50", "stream.freshness.p99"];

/// The entries of this module.
pub(crate) const NAMES: &[&str] = &[EXACTLY_ONCE, RESTORE, FRESHNESS[0], FRESHNESS[1]];

/// The topic of events.
const TOPIC: &str = "payments";
const PARTITIONS: u32 = 4;

/// A cluster, the view that is followed, and room on disk.
struct Site {
    kafka: Kafka,
    dir: TempDir,
    component: PathBuf,
    version: LiveVersion,
}

impl Site {
    fn new() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let bytes = component(Guest::CARD_SPEND)?;
        let path = dir.path().join("component.wasm");
        std::fs::write(&path, &bytes)?;
        let transform = Sandbox::new(SandboxConfig::default())?.admit(&bytes)?;
        let version = LiveVersion { version: 1, release: None, transform };
        Ok(Site { kafka: Kafka::start()?, dir, component: path, version })
    }

    fn brokers(&self) -> String {
        self.kafka.bootstrap().to_owned()
    }

    /// A topic of the view's in a group.
    fn topic(&self, group: &str, purpose: Purpose) -> String {
        TopicNames::new(group).of(&FeedId::of(&self.version), purpose)
    }

    /// A worker of a group.
    fn worker(&self, group: &str, name: &str, follows: bool) -> worker::Work {
        worker::Work {
            brokers: self.brokers(),
            group: group.to_owned(),
            worker: name.to_owned(),
            state_dir: self.dir.path().join(group).join(name),
            component: self.component.clone(),
            follows,
        }
    }
}

pub(crate) fn run(effort: Effort, wanted: &dyn Fn(&str) -> bool) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    if wanted(EXACTLY_ONCE) || wanted(RESTORE) {
        let rig = exactly_once::Rig::new(effort)?;
        if wanted(EXACTLY_ONCE) {
            let (ours, baseline) = rig.in_turns(effort)?;
            entries.push(Entry::new(EXACTLY_ONCE, ours, baseline)?);
        }
        if wanted(RESTORE) {
            let (ours, baseline) = restore::in_turns(&rig, effort)?;
            entries.push(Entry::new(RESTORE, ours, baseline)?);
        }
    }
    if FRESHNESS.into_iter().any(wanted) {
        let (ours, baseline) = freshness::milliseconds(effort)?;
        for (at, name) in FRESHNESS.into_iter().enumerate() {
            entries.push(Entry::new(name, ours[at], baseline[at])?);
        }
    }
    Ok(entries)
}

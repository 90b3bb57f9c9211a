//! A worker that takes over partitions of which it has nothing, in turns with a reader of the same records.

use std::time::Instant;

use anyhow::ensure;
use serde::{Deserialize, Serialize};
use trifold_stream::kafka::Purpose;

use crate::kafka::child::{Task, done};
use crate::kafka::clients::read as read_topic;
use crate::kafka::exactly_once::{Rig, group};
use crate::kafka::worker::Worked;
use crate::measure::{Effort, median};

const TURNS: usize = 3;

/// A topic to read.
#[derive(Serialize, Deserialize)]
pub(crate) struct Read {
    brokers: String,
    topic: String,
}

/// What was read, and how long it took.
#[derive(Serialize, Deserialize)]
pub(crate) struct Records {
    count: u64,
    seconds: f64,
}

pub(crate) fn read(Read { brokers, topic }: &Read) -> anyhow::Result<Records> {
    let (mut count, begun) = (0, Instant::now());
    read_topic(brokers, topic, |_| count += 1)?;
    Ok(Records { count, seconds: begun.elapsed().as_secs_f64() })
}

/// Records in a second: of the worker, and of the reader.
pub(crate) fn in_turns(rig: &Rig, effort: Effort) -> anyhow::Result<(f64, f64)> {
    let (group, site) = (group(0), &rig.site);
    let count = rig.count(&group, Purpose::Changes)?;
    let (mut ours, mut baselines) = (Vec::new(), Vec::new());
    for turn in 0..effort.choose(TURNS, 1) {
        let worked: Worked = done(&Task::Work(site.worker(&group, &format!("another-{turn}"), false)))?;
        ensure!(worked.restored == count && worked.events == 0, "{} of {count} changes restored", worked.restored);
        ours.push(count as f64 / worked.restore_seconds);
        let task = Task::Read(Read { brokers: site.brokers(), topic: site.topic(&group, Purpose::Changes) });
        let records: Records = done(&task)?;
        ensure!(records.count == count, "{} of {count} changes read", records.count);
        baselines.push(count as f64 / records.seconds);
    }
    Ok((median(ours), median(baselines)))
}

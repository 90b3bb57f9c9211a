//! Under which releases workers computed rows, as a topic of changes tells.

use std::collections::BTreeMap;

use trifold_model::{LogId, Positions};
use trifold_pipeline::StateRows;
use trifold_store::Entry;

use crate::feed::FeedId;
use crate::kafka::changes::ChangesReader;
use crate::kafka::error::ClusterError;
use crate::kafka::settings::ClusterSettings;
use crate::kafka::topics::Topics;

/// What a group noted with the changes of a state, and the log that they come from; `None` if it has none of the state. All
/// committed changes are read; `told` hears of how many offsets more, and of how many in all.
pub fn rows_of(
    settings: &ClusterSettings,
    feed: &FeedId,
    told: &mut dyn FnMut(u64, u64),
) -> Result<Option<(LogId, StateRows)>, ClusterError> {
    let (topic, partitions) = match Topics::new(settings)?.changes_of(feed) {
        Err(ClusterError::NoChanges { .. }) => return Ok(None),
        found => found?,
    };
    let mut reader = ChangesReader::new(settings)?;
    let ends = (0..partitions).map(|partition| reader.ends(&topic, partition, &|| Ok(())));
    let ends = ends.collect::<Result<Vec<_>, _>>()?;
    let total = ends.iter().map(|(low, end)| end - low).sum();
    let (mut log, mut rows) = (None, StateRows { end: Positions::default(), switches: Vec::new() });
    for (partition, (low, end)) in (0..).zip(ends) {
        let (mut from, mut switches) = (low, BTreeMap::new());
        while from < end {
            let (entries, next) = reader.read((&topic, partition, feed.state), from, end)?;
            told(next - from, total);
            from = next;
            for entry in entries {
                match entry {
                    Entry::Switch(switch) => drop(switches.insert(switch.offset, switch)),
                    Entry::Marker(marker) => {
                        rows.end.0.insert(partition, marker.positions.next(partition));
                        log = Some(marker.log);
                    }
                    Entry::Record { .. } | Entry::Slot(_) => {}
                }
            }
        }
        rows.switches.extend(switches.into_values());
    }
    Ok(log.map(|log| (log, rows)))
}

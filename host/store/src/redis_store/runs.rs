//! Changes, cut into what the script writes at once.

use trifold_model::{EntityKey, Slot};

use crate::changelog::Entry;
use crate::record::{Record, SlotChange};
use crate::redis_store::layout::{BUCKETS, bucket};

/// Changes of one entity that follow each other and go into one hash, all of which set something or all of which remove
/// it; or a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run<'a> {
    /// The record of an entity of a row view.
    Record(&'a EntityKey, &'a Record),
    /// Slots of an entity of a window view, at least one.
    Slots(&'a EntityKey, Kind, &'a [Entry]),
}

/// What the slots of a run have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Whether they are the entity's events.
    pub(crate) is_events: bool,
    /// Whether they are removed.
    pub(crate) is_removal: bool,
}

impl Kind {
    fn of(change: &SlotChange) -> Self {
        Kind { is_events: matches!(change.slot, Slot::Events { .. }), is_removal: change.bytes.is_none() }
    }
}

/// The runs of each bucket, in the order of the changes.
pub(crate) fn runs(entries: &[Entry]) -> Vec<Vec<Run<'_>>> {
    let mut runs = vec![Vec::new(); BUCKETS];
    let mut rest = entries;
    while let Some(first) = rest.first() {
        let (run, length) = match first {
            // Lookups have no use for who computed which rows.
            Entry::Marker(_) | Entry::Switch(_) => (None, 1),
            Entry::Record { key, record } => (Some((key, Run::Record(key, record))), 1),
            Entry::Slot(change) => {
                let kind = Kind::of(change);
                let goes_on = |entry: &&Entry| match entry {
                    Entry::Slot(next) => next.key == change.key && Kind::of(next) == kind,
                    Entry::Marker(_) | Entry::Record { .. } | Entry::Switch(_) => false,
                };
                let length = rest.iter().take_while(goes_on).count();
                (Some((&change.key, Run::Slots(&change.key, kind, &rest[..length]))), length)
            }
        };
        if let Some((key, run)) = run {
            runs[bucket(key)].push(run);
        }
        rest = &rest[length..];
    }
    runs
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use trifold_model::EventTime;

    use super::*;

    #[test]
    fn a_run_ends_where_the_entity_the_hash_or_the_kind_changes() {
        let change = |key: &str, slot, is_there: bool| {
            let bytes = is_there.then(|| Bytes::from_static(b"state"));
            Entry::Slot(SlotChange { key: EntityKey(key.as_bytes().into()), slot, bytes })
        };
        let (tile, events) = (Slot::Tile { level: 0, start: EventTime(0) }, Slot::Events { start: EventTime(0) });
        let entries = [
            change("a", Slot::Head, true),
            change("a", tile, true),
            change("a", tile, false),
            change("a", tile, true),
            change("a", events, true),
            change("b", events, true),
            change("a", Slot::Head, true),
        ];
        let runs = runs(&entries);
        let of = |key: &str| {
            let runs = &runs[bucket(&EntityKey(key.as_bytes().into()))];
            let lengths = runs.iter().filter_map(|run| match run {
                Run::Slots(of, _, slots) if *of.0 == *key.as_bytes() => Some(slots.len()),
                _ => None,
            });
            lengths.collect::<Vec<_>>()
        };
        assert_eq!(of("a"), [2, 1, 1, 1, 1]);
        assert_eq!(of("b"), [1]);
    }
}

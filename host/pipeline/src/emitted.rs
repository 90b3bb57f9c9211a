//! Which version computed which of the rows that a stream emitted.
//!
//! A worker notes for each state from which event on it computed rows under which release, and whether the release's canary
//! computed those of its entities. The registry says which versions those are. An event may have rows in several states:
//! one that is filled anew begins with the first event, and one that comes back goes on where it was left. The row that
//! counts is the one that was emitted first, which is that of the lowest release.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use trifold_model::{ComponentDigest, EntityKey, EventNumber, Positions};
use trifold_registry::Release;
use trifold_store::{RowSwitch, RowsUnder};

use crate::candidate::{Entities, Role};

/// What a store says of one state of a view.
#[derive(Debug, Clone)]
pub struct StateRows {
    /// Up to where the state has the events of each partition.
    pub end: Positions,
    /// Who computed their rows, by partition and in the order of offsets.
    pub switches: Vec<RowSwitch>,
}

/// The rows that one version computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmittedBy {
    /// The version.
    pub version: u64,
    /// Its component.
    pub digest: ComponentDigest,
    /// The releases under which it did.
    pub releases: BTreeSet<u64>,
    /// Of which events.
    pub rows: Emitted,
}

/// The events whose rows one version computed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Emitted(BTreeMap<u32, Vec<Span>>);

/// Consecutive events of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Their offsets.
    pub offsets: Range<u64>,
    /// Whose of them.
    pub entities: Entities,
}

impl Emitted {
    /// Whether the version computed the row of an event.
    pub fn has(&self, number: EventNumber, key: &EntityKey) -> bool {
        let (spans, offset) = (self.0.get(&number.partition()).map_or(&[][..], Vec::as_slice), number.offset());
        let next = spans.partition_point(|span| span.offsets.end <= offset);
        spans.get(next).is_some_and(|span| span.offsets.contains(&offset) && span.entities.has(key))
    }

    /// Behind the last of the events.
    pub fn end(&self) -> Positions {
        let ends = self.0.iter().filter_map(|(partition, spans)| Some((*partition, spans.last()?.offsets.end)));
        Positions(ends.collect())
    }

    /// The events of each partition, ascending.
    pub fn spans(&self) -> &BTreeMap<u32, Vec<Span>> {
        &self.0
    }
}

/// Why it is not known which version computed rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// Nothing was noted for some events.
    #[error(
        "partition {partition}: under which release the rows of offsets {} to {} were computed is not recorded: workers of \
         earlier versions of trifold did not, nor does a load of a version by its number; compute them with one version, as in \
         `trifold backfill VIEW@N --cut position`, or `trifold clear` the state, and `trifold stream` will replay the log \
         under the release in force", offsets.start, offsets.end - 1
    )]
    Unrecorded {
        /// The partition.
        partition: u32,
        /// The first events of which that is so.
        offsets: Range<u64>,
    },
    /// The releases are not those that the worker followed.
    #[error(
        "partition {partition}: the rows from offset {offset} on were computed under release {release}{}, which the registry \
         does not know: name the registry that the worker follows",
        if *canary { " and its canary" } else { "" }
    )]
    OtherRegistry {
        /// The partition.
        partition: u32,
        /// The first event.
        offset: u64,
        /// The release.
        release: u64,
        /// Whether it is to have a canary.
        canary: bool,
    },
}

/// Finds out which version computed which rows, from all states of a view that a store has and all releases of the view: the
/// versions, ascending.
pub fn follow(states: &[StateRows], releases: &[Release]) -> Result<Vec<EmittedBy>, FollowError> {
    let releases: BTreeMap<_, _> = releases.iter().map(|release| (release.seq, release)).collect();
    let partitions: BTreeSet<_> = states.iter().flat_map(|state| state.end.0.keys().copied()).collect();
    let mut versions: BTreeMap<u64, EmittedBy> = BTreeMap::new();
    for partition in partitions {
        for (offsets, under) in first_emitted(partition, states)? {
            let release = releases.get(&under.release).copied();
            let shares = release.and_then(|release| shares(release, under.canary));
            let shares = shares.ok_or(FollowError::OtherRegistry {
                partition,
                offset: offsets.start,
                release: under.release,
                canary: under.canary,
            })?;
            for (version, digest, entities) in shares {
                let (releases, rows) = Default::default();
                let by = versions.entry(version).or_insert(EmittedBy { version, digest, releases, rows });
                by.releases.insert(under.release);
                by.rows.0.entry(partition).or_default().push(Span { offsets: offsets.clone(), entities });
            }
        }
    }
    Ok(versions.into_values().collect())
}

/// Under which release each event of a partition had its first row, ascending and without gaps.
fn first_emitted(partition: u32, states: &[StateRows]) -> Result<Vec<(Range<u64>, RowsUnder)>, FollowError> {
    let stretches: Vec<_> = states.iter().flat_map(|state| stretches(partition, state)).collect();
    let end = states.iter().map(|state| state.end.next(partition)).max().unwrap_or(0);
    let mut bounds: BTreeSet<_> = stretches.iter().flat_map(|(offsets, _)| [offsets.start, offsets.end]).collect();
    bounds.extend([0, end]);
    let bounds: Vec<_> = bounds.into_iter().collect();
    let mut emitted: Vec<(Range<u64>, RowsUnder)> = Vec::new();
    for bound in bounds.windows(2) {
        let offsets = bound[0]..bound[1];
        let there = stretches.iter().filter(|(stretch, _)| stretch.contains(&offsets.start));
        let first = there.map(|(_, under)| *under).min_by_key(|under| under.release);
        let under = first.ok_or_else(|| FollowError::Unrecorded { partition, offsets: offsets.clone() })?;
        match emitted.last_mut() {
            Some((before, same)) if *same == under => before.end = offsets.end,
            _ => emitted.push((offsets, under)),
        }
    }
    Ok(emitted)
}

/// The events of a partition that had rows from one state, and under which release.
fn stretches(partition: u32, state: &StateRows) -> Vec<(Range<u64>, RowsUnder)> {
    let own: Vec<_> = state.switches.iter().filter(|switch| switch.partition == partition).collect();
    let ends = own.iter().skip(1).map(|next| next.offset).chain([state.end.next(partition)]);
    let stretches = own.iter().zip(ends).filter_map(|(switch, end)| Some((switch.offset..end, switch.to?)));
    stretches.filter(|(offsets, _)| !offsets.is_empty()).collect()
}

/// Who computes whose rows under a release; `None` if it has no canary to do so.
fn shares(release: &Release, with_canary: bool) -> Option<Vec<(u64, ComponentDigest, Entities)>> {
    if !with_canary {
        return Some(vec![(release.version, release.digest, Entities::All)]);
    }
    let candidate = release.candidate.as_ref()?;
    let Role::Canary(canary) = Role::of(release, &candidate.trial) else { return None };
    Some(vec![
        (release.version, release.digest, Entities::Left(canary)),
        (candidate.version, candidate.digest, Entities::Taken(canary)),
    ])
}

#[cfg(test)]
mod tests {
    use trifold_model::EventTime;
    use trifold_registry::{Act, Candidate, Steps, Trial};

    use super::*;

    /// Release `seq` of a version, with a canary of version 9 if wanted.
    fn release(seq: u64, version: u64, share: Option<&str>) -> Release {
        let digest = |version| ComponentDigest([version as u8; 32]);
        let candidate = share.map(|share| {
            let trial = Trial::Canary { share: share.parse().unwrap(), steps: Steps::default() };
            Candidate { version: 9, digest: digest(9), trial }
        });
        Release {
            view: "echo".parse().unwrap(),
            seq,
            version,
            digest: digest(version),
            candidate,
            rollout: seq,
            takes_back: None,
            released: Act::from(EventTime(0)),
        }
    }

    fn state(end: u64, switches: &[(u64, Option<(u64, bool)>)]) -> StateRows {
        let under = |(release, canary)| RowsUnder { release, canary };
        let switch = |&(offset, to): &(u64, Option<_>)| RowSwitch { partition: 0, offset, to: to.map(under) };
        StateRows { end: Positions([(0, end)].into()), switches: switches.iter().map(switch).collect() }
    }

    /// The version that computed the row of each offset of an entity, if just one did.
    fn versions(states: &[StateRows], releases: &[Release], end: u64) -> Vec<u64> {
        let followed = follow(states, releases).unwrap();
        let of = |offset| {
            let key = EntityKey(b"JFK".as_slice().into());
            let mut by = followed.iter().filter(|by| by.rows.has(EventNumber::new(0, offset), &key));
            let version = by.next().unwrap().version;
            assert!(by.next().is_none());
            version
        };
        let last = followed.iter().map(|by| by.rows.end().next(0)).max();
        assert_eq!(last, Some(end));
        (0..end).map(of).collect()
    }

    #[test]
    fn the_row_that_was_emitted_first_counts() {
        let releases = [release(1, 1, None), release(2, 2, None), release(3, 1, None)];
        // Its own state is filled anew under release 2, and the state of before goes on under release 3.
        let states =
            [state(9, &[(0, Some((1, false))), (3, Some((3, false)))]), state(6, &[(0, Some((2, false)))])];
        assert_eq!(versions(&states, &releases, 9), [1, 1, 1, 2, 2, 2, 1, 1, 1]);
    }

    #[test]
    fn a_state_that_emits_nothing_meanwhile_leaves_its_events_to_the_other() {
        let releases = [release(1, 1, None), release(2, 2, None), release(3, 1, None)];
        let states = [
            state(8, &[(0, Some((1, false))), (2, None), (5, Some((3, false)))]),
            state(5, &[(2, Some((2, false)))]),
        ];
        assert_eq!(versions(&states, &releases, 8), [1, 1, 2, 2, 2, 1, 1, 1]);
    }

    #[test]
    fn a_canary_computes_from_where_it_was_noted() {
        let releases = [release(1, 1, Some("100%"))];
        let states = [state(4, &[(0, Some((1, false))), (3, Some((1, true)))])];
        assert_eq!(versions(&states, &releases, 4), [1, 1, 1, 9]);
    }

    #[test]
    fn what_was_not_noted_is_refused() {
        let releases = [release(1, 1, None)];
        let refused = |states: &[StateRows]| follow(states, &releases).unwrap_err();
        let gap = |offsets| FollowError::Unrecorded { partition: 0, offsets };
        assert_eq!(refused(&[state(9, &[])]), gap(0..9));
        assert_eq!(refused(&[state(9, &[(4, Some((1, false)))])]), gap(0..4));
        assert_eq!(refused(&[state(9, &[(0, Some((1, false))), (4, None)])]), gap(4..9));
        for (number, canary) in [(2, false), (1, true)] {
            let error = refused(&[state(9, &[(0, Some((number, canary)))])]);
            assert_eq!(error, FollowError::OtherRegistry { partition: 0, offset: 0, release: number, canary });
        }
        assert_eq!(follow(&[], &releases), Ok(Vec::new()));
    }
}

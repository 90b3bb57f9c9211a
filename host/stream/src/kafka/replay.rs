//! Feeds dead letters back: the records that they tell of, as they stand in the topic of events, are appended to it once
//! more.
//!
//! ```text
//! dead letters of a view ──> which of them? ──> their records ──> one transaction: the records, a note for each
//! ```
//!
//! The notes are in a topic of the group's own, under the position of the record that was fed. So a record is fed once,
//! whatever views have a letter of it, however often letters are fed back, and wherever that was interrupted: records and
//! notes are written together. If it fails again, its letters name its new position, and may be fed once more.
//!
//! Reading order: `letters`, `originals`, `feeder`, then this.

mod feeder;
mod letters;
mod originals;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use trifold_eventlog::AsideReason;
use trifold_model::ViewName;

use self::feeder::Feeder;
use self::letters::{Letter, Letters, notes};
use self::originals::{Original, Originals};
use crate::kafka::deployment;
use crate::kafka::error::ClusterError;
use crate::kafka::outbox::purpose;
use crate::kafka::settings::ClusterSettings;
use crate::kafka::topics::{Purpose, Topics};
use crate::sink::AsideKind;

/// The most letters of one transaction, and the most bytes of their records; one record may have more.
const LETTERS_MAX: usize = 50;
const BYTES_MAX: usize = 8 << 20;

/// What is fed back.
#[derive(Debug, Clone)]
pub struct ReplaySettings {
    /// The cluster and the group.
    pub cluster: ClusterSettings,
    /// The views whose letters are fed; of all that have any if none is named.
    pub views: Vec<ViewName>,
    /// The reasons of the letters; any if none is named.
    pub reasons: BTreeSet<String>,
    /// When letters were written, in microseconds since 1970.
    pub written: Range<i64>,
    /// Whether all of it is only looked at.
    pub dry_run: bool,
}

/// What became of letters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplayCounts {
    /// Their records were fed, or would be.
    pub fed: u64,
    /// Their records were fed before, for this view or another.
    pub fed_before: u64,
    /// Their records would come to the same again, whatever changed.
    pub hopeless: u64,
    /// Their records are not in the topic of events any more.
    pub gone: u64,
}

/// What came of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayReport {
    /// The topic of events.
    pub topic: String,
    /// The counts of each view and reason.
    pub counts: BTreeMap<(ViewName, String), ReplayCounts>,
    /// Whether it was stopped before the end.
    pub interrupted: bool,
}

/// A letter whose record is not there any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone<'a> {
    /// The view that has the letter.
    pub view: &'a ViewName,
    /// Why it was written.
    pub reason: &'a str,
    /// The partition of the record.
    pub partition: u32,
    /// Its offset.
    pub offset: u64,
}

/// The reasons that a dead letter may have.
pub fn reasons() -> Vec<&'static str> {
    let kinds = AsideReason::ALL.map(AsideKind::Excluded).into_iter();
    let kinds = kinds.chain([AsideKind::RowError, AsideKind::Unavailable]);
    kinds.filter(|kind| purpose(*kind) == Purpose::DeadLetters).map(AsideKind::name).collect()
}

/// Whether a record would come to the same again: another event that differs from the first, or under the same wrong key.
fn is_hopeless(reason: &str) -> bool {
    [AsideReason::Conflict, AsideReason::OtherKey].iter().any(|hopeless| hopeless.name() == reason)
}

/// Feeds letters back until there are none left of those that were there at the beginning, or until `stop` says so.
pub fn replay(
    settings: &ReplaySettings,
    gone: &mut dyn FnMut(Gone<'_>),
    stop: &dyn Fn() -> bool,
) -> Result<ReplayReport, ClusterError> {
    let cluster = &settings.cluster;
    cluster.check()?;
    let topics = Topics::new(cluster)?;
    let topic = deployment::topic_of_events(cluster, &topics)?;
    let views = views(settings, &topics)?;
    // Whatever a replay before left open ends here, so that its notes are there or never will be.
    let feeder = if settings.dry_run { None } else { Some(Feeder::new(cluster, &topics, &topic)?) };
    let mut replay = Replay {
        settings,
        originals: Originals::new(cluster, &topic)?,
        fed: notes(cluster, &topics)?,
        feeder,
        report: ReplayReport { topic, counts: BTreeMap::new(), interrupted: false },
        gone,
    };
    for view in views {
        let letters = topics.names().dead_letters(&view);
        let partitions = topics.partitions(&letters)?.unwrap_or_default();
        for partition in 0..partitions {
            let mut letters = Letters::new(cluster, (&letters, partition), settings.written.clone())?;
            while let Some(some) = letters.read(LETTERS_MAX)? {
                if stop() {
                    replay.report.interrupted = true;
                    return Ok(replay.report);
                }
                replay.feed(&view, some)?;
            }
        }
    }
    Ok(replay.report)
}

/// The views whose letters are fed.
fn views(settings: &ReplaySettings, topics: &Topics) -> Result<Vec<ViewName>, ClusterError> {
    let known = topics.views_with_letters()?;
    let missing = settings.views.iter().find(|view| !known.contains(view));
    if let Some(view) = missing {
        return Err(ClusterError::NoTopicOfGroup { topic: topics.names().dead_letters(view) });
    }
    Ok(if settings.views.is_empty() { known } else { settings.views.clone() })
}

struct Replay<'a> {
    settings: &'a ReplaySettings,
    originals: Originals,
    /// Nothing is written without one.
    feeder: Option<Feeder>,
    /// The positions of records that were fed.
    fed: BTreeSet<(u32, u64)>,
    report: ReplayReport,
    gone: &'a mut dyn FnMut(Gone<'_>),
}

impl Replay<'_> {
    /// Feeds some letters of a view back, in as few transactions as hold their records.
    fn feed(&mut self, view: &ViewName, letters: Vec<Letter>) -> Result<(), ClusterError> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        let reasons = &self.settings.reasons;
        for letter in letters.into_iter().filter(|letter| reasons.is_empty() || reasons.contains(&letter.reason)) {
            let Letter { partition, offset, reason } = &letter;
            let place = (*partition, *offset);
            let counts = self.report.counts.entry((view.clone(), reason.clone())).or_default();
            if is_hopeless(reason) {
                counts.hopeless += 1;
            } else if self.fed.contains(&place) {
                counts.fed_before += 1;
            } else if let Some(original) = self.originals.fetch(*partition, *offset)? {
                counts.fed += 1;
                self.fed.insert(place);
                bytes += original.len();
                records.push((letter, original));
            } else {
                counts.gone += 1;
                (self.gone)(Gone { view, reason, partition: *partition, offset: *offset });
            }
            if bytes >= BYTES_MAX {
                self.write(view, &std::mem::take(&mut records))?;
                bytes = 0;
            }
        }
        self.write(view, &records)
    }

    fn write(&mut self, view: &ViewName, records: &[(Letter, Original)]) -> Result<(), ClusterError> {
        match &self.feeder {
            Some(feeder) if !records.is_empty() => feeder.feed(view, records),
            _ => Ok(()),
        }
    }
}

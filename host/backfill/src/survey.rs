//! Looking at the events' times before they are read: whether they need to be sorted at all, and where the
//! arrival clock stands at the start of each unit.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use trifold_eventlog::{ArrivalClock, decode_columns};
use trifold_model::{Cut, FieldType, ViewKind};
use trifold_pipeline::Ask;

use crate::error::BackfillError;
use crate::job::{Job, Phase, Watch};
use crate::meter::Meter;
use crate::recording::{Recording, Unit};
use crate::threads::{first_error, join, spawn};

/// Rows of the narrow batches of a survey.
const BATCH_ROWS: usize = 65_536;
/// Events of one moment are held in memory together by the streamed plan. Where more than this many share a
/// time, they are sorted, which may spill.
const RUN_ROWS_MAX: u64 = 100_000;

/// What a survey found: the parts that the streamed plan may take, or `None` where events must be sorted.
pub(crate) type Parts = Option<Vec<Range<usize>>>;

/// Whether the answers at events need nothing but the events of the same time: each is asked at a time that no
/// earlier-read event can be after, so that in a log in the order of event time the entity's latest event is one
/// of those at that very time. Events at exactly T must count for that, and arrivals must not. Windows reach further
/// back.
fn is_local(job: &Job) -> bool {
    let at_own =
        matches!(job.ask, Ask::OwnPosition | Ask::Emitted(_) | Ask::EveryEvent(Cut::All | Cut::Position(_)));
    at_own && !job.before && job.version.view().kind == ViewKind::Row
}

/// Surveys a recording and sets its units' arrival clocks. The parts are ranges of units, at most `parts_max` of
/// them and of about equal numbers of rows.
pub(crate) fn survey(
    job: &Job,
    recording: &mut Recording,
    watch: &Watch,
    threads: usize,
    parts_max: u32,
) -> Result<Parts, BackfillError> {
    let clocks_needed = job.source.arrival.is_some() && recording.units.len() > 1;
    if !is_local(job) && !clocks_needed {
        return Ok(None);
    }
    let seen = look(job, recording, watch, threads)?;
    let (mut clock, mut partition) = (ArrivalClock::default(), None);
    for (unit, seen) in recording.units.iter_mut().zip(&seen) {
        if partition.replace(unit.scan.partition) != Some(unit.scan.partition) {
            clock = ArrivalClock::default();
        }
        unit.clock = clock;
        if let Some(latest) = seen.clock.state() {
            clock.advance(latest);
        }
    }
    if !is_local(job) {
        return Ok(None);
    }
    let times = seen.iter().try_fold(Times::default(), |times, seen| times.then(seen.times));
    let streams = times.is_some_and(|times| times.longest <= RUN_ROWS_MAX);
    Ok(streams.then(|| parts(recording, &seen, parts_max)))
}

/// What was seen of one unit.
#[derive(Clone, Copy)]
struct Seen {
    clock: ArrivalClock,
    /// `None` where a time decreases.
    times: Option<Times>,
}

fn look(job: &Job, recording: &Recording, watch: &Watch, threads: usize) -> Result<Vec<Seen>, BackfillError> {
    let meter = Meter::new(watch, Phase::Survey, recording.rows);
    let columns: BTreeSet<String> =
        [&job.source.event_time].into_iter().chain(&job.source.arrival).cloned().collect();
    let next = AtomicUsize::new(0);
    let (sender, seen) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let mut workers = Vec::new();
        for _ in 0..threads.max(1) {
            let (sender, next, meter, columns) = (sender.clone(), &next, &meter, &columns);
            workers.push(spawn(scope, move || {
                while let Some((index, unit)) = claim(next, &recording.units) {
                    // The receiver outlives the threads.
                    let _ = sender.send((index, look_at(job, unit, columns, meter)?));
                }
                Ok(())
            })?);
        }
        first_error(workers.into_iter().map(join))
    })?;
    drop(sender);
    let mut seen: Vec<_> = seen.into_iter().collect();
    seen.sort_by_key(|(index, _)| *index);
    Ok(seen.into_iter().map(|(_, seen)| seen).collect())
}

fn claim<'a>(next: &AtomicUsize, units: &'a [Unit]) -> Option<(usize, &'a Unit)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    units.get(index).map(|unit| (index, unit))
}

fn look_at(job: &Job, unit: &Unit, columns: &BTreeSet<String>, meter: &Meter<'_>) -> Result<Seen, BackfillError> {
    let mut seen = Seen { clock: ArrivalClock::default(), times: Some(Times::default()) };
    for raw in unit.raw(columns, BATCH_ROWS)? {
        let raw = raw?;
        seen.clock.observe(&raw, &job.source)?;
        // A row without a time is no event.
        for column in decode_columns(&raw, &[(&job.source.event_time, FieldType::Timestamp)])? {
            let times = column.array.as_primitive::<TimestampMicrosecondType>();
            let times = (0..times.len()).filter(|&row| times.is_valid(row)).map(|row| times.value(row));
            seen.times = times.fold(seen.times, |seen, time| seen?.then(Some(Times::one(time))));
        }
        meter.add(raw.rows())?;
    }
    Ok(seen)
}

/// Times that never decrease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Times {
    ends: Option<(i64, i64)>,
    /// How many stand at the first time, and at the last.
    head: u64,
    tail: u64,
    /// The most that stand at one time.
    longest: u64,
}

impl Times {
    fn one(time: i64) -> Self {
        Times { ends: Some((time, time)), head: 1, tail: 1, longest: 1 }
    }

    /// These times and then others, `None` where they decrease.
    fn then(self, next: Option<Times>) -> Option<Times> {
        let next = next?;
        let (Some((first, last)), Some((next_first, next_last))) = (self.ends, next.ends) else {
            return Some(if self.ends.is_some() { self } else { next });
        };
        if next_first < last {
            return None;
        }
        let joined = if next_first == last { self.tail + next.head } else { 0 };
        Some(Times {
            ends: Some((first, next_last)),
            head: if first == next_first { self.head + next.head } else { self.head },
            tail: if last == next_last { self.tail + next.tail } else { next.tail },
            longest: self.longest.max(next.longest).max(joined),
        })
    }
}

/// Ranges of units of about equal rows, cut where the time changes.
fn parts(recording: &Recording, seen: &[Seen], parts_max: u32) -> Vec<Range<usize>> {
    let ends = |unit: usize| seen[unit].times.and_then(|times| times.ends);
    let mut parts = Vec::new();
    let (mut first, mut rows) = (0, 0);
    let mut last_time = None;
    for unit in 0..recording.units.len() {
        let wanted = recording.rows * (parts.len() as u64 + 1) / u64::from(parts_max.max(1));
        let changes = ends(unit).is_some_and(|(time, _)| last_time.is_some_and(|last| last < time));
        if unit > first && rows >= wanted && changes {
            parts.push(first..unit);
            first = unit;
        }
        rows += recording.units[unit].rows;
        last_time = ends(unit).map(|(_, last)| last).or(last_time);
    }
    parts.push(first..recording.units.len());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(times: &[i64]) -> Option<Times> {
        times.iter().try_fold(Times::default(), |seen, &time| seen.then(Some(Times::one(time))))
    }

    #[test]
    fn the_longest_run_counts_across_units() {
        let cases: [(&[&[i64]], Option<u64>); 6] = [
            (&[&[], &[]], Some(0)),
            (&[&[1, 2, 2], &[2, 2, 3]], Some(4)),
            (&[&[5], &[], &[5, 5], &[5], &[6]], Some(4)),
            (&[&[1, 1, 1], &[2], &[2]], Some(3)),
            (&[&[1, 2], &[1]], None),
            (&[&[2, 1], &[3]], None),
        ];
        for (units, longest) in cases {
            let joined = units.iter().try_fold(Times::default(), |seen, unit| seen.then(times(unit)));
            assert_eq!(joined.map(|times| times.longest), longest, "{units:?}");
            let all: Vec<_> = units.concat();
            assert_eq!(joined, times(&all), "{units:?}: units or not");
        }
    }
}

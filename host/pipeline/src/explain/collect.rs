//! Taking the events of a log in, of which those of one entity are kept.

use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use trifold_eventlog::{Events, row_json};
use trifold_model::canonical::ForeignType;
use trifold_model::{CanonicalRows, Cut, EntityKey, EventTime};
use trifold_windows::Layout;

use crate::admission::select;
use crate::explain::explanation::{ExplainedEvent, UndecodedEvent, Verdict};
use crate::explain::nearest::Nearest;
use crate::point_in_time::Columns;
use crate::timeline::{Ask, Timeline, TimelineError};
use crate::version::LiveVersion;

/// How much an explanation may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExplainBounds {
    /// The most events to list.
    pub listed_max: usize,
    /// The most events of the entity to hold: those within reach of the value are all in memory together.
    pub held_max: usize,
}

impl Default for ExplainBounds {
    /// Fifty listed events, what a person reads; a million held, some hundred megabytes of narrow ones.
    fn default() -> Self {
        ExplainBounds { listed_max: 50, held_max: 1_000_000 }
    }
}

/// Why a value could not be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The value could not be computed.
    #[error(transparent)]
    Timeline(#[from] TimelineError),
    /// More events are within reach than may be held.
    #[error(
        "view {view}: more than {limit} events of this entity may count at that time, and explaining holds all of them \
         in memory: `trifold backfill` with a spine of this row computes the value, and sorts on disk"
    )]
    TooMany {
        /// The view's name.
        view: String,
        /// How many may be held.
        limit: usize,
    },
}

/// Collects the events of one entity and explains its value at one time.
pub struct Explain {
    pub(super) version: LiveVersion,
    pub(super) timeline: Timeline,
    pub(super) key: EntityKey,
    pub(super) at: EventTime,
    pub(super) before: bool,
    bounds: ExplainBounds,
    layout: Option<Layout>,
    pub(super) held: Vec<Held>,
    held_count: usize,
    pub(super) nearest: Nearest,
}

/// Events that are known at the time asked for and within reach.
pub(super) struct Held {
    /// As the timeline has them.
    pub(super) rows: RecordBatch,
    /// The same, row for row.
    pub(super) events: Events,
}

impl Explain {
    /// Nothing taken in yet. With `before`, events at exactly `at` do not count.
    pub fn new(
        version: &LiveVersion,
        key: EntityKey,
        at: EventTime,
        cut: Cut,
        before: bool,
        bounds: ExplainBounds,
    ) -> Self {
        let view = version.view();
        let layout = view.windows().map(|spec| Layout::new(spec, view.lateness_limit()));
        let first = layout.as_ref().map_or(EventTime(i64::MIN), |layout| layout.first_time(at));
        Explain {
            version: version.clone(),
            timeline: Timeline::new(version, Ask::Spine(cut), before, &[]),
            key,
            at,
            before,
            bounds,
            layout,
            held: Vec::new(),
            held_count: 0,
            nearest: Nearest::new(first, at, bounds.listed_max),
        }
    }

    /// Takes an event of the entity in that cannot be decoded.
    pub fn undecoded(&mut self, event: UndecodedEvent) {
        let UndecodedEvent { partition, offset, time, id, row, reason, detail } = event;
        let explained =
            |verdict| ExplainedEvent { partition, offset, time, id, arrival: None, inputs: row, verdict };
        self.nearest.note(offset, time, Verdict::Aside(reason, detail), explained);
    }

    /// Takes the next events of the log in; those of other entities are passed over, and so is what stands aside of them.
    pub fn push(&mut self, events: Events) -> Result<(), ExplainError> {
        let own = self.own(&events).map_err(TimelineError::from)?;
        if own.is_empty() {
            return Ok(());
        }
        let own = select(&Events { aside: Vec::new(), ..events }, &own).map_err(TimelineError::from)?;
        let (rows, aside) = self.timeline.events(own.clone())?;
        let mut verdicts = vec![Some(Verdict::BehindCut); own.offsets.len()];
        for aside in aside {
            if let Ok(row) = own.offsets.binary_search(&aside.offset) {
                verdicts[row] = Some(Verdict::Aside(aside.reason, aside.detail));
            }
        }
        let known = self.timeline.known(&rows, self.at);
        let (mut kept, mut kept_rows) = (Vec::new(), Vec::new());
        for (place, (number, known)) in Columns::new(&rows).numbers.iter().zip(known).enumerate() {
            let Some(row) = own.row_of(*number) else { continue };
            verdicts[row] = self.excluded(own.times[row], known);
            if verdicts[row].is_none() {
                kept.push(row as u32);
                kept_rows.push(place as u32);
            }
        }
        for (row, verdict) in verdicts.into_iter().enumerate() {
            if let Some(verdict) = verdict {
                let event = |verdict| explained(&own, row, verdict);
                self.nearest.note(own.offsets[row], Some(own.times[row]), verdict, event);
            }
        }
        self.hold(&own, &kept, &rows, kept_rows)
    }

    /// The rows of the entity.
    fn own(&self, events: &Events) -> Result<Vec<u32>, ForeignType> {
        let columns = self.version.view().key_columns().iter().copied();
        let keys = CanonicalRows::of_columns(&events.inputs, columns)?;
        let mut scratch = Vec::new();
        let mut is_own = |row: &usize| {
            scratch.clear();
            keys.write_fields(*row, &mut scratch);
            *scratch == *self.key.0
        };
        Ok((0..events.times.len()).filter(|row| is_own(row)).map(|row| row as u32).collect())
    }

    /// Why an admitted event is out of reach of the value, if it is.
    fn excluded(&self, time: EventTime, is_known: bool) -> Option<Verdict> {
        if !is_known {
            let is_after = time.0.saturating_add(i64::from(self.before)) > self.at.0;
            return Some(if is_after { Verdict::AfterAsOf } else { Verdict::ArrivedAfterAsOf });
        }
        let is_covered = |layout: &Layout| layout.covering(time, self.at).next().is_some();
        self.layout.as_ref().is_some_and(|layout| !is_covered(layout)).then_some(Verdict::BeforeWindows)
    }

    fn hold(
        &mut self,
        own: &Events,
        kept: &[u32],
        rows: &RecordBatch,
        kept_rows: Vec<u32>,
    ) -> Result<(), ExplainError> {
        if kept.is_empty() {
            return Ok(());
        }
        let events = select(own, kept).map_err(TimelineError::from)?;
        let rows = take_record_batch(rows, &UInt32Array::from(kept_rows)).map_err(TimelineError::from)?;
        self.held_count += kept.len();
        self.held.push(Held { rows, events });
        if self.held_count > self.bounds.held_max && self.layout.is_none() {
            self.pass_over()?;
        }
        match self.held_count > self.bounds.held_max {
            true => Err(ExplainError::TooMany {
                view: self.version.view().name.to_string(),
                limit: self.bounds.held_max,
            }),
            false => Ok(()),
        }
    }

    /// Lets go of the events of a row view that come before another in canonical order: none of them can decide.
    fn pass_over(&mut self) -> Result<(), ExplainError> {
        let places = self.held.iter().flat_map(|held| (0..held.events.times.len()).map(move |row| (held, row)));
        let canonical =
            |(held, row): (&Held, usize)| (held.events.times[row], held.events.ids.value(row).to_owned());
        let Some((time, id)) = places.map(canonical).max() else { return Ok(()) };
        let mut left = Vec::new();
        for Held { rows, events } in std::mem::take(&mut self.held) {
            let is_latest = |row: usize| (events.times[row], events.ids.value(row)) == (time, &*id);
            let stays: Vec<bool> = (0..events.times.len()).map(is_latest).collect();
            for row in (0..stays.len()).filter(|&row| !stays[row]) {
                let event = |verdict| explained(&events, row, verdict);
                self.nearest.note(events.offsets[row], Some(events.times[row]), Verdict::Superseded, event);
            }
            let stay: Vec<u32> = (0..).zip(&stays).filter(|(_, stays)| **stays).map(|(row, _)| row).collect();
            if !stay.is_empty() {
                let events = select(&events, &stay).map_err(TimelineError::from)?;
                let rows = take_record_batch(&rows, &UInt32Array::from(stay)).map_err(TimelineError::from)?;
                left.push(Held { rows, events });
            }
        }
        self.held_count = left.iter().map(|held| held.events.times.len()).sum();
        self.held = left;
        Ok(())
    }
}

/// An event with what became of it.
pub(super) fn explained(events: &Events, row: usize, verdict: Verdict) -> ExplainedEvent {
    ExplainedEvent {
        partition: events.partition,
        offset: events.offsets[row],
        time: Some(events.times[row]),
        id: Some(events.ids.value(row).to_owned()),
        arrival: events.arrivals.as_ref().map(|arrivals| arrivals[row]),
        inputs: row_json(&events.inputs, row),
        verdict,
    }
}

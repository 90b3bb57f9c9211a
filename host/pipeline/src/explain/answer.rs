//! Answering with the events that were taken in, and noting what the answer is made of.

use std::collections::BTreeMap;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use trifold_eventlog::Events;
use trifold_model::{EventNumber, EventTime};
use trifold_sandbox::Budget;
use trifold_windows::{Layout, Seen, TileBehind};

use crate::explain::collect::{Explain, ExplainError, Held, explained};
use crate::explain::explanation::{Behind, ExplainedTile, ExplainedWindow, Explanation, Verdict};
use crate::point_in_time::{AnsweredFrom, Columns, PointInTime};
use crate::rows::Rows;
use crate::timeline::TimelineError;
use crate::windows::contents;

/// Rows that are answered at a time.
const BATCH_ROWS: usize = 8192;

impl Explain {
    /// Answers, and explains the answer.
    pub fn finish(self, budget: &mut Budget) -> Result<Explanation, ExplainError> {
        let mut answers = PointInTime::new(self.timeline.clone(), self.version.clone());
        let rows = self.sorted()?;
        let mut repeated = BTreeMap::new();
        for first in (0..rows.num_rows()).step_by(BATCH_ROWS) {
            answers.push(rows.slice(first, BATCH_ROWS.min(rows.num_rows() - first)), budget)?;
            repeated.extend(answers.repeated().iter().copied());
        }
        let question = self.timeline.questions(std::slice::from_ref(&self.key), &[self.at], 0, &[])?;
        let answered = answers.push(question, budget)?;
        match answers.behind(self.at) {
            AnsweredFrom::Latest(number) => self.latest(answered.rows, number),
            AnsweredFrom::Windows(layout, tiles) => Ok(self.windows(answered.rows, &layout, tiles, &repeated)),
        }
    }

    /// The rows of all events that are held, in the order in which they are walked.
    fn sorted(&self) -> Result<RecordBatch, TimelineError> {
        let rows = concat_batches(self.timeline.schema(), self.held.iter().map(|held| &held.rows))?;
        let columns = Columns::new(&rows);
        let mut order: Vec<u32> = (0..rows.num_rows() as u32).collect();
        // All rows are events of one entity, which leaves two of the columns to sort by.
        order.sort_by_key(|&row| (columns.moments[row as usize], columns.numbers[row as usize]));
        Ok(take_record_batch(&rows, &UInt32Array::from(order))?)
    }

    fn latest(mut self, rows: Rows, decides: Option<u64>) -> Result<Explanation, ExplainError> {
        let held = std::mem::take(&mut self.held);
        let found = decides.and_then(|number| {
            let place = |held: &Held| held.events.row_of(number);
            held.iter().find_map(|held| Some((&held.events, place(held)?)))
        });
        let Some((from, latest)) = found else {
            let (events, counts) = self.nearest.finish();
            return Ok(Explanation { rows, behind: Behind::Latest(None), events, counts });
        };
        let decider = Decider::new(from, latest)?;
        for Held { events, .. } in &held {
            for row in 0..events.times.len() {
                let verdict = decider.verdict(events, row)?;
                let event = |verdict| explained(events, row, verdict);
                self.nearest.note(events.offsets[row], Some(events.times[row]), verdict, event);
            }
        }
        let behind = Behind::Latest(Some(explained(from, latest, Verdict::Decides)));
        let (events, counts) = self.nearest.finish();
        Ok(Explanation { rows, behind, events, counts })
    }

    fn windows(
        mut self,
        rows: Rows,
        layout: &Layout,
        tiles: Vec<Vec<TileBehind>>,
        repeated: &BTreeMap<u64, Seen>,
    ) -> Explanation {
        let held = std::mem::take(&mut self.held);
        let firsts = firsts(&held, repeated);
        let mut folded: BTreeMap<(usize, EventTime), u64> = BTreeMap::new();
        for Held { events, .. } in &held {
            for (row, (&offset, &time)) in events.offsets.iter().zip(&events.times).enumerate() {
                let first = || firsts.get(&(time, events.ids.value(row))).copied().unwrap_or(offset);
                let verdict = match repeated.get(&events.number(row)) {
                    Some(Seen::Duplicate) => Verdict::Duplicate { of: first() },
                    Some(Seen::Conflict) => Verdict::Conflict { with: first() },
                    Some(Seen::New) | None => {
                        let tiles: Vec<_> = layout.covering(time, self.at).collect();
                        tiles.iter().for_each(|&tile| *folded.entry(tile).or_default() += 1);
                        Verdict::Counts(tiles.into_iter().map(|(window, _)| window).collect())
                    }
                };
                let event = |verdict| explained(events, row, verdict);
                self.nearest.note(offset, Some(time), verdict, event);
            }
        }
        let windows = layout.windows.iter().zip(tiles).enumerate();
        let windows = windows.map(|(place, (&(_, window), tiles))| ExplainedWindow {
            window,
            start: window.first_tile(self.at),
            tiles: tiles
                .into_iter()
                .map(|tile| ExplainedTile {
                    start: tile.start,
                    end: tile.end,
                    is_partial: tile.end.0.saturating_sub(i64::from(!self.before)) > self.at.0,
                    events: folded.get(&(place, tile.start)).copied().unwrap_or_default(),
                    state: tile.state,
                })
                .collect(),
        });
        let behind = Behind::Windows(windows.collect());
        let (events, counts) = self.nearest.finish();
        Explanation { rows, behind, events, counts }
    }
}

/// The event that is the value of a row view.
struct Decider<'a> {
    number: u64,
    time: EventTime,
    id: &'a str,
    content: [u8; 16],
}

impl<'a> Decider<'a> {
    fn new(events: &'a Events, row: usize) -> Result<Self, TimelineError> {
        let content = content(events, row)?;
        Ok(Decider { number: events.number(row), time: events.times[row], id: events.ids.value(row), content })
    }

    fn verdict(&self, events: &Events, row: usize) -> Result<Verdict, TimelineError> {
        let of = EventNumber(self.number).offset();
        if events.number(row) == self.number {
            return Ok(Verdict::Decides);
        }
        if (events.times[row], events.ids.value(row)) != (self.time, self.id) {
            return Ok(Verdict::Superseded);
        }
        let is_same = content(events, row)? == self.content;
        Ok(if is_same { Verdict::Duplicate { of } } else { Verdict::Conflict { with: of } })
    }
}

fn content(events: &Events, row: usize) -> Result<[u8; 16], TimelineError> {
    Ok(contents(&events.inputs.slice(row, 1))?[0])
}

/// The offsets of the events of which others are copies, by time and id.
fn firsts<'a>(held: &'a [Held], repeated: &BTreeMap<u64, Seen>) -> BTreeMap<(EventTime, &'a str), u64> {
    if repeated.is_empty() {
        return BTreeMap::new();
    }
    let events = held.iter().flat_map(|held| (0..held.events.times.len()).map(move |row| (&held.events, row)));
    let first = events.filter(|(events, row)| !repeated.contains_key(&events.number(*row)));
    first.map(|(events, row)| ((events.times[row], events.ids.value(row)), events.offsets[row])).collect()
}

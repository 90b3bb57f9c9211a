//! Answering the questions of a sorted timeline, with the state of one entity in memory at a time: the latest event of a
//! row view's, the tiles of a window view's.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt8Type, UInt64Type};
use arrow_array::{Array, ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow_schema::ArrowError;
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use arrow_select::take::take_record_batch;
use trifold_model::EventTime;
use trifold_sandbox::Budget;
use trifold_windows::{Layout, Seen, TileBehind};

use crate::rows::Rows;
use crate::timeline::{BOTH, EVENT, LEAD, Timeline, TimelineError, is_question};
use crate::values::{Latest, values};
use crate::version::LiveVersion;
use crate::windows::WindowWalk;

/// Answers to questions, in the order of the sorted timeline.
pub struct Answered {
    /// The timeline's rows that asked, among them `key`, `number` (offset or spine row), `event_time`,
    /// `event_id` and the extra columns.
    pub questions: RecordBatch,
    /// The as-of time of each.
    pub as_of: Vec<EventTime>,
    /// The value of each.
    pub rows: Rows,
    /// How many of the questions' columns are extra ones; they stand last.
    pub(crate) extra_count: usize,
}

impl Answered {
    /// The entity of each question, as its key's bytes.
    pub fn keys(&self) -> &BinaryArray {
        self.questions.column(0).as_binary()
    }

    /// The columns that questions brought along.
    pub fn extra(&self) -> &[ArrayRef] {
        &self.questions.columns()[self.questions.num_columns() - self.extra_count..]
    }

    /// The number of the event that asked, or the row of the spine, of each question.
    pub fn numbers(&self) -> &UInt64Array {
        self.questions.column(2).as_primitive()
    }

    /// The time in microseconds of each event that asked; null for the questions of a spine.
    pub fn event_times(&self) -> &Int64Array {
        self.questions.column(4).as_primitive()
    }

    /// The id of each event that asked; null for the questions of a spine.
    pub fn event_ids(&self) -> &StringArray {
        self.questions.column(5).as_string()
    }
}

/// Follows a sorted timeline and answers its questions.
pub struct PointInTime {
    timeline: Timeline,
    version: LiveVersion,
    /// Events of the last (key, moment) that are asked at it; the next batch may bring more of them.
    unfinished: Option<RecordBatch>,
    state: State,
}

/// What a value was computed from.
pub(crate) enum AnsweredFrom {
    /// The offset of the entity's latest event.
    Latest(Option<u64>),
    /// For each window of the layout its tiles.
    Windows(Layout, Vec<Vec<TileBehind>>),
}

/// What is known of the entity that the last batch ended with.
enum State {
    Latest(RowWalk),
    Windows(WindowWalk),
}

/// Where the walk along a row view's timeline stands.
struct RowWalk {
    timeline: Timeline,
    version: LiveVersion,
    latest: Option<Carried>,
}

/// The latest event of the entity that the last batch ended with.
struct Carried {
    key: Box<[u8]>,
    winner: Winner,
    inputs: RecordBatch,
}

#[derive(Clone)]
struct Winner {
    time: i64,
    id: String,
    offset: u64,
    /// Row of the batch, or `CARRIED`.
    row: u32,
}

const CARRIED: u32 = u32::MAX;

impl PointInTime {
    /// Starts before the first row of a timeline.
    pub fn new(timeline: Timeline, version: LiveVersion) -> Self {
        let state = match version.view().windows() {
            Some(spec) => State::Windows(WindowWalk::new(Layout::new(spec, version.view().lateness_limit()))),
            None => State::Latest(RowWalk { timeline: timeline.clone(), version: version.clone(), latest: None }),
        };
        PointInTime { timeline, version, unfinished: None, state }
    }

    /// Takes the next rows in sorted order and answers the questions whose moment is complete.
    pub fn push(&mut self, rows: RecordBatch, budget: &mut Budget) -> Result<Answered, TimelineError> {
        let rows = match self.unfinished.take() {
            Some(unfinished) => concat_batches(&self.timeline.schema, [&unfinished, &rows])?,
            None => rows,
        };
        let complete = complete_rows(&rows);
        if complete < rows.num_rows() {
            self.unfinished = Some(rows.slice(complete, rows.num_rows() - complete));
        }
        self.answer(rows.slice(0, complete), budget)
    }

    /// Answers what is left.
    pub fn finish(mut self, budget: &mut Budget) -> Result<Answered, TimelineError> {
        let rest = self.unfinished.take().unwrap_or_else(|| RecordBatch::new_empty(self.timeline.schema.clone()));
        self.answer(rest, budget)
    }

    /// What the last question was answered from, if no row came after it.
    pub(crate) fn behind(&self, at: EventTime) -> AnsweredFrom {
        match &self.state {
            State::Latest(walk) => AnsweredFrom::Latest(walk.latest.as_ref().map(|latest| latest.winner.offset)),
            State::Windows(walk) => AnsweredFrom::Windows(walk.layout().clone(), walk.tiles_behind(at)),
        }
    }

    /// The events of the last rows that the tiles of a window view had seen before, by their numbers.
    pub(crate) fn repeated(&self) -> &[(u64, Seen)] {
        match &self.state {
            State::Latest(_) => &[],
            State::Windows(walk) => walk.repeated(),
        }
    }

    fn answer(&mut self, rows: RecordBatch, budget: &mut Budget) -> Result<Answered, TimelineError> {
        let (asked, as_of, answers) = match &mut self.state {
            State::Latest(walk) => walk.answer(&rows, budget)?,
            State::Windows(walk) => walk.answer(&self.timeline, &self.version, &rows, budget)?,
        };
        let all = asked.len() == rows.num_rows();
        let questions = if all { rows } else { take_record_batch(&rows, &UInt32Array::from(asked))? };
        let extra_count = self.timeline.extra_count;
        Ok(Answered { questions, as_of, rows: answers, extra_count })
    }
}

impl RowWalk {
    fn answer(
        &mut self,
        rows: &RecordBatch,
        budget: &mut Budget,
    ) -> Result<(Vec<u32>, Vec<EventTime>, Rows), TimelineError> {
        let walk = self.walk(rows);
        let (latest, as_of) = self.latest_of(rows, &walk)?;
        let answers = values(&self.version, &latest, &as_of, budget)?;
        self.carry(rows, walk.last)?;
        Ok((walk.asked, as_of, answers))
    }

    /// Walks the rows moment by moment: events first, then questions, or the other way round with `before`.
    fn walk(&self, rows: &RecordBatch) -> Walk {
        let columns = Columns::new(rows);
        let asks_first = self.timeline.asks_first();
        let mut walk = Walk::default();
        let mut key: Option<&[u8]> = self.latest.as_ref().map(|carried| &*carried.key);
        let mut winner = self.latest.as_ref().map(|carried| carried.winner.clone());
        for moment in columns.moments() {
            if key != Some(columns.keys.value(moment.start)) {
                key = Some(columns.keys.value(moment.start));
                winner = None;
            }
            if asks_first {
                walk.ask(&columns, moment.clone(), &winner);
            }
            for row in moment.clone().filter(|&row| !is_question(columns.kinds[row])) {
                if columns.beats(row, &winner) {
                    winner = Some(columns.winner(row));
                }
            }
            if !asks_first {
                walk.ask(&columns, moment, &winner);
            }
        }
        walk.last = key.zip(winner).map(|(key, winner)| (key.into(), winner));
        walk
    }

    /// The inputs that were chosen and each question's as-of time.
    fn latest_of(&self, rows: &RecordBatch, walk: &Walk) -> Result<(Latest, Vec<EventTime>), TimelineError> {
        let columns = Columns::new(rows);
        let is_event = columns.kinds.iter().map(|&kind| Some(!is_question(kind))).collect();
        let mut place = Vec::with_capacity(rows.num_rows());
        let mut times = Vec::new();
        for row in 0..rows.num_rows() {
            place.push(times.len() as u32);
            if !is_question(columns.kinds[row]) {
                times.push(EventTime(columns.times.value(row)));
            }
        }
        let own_count = times.len() as u32;
        let mut inputs = self.inputs(&filter_all(rows, &is_event)?)?;
        if let Some(carried) = self.latest.as_ref().filter(|_| walk.chosen.contains(&Some(CARRIED))) {
            inputs = concat_batches(self.version.view().input_schema(), [&inputs, &carried.inputs])?;
            times.push(EventTime(carried.winner.time));
        }
        let choice: Vec<Option<u32>> = walk
            .chosen
            .iter()
            .map(|chosen| chosen.map(|row| if row == CARRIED { own_count } else { place[row as usize] }))
            .collect();
        let as_of = walk
            .asked
            .iter()
            .zip(&choice)
            .map(|(&row, choice)| {
                if columns.as_of.is_valid(row as usize) {
                    return EventTime(columns.as_of.value(row as usize));
                }
                // Only a question at its own position brings no time: it is asked at the latest event time there.
                let own = EventTime(columns.times.value(row as usize));
                choice.map_or(own, |chosen| own.max(times[chosen as usize]))
            })
            .collect();
        Ok((Latest { known: None, inputs: Some(inputs), times, choice }, as_of))
    }

    fn inputs(&self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let schema = self.version.view().input_schema();
        let columns = rows.columns()[LEAD..LEAD + schema.fields().len()].to_vec();
        RecordBatch::try_new(schema.clone(), columns)
    }

    /// Keeps the last entity's latest event for the next batch.
    fn carry(&mut self, rows: &RecordBatch, last: Option<(Box<[u8]>, Winner)>) -> Result<(), TimelineError> {
        self.latest = match (last, self.latest.take()) {
            (Some((key, winner)), carried) if winner.row == CARRIED => {
                carried.map(|carried| Carried { key, winner, ..carried })
            }
            (Some((key, winner)), _) => {
                // A copy of the one row, so that the batch it came from can be freed.
                let row = UInt32Array::from(vec![winner.row]);
                let inputs = self.inputs(&take_record_batch(rows, &row)?)?;
                Some(Carried { key, winner: Winner { row: CARRIED, ..winner }, inputs })
            }
            (None, _) => None,
        };
        Ok(())
    }
}

fn filter_all(rows: &RecordBatch, keep: &arrow_array::BooleanArray) -> Result<RecordBatch, ArrowError> {
    if keep.true_count() == rows.num_rows() { Ok(rows.clone()) } else { filter_record_batch(rows, keep) }
}

/// How many sorted rows can be answered without those that follow: all of them where events and questions are
/// sorted apart, else those before the last (key, moment).
fn complete_rows(rows: &RecordBatch) -> usize {
    let columns = Columns::new(rows);
    let Some(last) = rows.num_rows().checked_sub(1) else { return 0 };
    if columns.kinds[last] != BOTH {
        return rows.num_rows();
    }
    (0..last).rev().find(|&row| !columns.same_moment(row, last)).map_or(0, |row| row + 1)
}

#[derive(Default)]
struct Walk {
    asked: Vec<u32>,
    chosen: Vec<Option<u32>>,
    last: Option<(Box<[u8]>, Winner)>,
}

impl Walk {
    fn ask(&mut self, columns: &Columns<'_>, rows: std::ops::Range<usize>, winner: &Option<Winner>) {
        for row in rows.filter(|&row| columns.asks(row)) {
            self.asked.push(row as u32);
            self.chosen.push(winner.as_ref().map(|winner| winner.row));
        }
    }
}

/// The columns of a timeline's rows.
pub(crate) struct Columns<'a> {
    pub(crate) keys: &'a BinaryArray,
    pub(crate) moments: &'a [i64],
    pub(crate) numbers: &'a [u64],
    pub(crate) kinds: &'a [u8],
    pub(crate) times: &'a Int64Array,
    pub(crate) ids: &'a StringArray,
    pub(crate) as_of: &'a Int64Array,
}

impl<'a> Columns<'a> {
    pub(crate) fn new(rows: &'a RecordBatch) -> Self {
        Columns {
            keys: rows.column(0).as_binary(),
            moments: rows.column(1).as_primitive::<Int64Type>().values(),
            numbers: rows.column(2).as_primitive::<UInt64Type>().values(),
            kinds: rows.column(3).as_primitive::<UInt8Type>().values(),
            times: rows.column(4).as_primitive(),
            ids: rows.column(5).as_string(),
            as_of: rows.column(6).as_primitive(),
        }
    }

    /// The rows of each (key, moment), one after the other.
    pub(crate) fn moments(&self) -> impl Iterator<Item = Range<usize>> {
        let mut start = 0;
        std::iter::from_fn(move || {
            let first = start;
            if first == self.kinds.len() {
                return None;
            }
            start = (first + 1..self.kinds.len())
                .find(|&row| !self.same_moment(first, row))
                .unwrap_or(self.kinds.len());
            Some(first..start)
        })
    }

    /// Whether a value is asked for at a row.
    pub(crate) fn asks(&self, row: usize) -> bool {
        self.kinds[row] != EVENT
    }

    fn same_moment(&self, left: usize, right: usize) -> bool {
        self.moments[left] == self.moments[right] && self.keys.value(left) == self.keys.value(right)
    }

    /// Whether the event of a row is later in canonical order than the winner, or the same event at an earlier
    /// position.
    fn beats(&self, row: usize, winner: &Option<Winner>) -> bool {
        winner.as_ref().is_none_or(|winner| {
            let canonical = (self.times.value(row), self.ids.value(row)).cmp(&(winner.time, winner.id.as_str()));
            canonical.then_with(|| winner.offset.cmp(&self.numbers[row])).is_gt()
        })
    }

    fn winner(&self, row: usize) -> Winner {
        Winner {
            time: self.times.value(row),
            id: self.ids.value(row).to_owned(),
            offset: self.numbers[row],
            row: row as u32,
        }
    }
}

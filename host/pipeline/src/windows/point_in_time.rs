//! Answering the questions of a sorted timeline about windows, with the tiles of one entity in memory at a time.

use arrow_array::cast::AsArray;
use arrow_array::{Array, BinaryArray, RecordBatch};
use trifold_model::{EntityKey, EventTime, decode_keys};
use trifold_sandbox::Budget;
use trifold_windows::{Entity, Event, Layout, Plan, Question, Seen, TileBehind};

use crate::point_in_time::Columns;
use crate::rows::Rows;
use crate::timeline::{LEAD, Timeline, TimelineError, is_question};
use crate::version::LiveVersion;
use crate::windows::fold::{ComponentFold, Kept};

/// Where the walk stands.
pub(crate) struct WindowWalk {
    layout: Layout,
    /// The entity that the last batch ended with.
    last: Option<(EntityKey, Entity)>,
    /// The events of the last batch that had been seen before, by their numbers.
    repeated: Vec<(u64, Seen)>,
}

impl WindowWalk {
    pub(crate) fn new(layout: Layout) -> Self {
        WindowWalk { layout, last: None, repeated: Vec::new() }
    }

    /// Walks rows moment by moment and answers their questions: which rows asked, when, and the values.
    pub(crate) fn answer(
        &mut self,
        timeline: &Timeline,
        version: &LiveVersion,
        rows: &RecordBatch,
        budget: &mut Budget,
    ) -> Result<(Vec<u32>, Vec<EventTime>, Rows), TimelineError> {
        let columns = Columns::new(rows);
        let contents: &BinaryArray = rows.column(LEAD).as_binary();
        let layout = self.layout.clone();
        let prepared = prepared(version, rows)?;
        let kept = Kept::new(version, &prepared)?;
        let mut plan = Plan::new(&layout);
        let mut keys = Vec::new();
        let (mut asked, mut as_of) = (Vec::new(), Vec::new());
        self.repeated.clear();
        let mut entity = Entity::new(&layout);
        if let Some((key, last)) = self.last.take() {
            keys.push(key);
            entity = last;
        }
        for moment in columns.moments() {
            let key = columns.keys.value(moment.start);
            if keys.last().is_none_or(|last: &EntityKey| *last.0 != *key) {
                keys.push(EntityKey(key.into()));
                entity = Entity::new(&layout);
            }
            let questions = moment.clone().filter(|&row| columns.asks(row));
            let events = moment.filter(|&row| !is_question(columns.kinds[row]));
            let mut ask = |plan: &mut Plan<'_>, entity: &mut Entity| {
                for row in questions.clone() {
                    let own = EventTime(columns.times.value(row));
                    let at = match columns.as_of.is_valid(row) {
                        true => EventTime(columns.as_of.value(row)),
                        // Only a question at its own position brings no time: it is asked at the latest event time there.
                        false => entity.latest().map_or(own, |latest| latest.max(own)),
                    };
                    plan.ask(entity, Question { key: keys.len() as u32 - 1, at });
                    asked.push(row as u32);
                    as_of.push(at);
                }
            };
            if timeline.asks_first() {
                ask(&mut plan, &mut entity);
            }
            for row in events {
                let mut content = [0; 16];
                content.copy_from_slice(contents.value(row));
                let time = EventTime(columns.times.value(row));
                let (id, kept) = (columns.ids.value(row), kept.bytes(row));
                let event = Event { time, id, content, row: row as u32, kept };
                match plan.add(&mut entity, event) {
                    Seen::New => {}
                    seen => self.repeated.push((columns.numbers[row], seen)),
                }
            }
            if !timeline.asks_first() {
                ask(&mut plan, &mut entity);
            }
        }
        let key_columns = self.key_columns(version, &keys)?;
        let mut fold = ComponentFold::new(version, &version.transform, &prepared, &key_columns, budget);
        // Of the other entities nothing comes any more, and of most of their tiles nobody asked.
        let settled = plan.carry_out_for(&entity, &mut fold)?;
        settled.settle(&mut entity);
        self.last = keys.pop().map(|key| (key, entity));
        Ok((asked, as_of, fold.rows(&settled)?))
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The events of the last batch that had been seen before, by their numbers.
    pub(crate) fn repeated(&self) -> &[(u64, Seen)] {
        &self.repeated
    }

    /// The tiles of each window behind the value of the last entity at a time, if nothing later was walked.
    pub(crate) fn tiles_behind(&self, at: EventTime) -> Vec<Vec<TileBehind>> {
        match &self.last {
            Some((_, entity)) => entity.tiles_behind(&self.layout, at),
            None => vec![Vec::new(); self.layout.windows.len()],
        }
    }

    fn key_columns(&self, version: &LiveVersion, keys: &[EntityKey]) -> Result<RecordBatch, TimelineError> {
        decode_keys(version.view().key_fields(), keys)
            .map_err(|source| TimelineError::Keys { view: version.view().name.to_string(), source })
    }
}

fn prepared(version: &LiveVersion, rows: &RecordBatch) -> Result<RecordBatch, TimelineError> {
    let schema = version.transform.prepared();
    let columns = rows.columns()[LEAD + 1..][..schema.fields().len()].to_vec();
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}

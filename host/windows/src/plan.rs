//! Events and questions, noted first and computed at the end.

use std::ops::Range;

use bytes::Bytes;
use trifold_model::{EventTime, FoldOrder, Slot, Span};

use crate::codec::event_bytes;
use crate::entity::{Entity, Granule, Held, KeptEvent, Seen, State, Tile};
use crate::fold::{Base, Failure, Fold, Folded, Group, Question, Row, Run};
use crate::layout::{Layout, end};
use crate::series::Series;

/// The most bytes of a tile's state: with the byte before it that tells its form, a slot holds 1 MiB.
const STATE_BYTES_MAX: usize = (1 << 20) - 1;
/// The most bytes of the events that are kept of one granule: some ten thousand.
const EVENTS_BYTES_MAX: usize = (1 << 20) - 1;

/// An admitted event.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    /// When it happened.
    pub time: EventTime,
    /// Its id.
    pub id: &'a str,
    /// A digest of all that it carries.
    pub content: [u8; 16],
    /// The row of its prepared columns in the batch that the plan is about.
    pub row: u32,
    /// The bytes in which the prepared event is kept where tiles may have to be folded again; otherwise nothing.
    pub kept: Bytes,
}

/// What a plan came to for one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The value is that row of the values.
    Value {
        /// The row.
        row: u32,
        /// Whether any event lies in any window.
        is_empty: bool,
    },
    /// A tile of it is unknown.
    Unavailable(Failure),
}

/// A plan that was carried out. Entities of it that are used again must be [settled](Settled::settle).
pub struct Settled<V> {
    groups: Vec<Folded>,
    /// The values of the questions that have one.
    pub values: V,
    /// One answer for each question, in the order in which they were asked.
    pub answers: Vec<Answer>,
}

/// What is to be folded and answered.
pub struct Plan<'l> {
    layout: &'l Layout,
    states: Vec<Bytes>,
    groups: Vec<Planned>,
    rows: Vec<Row>,
    tiles: Vec<Picked>,
    /// The states of picked tiles that are known from the start, one after the other.
    known: Vec<u8>,
    picks: Vec<u32>,
    windows: Vec<Run>,
    questions: Vec<Asked>,
}

struct Planned {
    group: Group,
    /// Whether a question has picked what it comes to, so that nothing may be added to it.
    is_picked: bool,
}

enum Picked {
    /// A place in what is known.
    Known(Range<usize>),
    Group(u32),
}

struct Asked {
    question: Question,
    is_empty: bool,
    failure: Option<Failure>,
}

impl<'l> Plan<'l> {
    /// Nothing to do.
    pub fn new(layout: &'l Layout) -> Self {
        Plan {
            layout,
            // The first state is the empty one, which most tiles begin with.
            states: vec![Bytes::new()],
            groups: Vec::new(),
            rows: Vec::new(),
            tiles: Vec::new(),
            known: Vec::new(),
            picks: Vec::new(),
            windows: Vec::new(),
            questions: Vec::new(),
        }
    }

    /// Adds an event to an entity. The events and questions of one entity are best noted one after the other.
    pub fn add(&mut self, entity: &mut Entity, event: Event<'_>) -> Seen {
        if entity.latest.is_none_or(|latest| latest < event.time) {
            entity.latest = Some(event.time);
            entity.mark(Slot::Head);
            entity.forget(self.layout, None);
        }
        let latest = entity.latest.unwrap_or(event.time);
        if end(event.time.align_down(self.layout.granule), self.layout.granule) <= self.layout.first_time(latest) {
            // No window of any value to come reaches back to it.
            return Seen::New;
        }
        match self.remember(entity, &event) {
            Ok(Seen::New) => {}
            Ok(seen) => return seen,
            Err(failure) => {
                for (level, start) in self.layout.reached(event.time, latest) {
                    self.put(entity, level, start, State::Failed(failure.clone()));
                }
                return Seen::New;
            }
        }
        let mut own_row = None;
        for (level, start) in self.layout.reached(event.time, latest) {
            self.fold(entity, level, start, &event, &mut own_row);
        }
        Seen::New
    }

    /// Keeps the event if it is to be known again. An error says that too many were kept already.
    fn remember(&mut self, entity: &mut Entity, event: &Event<'_>) -> Result<Seen, Failure> {
        if !self.layout.keeps_events() {
            return Ok(Seen::New);
        }
        let start = event.time.align_down(self.layout.granule);
        let granule = entity.granules.get_or_insert_with(start, Granule::new);
        let (events, bytes) = granule.open(&entity.packed)?;
        let place = |kept: &KeptEvent| (kept.time, &*kept.id).cmp(&(event.time, event.id.as_bytes()));
        let place = match (events.binary_search_by(place), self.layout.deduplicate) {
            (Ok(same), true) if events[same].content == event.content => return Ok(Seen::Duplicate),
            (Ok(_), true) => return Ok(Seen::Conflict),
            // Without deduplication equal events stand in the order of their content, so that their order of arrival
            // does not matter.
            (_, false) => events.partition_point(|kept| {
                (kept.time, &*kept.id, &kept.content) < (event.time, event.id.as_bytes(), &event.content)
            }),
            (Err(place), true) => place,
        };
        let row = (self.layout.order == FoldOrder::EventTime).then(|| event.kept.clone());
        let kept = KeptEvent {
            time: event.time,
            id: Bytes::copy_from_slice(event.id.as_bytes()),
            content: event.content,
            row,
        };
        *bytes += event_bytes(&kept);
        let result = if *bytes > EVENTS_BYTES_MAX {
            let span = self.layout.granule;
            let failure: Failure =
                format!("limit of {EVENTS_BYTES_MAX} bytes for the events of one entity in {span} reached").into();
            *granule = Granule::Failed(failure.clone());
            Err(failure)
        } else {
            events.insert(place, kept);
            Ok(Seen::New)
        };
        entity.mark(Slot::Events { start });
        result
    }

    /// Adds the event to one tile.
    fn fold(
        &mut self,
        entity: &mut Entity,
        level: usize,
        start: EventTime,
        event: &Event<'_>,
        own_row: &mut Option<u32>,
    ) {
        let tile = entity.tiles[level].get(start).map(|tile| &tile.state);
        if matches!(tile, Some(State::Failed(_))) {
            return;
        }
        if self.layout.order == FoldOrder::EventTime
            && !is_last(entity, self.layout.levels[level].hop, start, event)
        {
            let state = self.fold_again(entity, self.layout.levels[level].hop, start);
            return self.put(entity, level, start, state);
        }
        let row = *own_row.get_or_insert_with(|| {
            self.rows.push(Row::Batch(event.row));
            self.rows.len() as u32 - 1
        });
        let base = match tile {
            None | Some(State::Failed(_)) => Base::State(0),
            Some(State::Known(state)) => {
                self.states.push(state.bytes(&entity.packed));
                Base::State(self.states.len() as u32 - 1)
            }
            Some(State::Planned(group)) => {
                let planned = &mut self.groups[*group as usize];
                if !planned.is_picked && planned.group.first + planned.group.count == row {
                    planned.group.count += 1;
                    return;
                }
                Base::Group(*group)
            }
        };
        let state = self.group(Group { base, first: row, count: 1 });
        self.put(entity, level, start, state);
    }

    /// Folds a tile from its beginning.
    fn fold_again(&mut self, entity: &Entity, hop: Span, start: EventTime) -> State {
        let first = self.rows.len();
        for granule in entity.granules.range(start..end(start, hop)) {
            match granule.rows(&entity.packed) {
                Ok(rows) => self.rows.extend(rows.into_iter().map(Row::Kept)),
                Err(failure) => return State::Failed(failure),
            }
        }
        let count = (self.rows.len() - first) as u32;
        self.group(Group { base: Base::State(0), first: first as u32, count })
    }

    fn group(&mut self, group: Group) -> State {
        self.groups.push(Planned { group, is_picked: false });
        State::Planned(self.groups.len() as u32 - 1)
    }

    fn put(&mut self, entity: &mut Entity, level: usize, start: EventTime, state: State) {
        entity.tiles[level].insert(start, Tile { state, pick: None });
        entity.mark(Slot::Tile { level: level as u8, start });
    }

    /// Asks for an entity's value at a time that is not before its latest event.
    pub fn ask(&mut self, entity: &mut Entity, question: Question) {
        let (mut is_empty, mut failure) = (true, None);
        for &(level, window) in &self.layout.windows {
            let first = self.picks.len() as u32;
            for tile in entity.tiles[level].range_mut(window.first_tile(question.at)) {
                is_empty = false;
                match &tile.state {
                    State::Failed(reason) => failure = Some(reason.clone()),
                    State::Known(state) if state.len() == 0 => {}
                    State::Known(state) => {
                        let pick = *tile.pick.get_or_insert_with(|| {
                            let first = self.known.len();
                            self.known.extend_from_slice(state.get(&entity.packed));
                            self.tiles.push(Picked::Known(first..self.known.len()));
                            self.tiles.len() as u32 - 1
                        });
                        self.picks.push(pick);
                    }
                    State::Planned(group) => {
                        self.groups[*group as usize].is_picked = true;
                        let pick = *tile.pick.get_or_insert_with(|| {
                            self.tiles.push(Picked::Group(*group));
                            self.tiles.len() as u32 - 1
                        });
                        self.picks.push(pick);
                    }
                }
            }
            self.windows.push(Run { first, count: self.picks.len() as u32 - first });
        }
        self.questions.push(Asked { question, is_empty, failure });
    }

    /// Folds all groups, then answers all questions. Any entity of the plan may be settled.
    pub fn carry_out<F: Fold>(self, fold: &mut F) -> Result<Settled<F::Values>, F::Error> {
        let groups: Vec<Group> = self.groups.iter().map(|planned| planned.group).collect();
        let folded = accumulate(fold, &self.states, &groups, &self.rows)?;
        let (answers, values) = self.answer(&folded, fold)?;
        Ok(Settled { groups: folded, values, answers })
    }

    /// Folds what questions have picked and what one entity is made of, then answers all questions. No other entity may
    /// be settled.
    pub fn carry_out_for<F: Fold>(mut self, kept: &Entity, fold: &mut F) -> Result<Settled<F::Values>, F::Error> {
        let needed = self.needed(kept);
        let groups = self.take_groups(&needed);
        let mut states = accumulate(fold, &self.states, &groups, &self.rows)?.into_iter();
        let nothing: Failure = "it was not needed, and not folded".into();
        let next = |is_needed: bool| is_needed.then(|| states.next()).flatten();
        let folded: Vec<Folded> =
            needed.into_iter().map(next).map(|state| state.unwrap_or_else(|| Err(nothing.clone()))).collect();
        let (answers, values) = self.answer(&folded, fold)?;
        Ok(Settled { groups: folded, values, answers })
    }

    /// Which groups must be folded for the questions and one entity: with them, those that they are folded onto.
    fn needed(&self, kept: &Entity) -> Vec<bool> {
        let mut needed: Vec<bool> = self.groups.iter().map(|planned| planned.is_picked).collect();
        for (_, tile) in kept.tiles.iter().flat_map(Series::iter) {
            if let State::Planned(group) = tile.state {
                needed[group as usize] = true;
            }
        }
        for place in (0..needed.len()).rev() {
            if let (true, Base::Group(base)) = (needed[place], self.groups[place].group.base) {
                needed[base as usize] = true;
            }
        }
        needed
    }

    /// The groups that are needed, over the rows that they need; other rows are dropped.
    fn take_groups(&mut self, needed: &[bool]) -> Vec<Group> {
        let groups = self.groups.iter().zip(needed).filter(|(_, is_needed)| **is_needed);
        let groups = groups.map(|(planned, _)| planned.group);
        let mut is_used = vec![false; self.rows.len()];
        for Group { first, count, .. } in groups.clone() {
            is_used[first as usize..(first + count) as usize].fill(true);
        }
        let (group_places, row_places) = (places(needed), places(&is_used));
        let moved = groups.map(|Group { base, first, count }| {
            let base = match base {
                Base::State(state) => Base::State(state),
                Base::Group(base) => Base::Group(group_places[base as usize]),
            };
            Group { base, first: row_places[first as usize], count }
        });
        let moved = moved.collect();
        let mut is_used = is_used.into_iter();
        self.rows.retain(|_| is_used.next().unwrap_or_default());
        moved
    }

    fn answer<F: Fold>(self, folded: &[Folded], fold: &mut F) -> Result<(Vec<Answer>, F::Values), F::Error> {
        let state = |tile: &Picked| match tile {
            Picked::Known(place) => Ok(&self.known[place.clone()]),
            Picked::Group(group) => folded[*group as usize].as_deref().map_err(Failure::clone),
        };
        let each = self.layout.windows.len();
        let mut answers = Vec::with_capacity(self.questions.len());
        let mut given = Given { places: vec![None; self.tiles.len()], ..Given::default() };
        for (place, asked) in self.questions.into_iter().enumerate() {
            let runs = &self.windows[place * each..(place + 1) * each];
            let own = |run: &Run| &self.picks[run.first as usize..(run.first + run.count) as usize];
            let mut failures =
                runs.iter().flat_map(own).filter_map(|&pick| state(&self.tiles[pick as usize]).err());
            if let Some(failure) = asked.failure.or_else(|| failures.next()) {
                answers.push(Answer::Unavailable(failure));
                continue;
            }
            answers.push(Answer::Value { row: given.questions.len() as u32, is_empty: asked.is_empty });
            for run in runs {
                let first = given.picks.len() as u32;
                for &pick in own(run) {
                    // A tile may have been emptied by its fold; it is skipped as any empty tile is.
                    match state(&self.tiles[pick as usize]) {
                        Ok(state) if !state.is_empty() => given.pick(pick, state),
                        _ => {}
                    }
                }
                given.windows.push(Run { first, count: given.picks.len() as u32 - first });
            }
            given.questions.push(asked.question);
        }
        let values = fold.finish(&given.tiles, &given.picks, &given.windows, &given.questions)?;
        Ok((answers, values))
    }
}

/// What a fold is given to finish: no tile that no window picks, for one that cannot be read must not keep others from
/// their values.
#[derive(Default)]
struct Given<'a> {
    tiles: Vec<&'a [u8]>,
    picks: Vec<u32>,
    windows: Vec<Run>,
    questions: Vec<Question>,
    /// Of each tile of the plan, its place among those that are given.
    places: Vec<Option<u32>>,
}

impl<'a> Given<'a> {
    fn pick(&mut self, tile: u32, state: &'a [u8]) {
        let place = *self.places[tile as usize].get_or_insert_with(|| {
            self.tiles.push(state);
            self.tiles.len() as u32 - 1
        });
        self.picks.push(place);
    }
}

/// The state of each group.
fn accumulate<F: Fold>(
    fold: &mut F,
    states: &[Bytes],
    groups: &[Group],
    rows: &[Row],
) -> Result<Vec<Folded>, F::Error> {
    if groups.is_empty() {
        return Ok(Vec::new());
    }
    let mut folded = fold.accumulate(states, groups, rows)?;
    folded.iter_mut().for_each(refuse_large);
    Ok(folded)
}

/// Where each item comes to stand once only those that stay are left.
fn places(stays: &[bool]) -> Vec<u32> {
    let mut next = 0;
    let place = |stays: &bool| {
        let place = next;
        next += u32::from(*stays);
        place
    };
    stays.iter().map(place).collect()
}

/// Whether no event that is kept of the tile comes after this one in canonical order.
fn is_last(entity: &Entity, hop: Span, start: EventTime, event: &Event<'_>) -> bool {
    match entity.granules.range(start..end(start, hop)).next_back() {
        Some(Granule::Events { events, .. }) => events.last().is_none_or(|last| {
            (last.time, &*last.id, &last.content) == (event.time, event.id.as_bytes(), &event.content)
        }),
        // The event's own granule is open, so that this one comes after it.
        Some(Granule::Stored(_) | Granule::Failed(_)) => false,
        None => true,
    }
}

fn refuse_large(state: &mut Folded) {
    if let Ok(bytes) = state
        && bytes.len() > STATE_BYTES_MAX
    {
        *state = Err(format!("state limit of {STATE_BYTES_MAX} bytes reached: a tile has {}", bytes.len()).into());
    }
}

impl<V> Settled<V> {
    /// Gives an entity of the plan the states that its tiles came to.
    pub fn settle(&self, entity: &mut Entity) {
        for tile in entity.tiles.iter_mut().flat_map(Series::values_mut) {
            tile.pick = None;
            if let State::Planned(group) = tile.state {
                tile.state = match &self.groups[group as usize] {
                    Ok(state) => State::Known(Held::Own(state.clone())),
                    Err(failure) => State::Failed(failure.clone()),
                };
            }
        }
    }
}

//! What a worker has of its states in memory: what the store was not given yet, and what it need not be asked for
//! again.
//!
//! What a store takes to write an entity hardly depends on how many events came to it, so steps are kept here and
//! written together at a checkpoint. Between two checkpoints the store stands where it was, with its marker.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use trifold_model::{EntityKey, Slot, StateId};
use trifold_store::{
    Commit, EntityQuery, Marker, Record, RowSwitch, SlotChange, SlotPage, Slots, Snapshot, StateStore, StoreError,
};
use trifold_windows::is_packed;

/// What an entity takes in memory beside its key and what is kept of it, roughly.
const ENTITY_BYTES: usize = 200;

/// Why a state cannot be read or written.
#[derive(Debug)]
pub(crate) enum StateError {
    /// The store failed.
    Store(StoreError),
    /// The store moved on without this worker.
    Overtaken(StateId),
}

impl From<StoreError> for StateError {
    fn from(error: StoreError) -> Self {
        StateError::Store(error)
    }
}

/// States as they are after the last step.
pub(crate) struct Resident {
    store: Arc<dyn StateStore>,
    states: BTreeMap<StateId, State>,
    bytes_max: usize,
    bytes: usize,
}

#[derive(Default)]
struct State {
    /// What the store must hold, unless somebody else works on the same state.
    stored: Option<Marker>,
    /// The marker of the last step, if the store was not given it.
    ahead: Option<Marker>,
    records: BTreeMap<EntityKey, Held<Record>>,
    entities: BTreeMap<EntityKey, Held<Known>>,
    /// The switches that the store was not given.
    switches: Vec<RowSwitch>,
}

struct Held<T> {
    value: T,
    is_stored: bool,
}

/// What is known of an entity of a window view.
enum Known {
    /// All there is, in its head.
    Packed(Bytes),
    /// There is nothing.
    Gone,
    /// Changes of what the store holds.
    Changes(Changes),
}

#[derive(Default)]
struct Changes {
    slots: BTreeMap<Slot, Option<Bytes>>,
    /// What they take, for an entity may have very many.
    bytes: usize,
}

impl Resident {
    /// Nothing yet, to be written when it comes to so many bytes.
    pub(crate) fn new(store: Arc<dyn StateStore>, bytes_max: usize) -> Self {
        Resident { store, states: BTreeMap::new(), bytes_max, bytes: 0 }
    }

    /// Takes a state up where the store has it.
    pub(crate) async fn begin(&mut self, id: StateId) -> Result<Option<Marker>, StateError> {
        let stored = self.store.marker(id).await?;
        self.forget(id);
        self.states.insert(id, State { stored: stored.clone(), ..State::default() });
        Ok(stored)
    }

    /// Who computed the rows of a state's events, as far as the store was told.
    pub(crate) async fn switches(&self, id: StateId) -> Result<Vec<RowSwitch>, StateError> {
        Ok(self.store.switches(id).await?)
    }

    /// Lets go of a state, written or not.
    pub(crate) fn forget(&mut self, id: StateId) {
        if let Some(state) = self.states.remove(&id) {
            self.bytes -= state.bytes();
        }
    }

    /// Removes a state for good: whether there was one.
    pub(crate) async fn remove(&mut self, id: StateId) -> Result<bool, StateError> {
        self.forget(id);
        let is_there = self.store.marker(id).await?.is_some();
        if is_there {
            self.store.clear(id).await?;
        }
        Ok(is_there)
    }

    /// Lets go of everything, written or not.
    pub(crate) fn clear(&mut self) {
        self.states.clear();
        self.bytes = 0;
    }

    /// Whether it is time for a checkpoint, or memory goes beyond what was allowed.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= self.bytes_max
    }

    /// The records of some entities.
    pub(crate) async fn read(&self, id: StateId, keys: &[EntityKey]) -> Result<Vec<Option<Record>>, StateError> {
        let held: Vec<_> = keys.iter().map(|key| self.states.get(&id)?.records.get(key)).collect();
        let missing = keys.iter().zip(&held).filter(|(_, held)| held.is_none());
        let missing: Vec<_> = missing.map(|(key, _)| key.clone()).collect();
        let Snapshot { marker, records, .. } = self.store.read(id, &missing).await?;
        self.check(id, marker.as_ref())?;
        let mut records = records.into_iter();
        let record = |held: Option<&Held<Record>>| match held {
            Some(held) => Some(held.value.clone()),
            None => records.next().flatten(),
        };
        Ok(held.into_iter().map(record).collect())
    }

    /// The slots of some entities of a window view.
    pub(crate) async fn read_slots(&self, id: StateId, queries: &[EntityQuery]) -> Result<Vec<Slots>, StateError> {
        let held: Vec<_> = queries.iter().map(|query| self.known(id, &query.key)).collect();
        let missing = queries.iter().zip(&held).filter(|(_, held)| matches!(held, None | Some(Known::Changes(_))));
        let missing: Vec<_> = missing.map(|(query, _)| query.clone()).collect();
        let snapshot = self.store.read_slots(id, &missing).await?;
        self.check(id, snapshot.marker.as_ref())?;
        let mut read = snapshot.entities.into_iter();
        let slots = held.into_iter().map(|known| match known {
            Some(known @ (Known::Packed(_) | Known::Gone)) => known.over(Slots::new()),
            Some(known @ Known::Changes(_)) => known.over(read.next().unwrap_or_default()),
            None => read.next().unwrap_or_default(),
        });
        Ok(slots.collect())
    }

    /// Some of the entities that the store has of a window view, as they are after the last step.
    pub(crate) async fn scan_slots(
        &self,
        id: StateId,
        after: Option<EntityKey>,
        limit: usize,
    ) -> Result<SlotPage, StateError> {
        let mut page = self.store.scan_slots(id, after, limit).await?;
        self.check(id, page.marker.as_ref())?;
        for (key, slots) in &mut page.entities {
            if let Some(known) = self.known(id, key) {
                *slots = known.over(std::mem::take(slots));
            }
        }
        Ok(page)
    }

    fn known(&self, id: StateId, key: &EntityKey) -> Option<&Known> {
        self.states.get(&id)?.entities.get(key).map(|held| &held.value)
    }

    /// Fails unless the store is where this worker left it.
    fn check(&self, id: StateId, found: Option<&Marker>) -> Result<(), StateError> {
        let expected = self.states.get(&id).and_then(|state| state.stored.as_ref());
        if expected == found { Ok(()) } else { Err(StateError::Overtaken(id)) }
    }

    /// Takes in what a step came to.
    pub(crate) fn apply(&mut self, commit: Commit) {
        let state = self.states.entry(commit.state).or_default();
        state.ahead = Some(commit.marker);
        state.switches.extend(commit.switches);
        for (key, record) in commit.puts {
            let replaced = state.records.get(&key).map_or(0, |held| record_bytes(&key, &held.value));
            self.bytes = self.bytes + record_bytes(&key, &record) - replaced;
            state.records.insert(key, Held { value: record, is_stored: false });
        }
        for SlotChange { key, slot, bytes } in commit.slots {
            match state.entities.get_mut(&key) {
                Some(held) => {
                    self.bytes -= held.value.bytes(&key);
                    let known = std::mem::replace(&mut held.value, Known::Gone);
                    *held = Held { value: Known::after(Some(known), slot, bytes), is_stored: false };
                    self.bytes += held.value.bytes(&key);
                }
                None => {
                    let value = Known::after(None, slot, bytes);
                    self.bytes += value.bytes(&key);
                    state.entities.insert(key, Held { value, is_stored: false });
                }
            }
        }
    }

    /// Gives the store what it does not have, in one transaction.
    pub(crate) async fn checkpoint(&mut self) -> Result<(), StateError> {
        let mut commits = Vec::new();
        for (&id, state) in &self.states {
            let Some(commit) = state.commit(id) else { continue };
            self.check(id, self.store.marker(id).await?.as_ref())?;
            commits.push(commit);
        }
        if commits.is_empty() {
            return Ok(());
        }
        self.store.commit(commits).await?;
        // Without room for what the next steps change, what is held would be of no use.
        let keeps = self.bytes < self.bytes_max / 2;
        self.states.values_mut().for_each(|state| state.settle(keeps));
        self.bytes = self.states.values().map(State::bytes).sum();
        Ok(())
    }
}

impl State {
    /// What the store was not given.
    fn commit(&self, id: StateId) -> Option<Commit> {
        let marker = self.ahead.clone()?;
        let puts = self.records.iter().filter(|(_, held)| !held.is_stored);
        let puts = puts.map(|(key, held)| (key.clone(), held.value.clone())).collect();
        let changed = self.entities.iter().filter(|(_, held)| !held.is_stored);
        let slots = changed.flat_map(|(key, held)| held.value.changes(key)).collect();
        Some(Commit { state: id, marker, puts, slots, switches: self.switches.clone() })
    }

    /// The store was given everything. What it need not be asked for again stays, if it may.
    fn settle(&mut self, keeps: bool) {
        self.stored = self.ahead.take().or(self.stored.take());
        self.switches.clear();
        self.records.retain(|_, held| {
            held.is_stored = true;
            keeps
        });
        self.entities.retain(|_, held| {
            held.is_stored = true;
            keeps && matches!(held.value, Known::Packed(_))
        });
    }

    fn bytes(&self) -> usize {
        let records = self.records.iter().map(|(key, held)| record_bytes(key, &held.value));
        records.chain(self.entities.iter().map(|(key, held)| held.value.bytes(key))).sum()
    }
}

impl Known {
    /// What is known after a change.
    fn after(known: Option<Known>, slot: Slot, bytes: Option<Bytes>) -> Known {
        match (known, slot, bytes) {
            (None | Some(Known::Packed(_) | Known::Gone), Slot::Head, Some(head)) if is_packed(&head) => {
                Known::Packed(head)
            }
            (Some(Known::Packed(_) | Known::Gone), Slot::Head, None) => Known::Gone,
            (known, slot, bytes) => {
                let mut changes = Changes::default();
                match known {
                    None => {}
                    Some(Known::Packed(head)) => changes.insert(Slot::Head, Some(head)),
                    Some(Known::Gone) => changes.insert(Slot::Head, None),
                    Some(Known::Changes(earlier)) => changes = earlier,
                }
                changes.insert(slot, bytes);
                Known::Changes(changes)
            }
        }
    }

    /// The slots of an entity of which the store has some.
    fn over(&self, stored: Slots) -> Slots {
        match self {
            Known::Packed(head) => vec![(Slot::Head, head.clone())],
            Known::Gone => Slots::new(),
            Known::Changes(Changes { slots, .. }) => {
                let stored = stored.into_iter().filter(|(slot, _)| !slots.contains_key(slot));
                let changed = slots.iter().filter_map(|(slot, bytes)| Some((*slot, bytes.clone()?)));
                let mut slots: Slots = stored.chain(changed).collect();
                slots.sort_by_key(|(slot, _)| *slot);
                slots
            }
        }
    }

    fn changes(&self, key: &EntityKey) -> Vec<SlotChange> {
        let change = |slot, bytes| SlotChange { key: key.clone(), slot, bytes };
        match self {
            Known::Packed(head) => vec![change(Slot::Head, Some(head.clone()))],
            Known::Gone => vec![change(Slot::Head, None)],
            Known::Changes(Changes { slots, .. }) => {
                slots.iter().map(|(slot, bytes)| change(*slot, bytes.clone())).collect()
            }
        }
    }

    fn bytes(&self, key: &EntityKey) -> usize {
        let slots = match self {
            Known::Packed(head) => head.len(),
            Known::Gone => 0,
            Known::Changes(changes) => changes.bytes,
        };
        ENTITY_BYTES + key.0.len() + slots
    }
}

impl Changes {
    fn insert(&mut self, slot: Slot, bytes: Option<Bytes>) {
        let taken = |bytes: &Option<Bytes>| ENTITY_BYTES + bytes.as_ref().map_or(0, Bytes::len);
        self.bytes += taken(&bytes);
        self.bytes -= self.slots.insert(slot, bytes).map_or(0, |replaced| taken(&replaced));
    }
}

fn record_bytes(key: &EntityKey, record: &Record) -> usize {
    let record = record.event_id.len()
        + record.fields.len()
        + record.output.as_ref().map_or(0, |output| output.fields.len());
    ENTITY_BYTES + key.0.len() + record
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use trifold_model::{EventTime, LogId, Positions};
    use trifold_store::{EmbeddedStore, Holder, OnlineStore};

    use super::*;

    const ID: StateId = StateId([7; 16]);

    /// SplitMix64 (Steele, Lea and Flood, 2014).
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            (mixed ^ (mixed >> 31)) % bound
        }
    }

    fn store(dir: &Path, name: &str) -> Arc<EmbeddedStore> {
        let holder = Holder { pid: 1, command: "test".to_owned(), since: EventTime(0) };
        Arc::new(EmbeddedStore::open(&dir.join(name), &holder).unwrap())
    }

    fn key(number: u64) -> EntityKey {
        EntityKey([number as u8].into())
    }

    fn marker(next: u64) -> Marker {
        Marker {
            incarnation: 1,
            log: LogId("log".into()),
            source: String::new(),
            positions: Positions([(0, next)].into()),
            consumed: Vec::new(),
            release: None,
            arrivals: BTreeMap::new(),
        }
    }

    fn commit(next: u64) -> Commit {
        let (puts, slots, switches) = Default::default();
        Commit { state: ID, marker: marker(next), puts, slots, switches }
    }

    /// Changes of an entity as folds make them: packed for as long as it is small, then apart until it is gone.
    fn changes(random: &mut Random, key: &EntityKey, slots: &mut BTreeSet<Slot>) -> Vec<SlotChange> {
        let bytes = |first: u8, random: &mut Random| Some(Bytes::from(vec![first; 1 + random.below(40) as usize]));
        let mut changed = BTreeMap::new();
        let is_packed = slots.len() < 2;
        match random.below(6) {
            0 => changed.extend(slots.iter().map(|slot| (*slot, None))),
            1 | 2 if is_packed => drop(changed.insert(Slot::Head, bytes(2, random))),
            _ => {
                changed.insert(Slot::Head, bytes(1, random));
                for _ in 0..1 + random.below(4) {
                    let start = EventTime(random.below(3) as i64);
                    let slots = [Slot::Tile { level: random.below(2) as u8, start }, Slot::Events { start }];
                    let is_kept = is_packed || random.below(3) > 0;
                    changed.insert(slots[random.below(2) as usize], bytes(0, random).filter(|_| is_kept));
                }
            }
        }
        for (slot, bytes) in &changed {
            match bytes {
                Some(_) => slots.insert(*slot),
                None => slots.remove(slot),
            };
        }
        changed.into_iter().map(|(slot, bytes)| SlotChange { key: key.clone(), slot, bytes }).collect()
    }

    #[tokio::test]
    async fn what_is_read_and_written_is_as_if_each_step_had_been_written() {
        let dir = tempfile::tempdir().unwrap();
        for seed in 0..40 {
            let mut random = Random(seed);
            let stores = [store(dir.path(), &format!("{seed}.whole")), store(dir.path(), &format!("{seed}.late"))];
            let [whole, late] = &stores;
            let mut states = Resident::new(late.clone(), random.below(4_000) as usize);
            assert_eq!(states.begin(ID).await.unwrap(), None);
            let mut slots = vec![BTreeSet::new(); 5];
            for step in 1..60 {
                let mut commit = commit(step);
                for (number, slots) in (0..).zip(&mut slots).filter(|_| random.below(2) == 0).collect::<Vec<_>>() {
                    commit.slots.extend(changes(&mut random, &key(number), slots));
                }
                whole.commit(vec![commit.clone()]).await.unwrap();
                states.apply(commit);
                if states.is_full() || random.below(4) == 0 {
                    states.checkpoint().await.unwrap();
                    let held: usize = states.states.values().map(State::bytes).sum();
                    assert!(states.bytes == held && held < states.bytes_max.max(1), "seed {seed}, step {step}");
                    let pages = [whole, late].map(|store| store.scan_slots(ID, None, 100));
                    let [whole, late] = pages.map(|page| futures::executor::block_on(page).unwrap());
                    assert_eq!(whole, late, "seed {seed}, step {step}");
                }
                let all = vec![EventTime(0)..EventTime(9)];
                let queries: Vec<_> =
                    (0..5).map(|key_of| EntityQuery { key: key(key_of), events: all.clone() }).collect();
                let expected = whole.read_slots(ID, &queries).await.unwrap().entities;
                let found = states.read_slots(ID, &queries).await.unwrap();
                assert_eq!(expected, found, "seed {seed}, step {step}");
                for (key, slots) in states.scan_slots(ID, None, 100).await.unwrap().entities {
                    assert_eq!(slots, expected[usize::from(key.0[0])], "seed {seed}, step {step}");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_state_that_somebody_else_writes_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path(), "store");
        let mut states = Resident::new(store.clone(), 1 << 20);
        states.begin(ID).await.unwrap();
        states.apply(commit(3));
        store.commit(vec![commit(2)]).await.unwrap();
        let error = states.checkpoint().await.unwrap_err();
        assert!(matches!(error, StateError::Overtaken(ID)), "{error:?}");
        assert_eq!(store.marker(ID).await.unwrap(), Some(marker(2)));
        let error = states.read_slots(ID, &[]).await.unwrap_err();
        assert!(matches!(error, StateError::Overtaken(ID)), "{error:?}");
    }
}

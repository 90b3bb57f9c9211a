//! The tables of the embedded store and the transactions over them.
//!
//! Format 4 (format 3 had no switches and format 2 no slots either, and become format 4 when they are opened; format 1 had
//! markers that say nothing of what was consumed):
//!
//! ```text
//! meta      "format"                             -> u64
//! markers   state id (16 bytes)                  -> marker, as in `codec`
//! records   state id (16 bytes) ++ entity key    -> record, as in `codec`
//! slots     state id (16 bytes) ++ entity key ++ slot, as in `codec` -> what a window view keeps there
//! switches  state id (16 bytes) ++ place, as in `codec` -> who computes rows from there on, as in `codec`
//! ```
//!
//! Keys order bytewise, so the entities of a state lie together, and so do the slots of an entity: no entity key of a
//! view is the beginning of another one, since every field of a key has a fixed length or says how long it is.

use std::fmt;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};

use redb::{
    Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, Table, TableDefinition, TableError,
    WriteTransaction,
};
use trifold_model::{EntityKey, Slot, StateId};

use crate::codec::{
    EVENTS, decode_marker, decode_record, decode_slot, decode_switch, encode_marker, encode_record, encode_slot,
    encode_switch, encode_switch_place,
};
use crate::error::StoreError;
use crate::record::{
    Commit, EntityQuery, Marker, Page, Record, RowSwitch, SlotChange, SlotPage, SlotSnapshot, Slots, Snapshot,
};

/// The format that this version writes and reads.
pub(crate) const FORMAT: u64 = 4;
/// The first format that lacks nothing but tables.
const FORMAT_WITHOUT_TABLES: u64 = 2;

type Bytes = &'static [u8];
const META: TableDefinition<'static, &'static str, u64> = TableDefinition::new("meta");
const MARKERS: TableDefinition<'static, [u8; 16], Bytes> = TableDefinition::new("markers");
const RECORDS: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("records");
const SLOTS: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("slots");
const SWITCHES: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("switches");

const FORMAT_KEY: &str = "format";

/// Why a transaction came to nothing.
pub(crate) enum Failure {
    /// We refused it, or found damage.
    Ours(StoreError),
    /// The database failed.
    Database(redb::Error),
    /// The database panicked, with this message.
    Panic(String),
}

macro_rules! from_database {
    ($($error:ident),*) => {
        $(impl From<redb::$error> for Failure {
            fn from(error: redb::$error) -> Self {
                Failure::Database(error.into())
            }
        })*
    };
}

from_database!(CommitError, DatabaseError, SetDurabilityError, StorageError, TableError, TransactionError);

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Ours(error)
    }
}

/// The database checks its pages after a crash only and panics over some of those that were damaged since; that
/// must not end more than the operation at hand.
pub(crate) fn contained<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(Failure::Panic(format!("the file is damaged: {message}")))
    })
}

/// The database with its tables. It is there until it is closed.
pub(crate) struct Tables {
    database: Option<Database>,
    /// What readers share between two commits, since to open it takes longer than to read a record.
    latest: RwLock<Option<Arc<View>>>,
}

/// The tables as of one commit.
struct View {
    markers: ReadOnlyTable<[u8; 16], Bytes>,
    records: ReadOnlyTable<Bytes, Bytes>,
    slots: ReadOnlyTable<Bytes, Bytes>,
    switches: ReadOnlyTable<Bytes, Bytes>,
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tables").field("database", &self.database).finish_non_exhaustive()
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        self.forget();
        let database = self.database.take();
        if let Err(Failure::Panic(message)) = contained(|| {
            drop(database);
            Ok(())
        }) {
            tracing::error!(%message, "the store could not be closed properly");
        }
    }
}

impl Tables {
    pub(crate) fn new(database: Database) -> Self {
        Tables { database: Some(database), latest: RwLock::default() }
    }

    fn database(&self) -> Result<&Database, Failure> {
        self.database.as_ref().ok_or(Failure::Database(redb::Error::DatabaseClosed))
    }

    /// The format of the store; a new database is laid out first. Somebody else's database has no format, which
    /// counts as 0.
    pub(crate) fn format(&self) -> Result<u64, Failure> {
        let transaction = self.database()?.begin_read()?;
        if transaction.list_tables()?.next().is_none() {
            self.lay_out()?;
            return Ok(FORMAT);
        }
        let format = match transaction.open_table(META) {
            Ok(meta) => meta.get(FORMAT_KEY)?.map_or(0, |format| format.value()),
            Err(TableError::Storage(error)) => return Err(error.into()),
            Err(_) => 0,
        };
        if (FORMAT_WITHOUT_TABLES..FORMAT).contains(&format) {
            self.lay_out()?;
            return Ok(FORMAT);
        }
        Ok(format)
    }

    fn lay_out(&self) -> Result<(), Failure> {
        let transaction = self.begin_write()?;
        transaction.open_table(META)?.insert(FORMAT_KEY, FORMAT)?;
        transaction.open_table(MARKERS)?;
        transaction.open_table(RECORDS)?;
        transaction.open_table(SLOTS)?;
        transaction.open_table(SWITCHES)?;
        Ok(transaction.commit()?)
    }

    fn begin_write(&self) -> Result<WriteTransaction, Failure> {
        let mut transaction = self.database()?.begin_write()?;
        // The default, named because the promise of `commit` rests on it.
        transaction.set_durability(Durability::Immediate)?;
        Ok(transaction)
    }

    /// The tables as of the last commit.
    fn view(&self) -> Result<Arc<View>, Failure> {
        if let Some(view) = &*self.latest.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(view.clone());
        }
        let mut latest = self.latest.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = &*latest {
            // Another reader was faster.
            return Ok(view.clone());
        }
        let transaction = self.database()?.begin_read()?;
        let view = View {
            markers: transaction.open_table(MARKERS)?,
            records: transaction.open_table(RECORDS)?,
            slots: transaction.open_table(SLOTS)?,
            switches: transaction.open_table(SWITCHES)?,
        };
        Ok(latest.insert(Arc::new(view)).clone())
    }

    /// Lets the next reader look for a later commit. A view is opened under the same lock, so that none from before
    /// a commit is left behind after it.
    fn forget(&self) {
        *self.latest.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn finish(&self, transaction: WriteTransaction) -> Result<(), Failure> {
        let committed = transaction.commit();
        self.forget();
        Ok(committed?)
    }

    pub(crate) fn marker(&self, state: StateId) -> Result<Option<Marker>, Failure> {
        stored_marker(&self.view()?.markers, state)
    }

    pub(crate) fn read(&self, state: StateId, keys: &[EntityKey]) -> Result<Snapshot, Failure> {
        let view = self.view()?;
        let marker = stored_marker(&view.markers, state)?;
        let mut place = state.0.to_vec();
        let records = keys.iter().map(|key| stored_record(&view.records, state, key, &mut place));
        Ok(Snapshot { marker, records: records.collect::<Result<_, _>>()?, ..Snapshot::default() })
    }

    pub(crate) fn read_slots(&self, state: StateId, queries: &[EntityQuery]) -> Result<SlotSnapshot, Failure> {
        let view = self.view()?;
        let marker = stored_marker(&view.markers, state)?;
        let entities = queries.iter().map(|query| stored_slots(&view.slots, state, query));
        Ok(SlotSnapshot { marker, entities: entities.collect::<Result<_, _>>()?, ..SlotSnapshot::default() })
    }

    pub(crate) fn scan_slots(
        &self,
        state: StateId,
        after: Option<&EntityKey>,
        limit: usize,
    ) -> Result<SlotPage, Failure> {
        let view = self.view()?;
        let mut page = SlotPage { marker: stored_marker(&view.markers, state)?, ..SlotPage::default() };
        // No slot begins with this byte.
        let first = after.map_or_else(|| state.0.to_vec(), |key| [&state.0, &*key.0, &[u8::MAX]].concat());
        let end = end_place(state);
        for entry in view.slots.range::<&[u8]>((Bound::Included(first.as_slice()), bound(&end)))? {
            let (place, bytes) = entry?;
            let place = &place.value()[state.0.len()..];
            let own = page.entities.last().is_some_and(|(key, _)| place.starts_with(&key.0));
            if !own {
                if page.entities.len() == limit {
                    page.next = page.entities.last().map(|(key, _)| key.clone());
                    break;
                }
                // The first slot of an entity is its head, whose place is one byte.
                page.entities.push((EntityKey(place[..place.len().saturating_sub(1)].into()), Vec::new()));
            }
            if let Some((key, slots)) = page.entities.last_mut() {
                let slot = decode_slot(&place[key.0.len()..]);
                let slot = slot.map_err(|damage| StoreError::DamagedSlot { state, damage })?;
                slots.push((slot, bytes.value().to_vec().into()));
            }
        }
        Ok(page)
    }

    pub(crate) fn scan(&self, state: StateId, after: Option<&EntityKey>, limit: usize) -> Result<Page, Failure> {
        let view = self.view()?;
        let marker = stored_marker(&view.markers, state)?;
        let (first, end) = (first_place(state, after), end_place(state));
        let mut range = view.records.range::<&[u8]>((bound(&first), bound(&end)))?;
        let mut entries = Vec::new();
        for entry in range.by_ref().take(limit) {
            let (place, value) = entry?;
            let key = EntityKey(place.value()[state.0.len()..].into());
            let record = decode(state, &key, value.value())?;
            entries.push((key, record));
        }
        let more = range.next().transpose()?.is_some();
        let next = entries.last().filter(|_| more).map(|(key, _)| key.clone());
        Ok(Page { marker, entries, next })
    }

    pub(crate) fn switches(&self, state: StateId) -> Result<Vec<RowSwitch>, Failure> {
        let view = self.view()?;
        let (first, end) = (first_place(state, None), end_place(state));
        let mut switches = Vec::new();
        for entry in view.switches.range::<&[u8]>((bound(&first), bound(&end)))? {
            let (place, bytes) = entry?;
            let switch = decode_switch(&place.value()[state.0.len()..], bytes.value());
            switches.push(switch.map_err(|damage| StoreError::DamagedSwitch { state, damage })?);
        }
        Ok(switches)
    }

    pub(crate) fn commit(&self, commits: &[Commit]) -> Result<(), Failure> {
        for Commit { state, puts, slots, .. } in commits {
            slots.iter().try_for_each(|change| change.check_size(*state))?;
            puts.iter().try_for_each(|(key, record)| record.check_size(*state, key))?;
        }
        let transaction = self.begin_write()?;
        for Commit { state, marker, puts, slots, switches } in commits {
            put_marker(&mut transaction.open_table(MARKERS)?, *state, marker)?;
            put_records(&mut transaction.open_table(RECORDS)?, *state, puts)?;
            change_slots(&mut transaction.open_table(SLOTS)?, *state, slots)?;
            put_switches(&mut transaction.open_table(SWITCHES)?, *state, switches)?;
        }
        self.finish(transaction)
    }

    pub(crate) fn clear(&self, state: StateId) -> Result<(), Failure> {
        let transaction = self.begin_write()?;
        transaction.open_table(MARKERS)?.remove(state.0)?;
        let (first, end) = (first_place(state, None), end_place(state));
        transaction.open_table(RECORDS)?.retain_in::<&[u8], _>((bound(&first), bound(&end)), |_, _| false)?;
        transaction.open_table(SLOTS)?.retain_in::<&[u8], _>((bound(&first), bound(&end)), |_, _| false)?;
        transaction.open_table(SWITCHES)?.retain_in::<&[u8], _>((bound(&first), bound(&end)), |_, _| false)?;
        self.finish(transaction)
    }
}

fn stored_marker(table: &impl ReadableTable<[u8; 16], Bytes>, state: StateId) -> Result<Option<Marker>, Failure> {
    let Some(bytes) = table.get(state.0)? else { return Ok(None) };
    let marker = decode_marker(bytes.value()).map_err(|damage| StoreError::DamagedMarker { state, damage })?;
    Ok(Some(marker))
}

/// `place` is a buffer that begins with the state.
fn stored_record(
    table: &ReadOnlyTable<Bytes, Bytes>,
    state: StateId,
    key: &EntityKey,
    place: &mut Vec<u8>,
) -> Result<Option<Record>, Failure> {
    place.truncate(state.0.len());
    place.extend_from_slice(&key.0);
    let Some(bytes) = table.get(place.as_slice())? else { return Ok(None) };
    Ok(Some(decode(state, key, bytes.value())?))
}

/// Head and tiles, then the events of the times that are asked for.
fn stored_slots(
    table: &ReadOnlyTable<Bytes, Bytes>,
    state: StateId,
    query: &EntityQuery,
) -> Result<Slots, Failure> {
    let entity = [&state.0, &*query.key.0].concat();
    let place = |slot: Slot| {
        let mut place = entity.clone();
        encode_slot(slot, &mut place);
        place
    };
    let slot = |bytes: &[u8]| decode_slot(bytes).map_err(|damage| StoreError::DamagedSlot { state, damage });
    let mut slots = Vec::new();
    let mut has_events = false;
    let behind = [entity.as_slice(), &[EVENTS + 1]].concat();
    for entry in table.range::<&[u8]>(place(Slot::Head).as_slice()..behind.as_slice())? {
        let (place, bytes) = entry?;
        let slot = slot(&place.value()[entity.len()..])?;
        if matches!(slot, Slot::Events { .. }) {
            has_events = true;
            break;
        }
        slots.push((slot, bytes.value().to_vec().into()));
    }
    for times in query.events.iter().filter(|_| has_events) {
        let [first, end] = [times.start, times.end].map(|start| place(Slot::Events { start }));
        for entry in table.range::<&[u8]>(first.as_slice()..end.as_slice())? {
            let (place, bytes) = entry?;
            slots.push((slot(&place.value()[entity.len()..])?, bytes.value().to_vec().into()));
        }
    }
    Ok(slots)
}

fn change_slots(
    table: &mut Table<'_, Bytes, Bytes>,
    state: StateId,
    changes: &[SlotChange],
) -> Result<(), Failure> {
    let mut place = Vec::new();
    for SlotChange { key, slot, bytes } in changes {
        place.clear();
        place.extend_from_slice(&state.0);
        place.extend_from_slice(&key.0);
        encode_slot(*slot, &mut place);
        match bytes {
            Some(bytes) => drop(table.insert(place.as_slice(), bytes.as_ref())?),
            None => drop(table.remove(place.as_slice())?),
        }
    }
    Ok(())
}

fn put_switches(
    table: &mut Table<'_, Bytes, Bytes>,
    state: StateId,
    switches: &[RowSwitch],
) -> Result<(), Failure> {
    for switch in switches {
        let (mut place, mut bytes) = (state.0.to_vec(), Vec::new());
        encode_switch_place(switch, &mut place);
        encode_switch(switch, &mut bytes);
        table.insert(place.as_slice(), bytes.as_slice())?;
    }
    Ok(())
}

fn decode(state: StateId, key: &EntityKey, bytes: &[u8]) -> Result<Record, StoreError> {
    decode_record(bytes).map_err(|damage| StoreError::DamagedRecord { state, key: key.clone(), damage })
}

fn put_marker(table: &mut Table<'_, [u8; 16], Bytes>, state: StateId, marker: &Marker) -> Result<(), Failure> {
    if let Some(stored) = stored_marker(table, state)? {
        check_successor(state, &stored, marker)?;
    }
    let mut bytes = Vec::new();
    encode_marker(marker, &mut bytes);
    table.insert(state.0, bytes.as_slice())?;
    Ok(())
}

fn put_records(
    table: &mut Table<'_, Bytes, Bytes>,
    state: StateId,
    puts: &[(EntityKey, Record)],
) -> Result<(), Failure> {
    let mut place = state.0.to_vec();
    let mut bytes = Vec::new();
    for (key, record) in puts {
        place.truncate(state.0.len());
        place.extend_from_slice(&key.0);
        bytes.clear();
        encode_record(record, &mut bytes);
        table.insert(place.as_slice(), bytes.as_slice())?;
    }
    Ok(())
}

/// Whether one marker may follow another: the same life of the state, the same log read in
/// the same way, and no position moved back.
fn check_successor(state: StateId, stored: &Marker, given: &Marker) -> Result<(), StoreError> {
    if stored.incarnation != given.incarnation {
        let (stored, given) = (stored.incarnation, given.incarnation);
        return Err(StoreError::Incarnation { state, stored, given });
    }
    if stored.log != given.log {
        let (stored, given) = (stored.log.0.to_string(), given.log.0.to_string());
        return Err(StoreError::Log { state, stored, given });
    }
    if stored.source != given.source {
        let (stored, given) = (stored.source.clone(), given.source.clone());
        return Err(StoreError::Source { state, stored, given });
    }
    for (&partition, &next) in &stored.positions.0 {
        if given.positions.next(partition) < next {
            let given = given.positions.next(partition);
            return Err(StoreError::Backwards { state, partition, stored: next, given });
        }
    }
    Ok(())
}

/// Where the entities of a state begin, or go on after one of them.
fn first_place(state: StateId, after: Option<&EntityKey>) -> Bound<Vec<u8>> {
    match after {
        None => Bound::Included(state.0.to_vec()),
        Some(key) => Bound::Excluded([&state.0, &*key.0].concat()),
    }
}

/// Where the next state id begins, if there can be one.
fn end_place(state: StateId) -> Bound<Vec<u8>> {
    let next = u128::from_be_bytes(state.0).checked_add(1);
    next.map_or(Bound::Unbounded, |next| Bound::Excluded(next.to_be_bytes().to_vec()))
}

fn bound(place: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    place.as_ref().map(Vec::as_slice)
}

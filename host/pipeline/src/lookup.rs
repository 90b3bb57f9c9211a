//! Reading the values of entities from an online store.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use trifold_model::canonical::ForeignType;
use trifold_model::{DecodeError, EntityKey, EventTime, StateId, ViewKind, decode_rows_as};
use trifold_sandbox::Budget;
use trifold_store::{Marker, OnlineStore, Record, Snapshot, StoreError};

use crate::rows::{Outcome, Rows};
use crate::values::{Latest, values};
use crate::version::LiveVersion;
use crate::windows::{FoldError, WindowRead};

/// The entities that one view is asked for.
pub struct ViewKeys {
    /// The version that answers.
    pub version: LiveVersion,
    /// One key for each result row.
    pub keys: Vec<EntityKey>,
}

/// The answer of one view.
pub struct ViewAnswer {
    /// The version that answered.
    pub version: LiveVersion,
    /// One row for each key.
    pub rows: Rows,
    /// What the state that was read had included; `None` when the store holds no state of this view, and then
    /// every row is unavailable.
    pub marker: Option<Marker>,
}

/// The answers of all views at one as-of time per result row.
pub struct Answer {
    /// The later of the request's time and the latest event time in any record read for the row.
    pub as_of: Vec<EventTime>,
    /// One answer for each view asked, in the order of the question.
    pub views: Vec<ViewAnswer>,
}

/// Why a lookup got no answer at all.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Records that decode one by one do not decode together.
    #[error(
        "view {view}: the records of a lookup are damaged: {source}; run `trifold clear {view}` and replay the log"
    )]
    Record {
        /// The view's name.
        view: String,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// Arrow refused an operation.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    /// A column of a type outside the contract.
    #[error(transparent)]
    Type(#[from] ForeignType),
    /// A plan of folds could not be carried out.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// The view has no windows.
    #[error("view {view} is not a window view")]
    Kind {
        /// The view's name.
        view: String,
    },
}

/// Looks up every view's entities. All views are asked for the same number of keys: key `i` of each belongs to
/// result row `i`, and all values of that row share one as-of time.
pub async fn lookup(
    store: &dyn OnlineStore,
    views: Vec<ViewKeys>,
    request_time: EventTime,
    budget: &mut Budget,
) -> Result<Answer, LookupError> {
    let mut read = Vec::with_capacity(views.len());
    for view in views {
        let known = match view.version.view().kind {
            ViewKind::Window(_) => Read::Windows(WindowRead::read(store, &view).await?),
            ViewKind::Row | ViewKind::OnDemand => Read::Records(read_each(store, &view).await?),
        };
        read.push((view, known));
    }
    let row_count = read.first().map_or(0, |(view, _)| view.keys.len());
    let mut as_of = vec![request_time; row_count];
    for (_, read) in &read {
        for (row, at) in as_of.iter_mut().enumerate() {
            *at = read.latest(row).map_or(*at, |latest| latest.max(*at));
        }
    }
    let views = read
        .into_iter()
        .map(|(view, read)| answer(view.version, read, &as_of, budget))
        .collect::<Result<_, _>>()?;
    Ok(Answer { as_of, views })
}

/// What was read for one view.
enum Read {
    Records(RecordRead),
    Windows(WindowRead),
}

impl Read {
    /// The latest event time of the entity of a row.
    fn latest(&self, row: usize) -> Option<EventTime> {
        match self {
            Read::Records(read) => {
                read.snapshot.records[read.entity[row]].as_ref().map(|record| record.event_time)
            }
            Read::Windows(read) => read.latest(row),
        }
    }

    fn take_marker(&mut self) -> Option<Marker> {
        match self {
            Read::Records(read) => read.snapshot.marker.take(),
            Read::Windows(read) => read.marker.take(),
        }
    }
}

/// The records of the entities of a lookup, each read once, however often it is asked for.
struct RecordRead {
    /// The entity of each row, as an index into the records.
    entity: Vec<usize>,
    snapshot: Snapshot,
    /// The entities whose records are damaged, with the reason.
    damaged: BTreeMap<usize, String>,
}

/// Reads the records of all keys; where one is damaged, key by key, so that it takes no neighbour with it.
async fn read_each(store: &dyn OnlineStore, view: &ViewKeys) -> Result<RecordRead, LookupError> {
    let (entity, entities) = distinct(&view.keys);
    match store.read(view.version.state_id(), &entities).await {
        Ok(snapshot) => Ok(RecordRead { entity, snapshot, damaged: BTreeMap::new() }),
        Err(error) if error.is_damage() => {
            one_by_one(store, view.version.state_id(), entity, &entities, error).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Each key once, and for each row its place among them.
pub(crate) fn distinct(keys: &[EntityKey]) -> (Vec<usize>, Vec<EntityKey>) {
    let mut places = BTreeMap::new();
    let mut entities = Vec::with_capacity(keys.len());
    let place = |key| {
        *places.entry(key).or_insert_with(|| {
            entities.push(EntityKey::clone(key));
            entities.len() - 1
        })
    };
    (keys.iter().map(place).collect(), entities)
}

async fn one_by_one(
    store: &dyn OnlineStore,
    state: StateId,
    entity: Vec<usize>,
    entities: &[EntityKey],
    error: StoreError,
) -> Result<RecordRead, LookupError> {
    let marker = store.marker(state).await?;
    let mut read =
        RecordRead { entity, snapshot: Snapshot { marker, records: Vec::new() }, damaged: BTreeMap::new() };
    for (place, key) in entities.iter().enumerate() {
        let record = match store.read(state, std::slice::from_ref(key)).await {
            // The records must belong to one moment; if the state moved on meanwhile, asking again may help.
            Ok(snapshot) if snapshot.marker != read.snapshot.marker => return Err(error.into()),
            Ok(snapshot) => snapshot.records.into_iter().next().flatten(),
            Err(error) if error.is_damage() => {
                read.damaged.insert(place, error.to_string());
                None
            }
            Err(error) => return Err(error.into()),
        };
        read.snapshot.records.push(record);
    }
    Ok(read)
}

fn answer(
    version: LiveVersion,
    mut read: Read,
    as_of: &[EventTime],
    budget: &mut Budget,
) -> Result<ViewAnswer, LookupError> {
    let Some(marker) = read.take_marker() else {
        let reason = format!(
            "no events of view {} have been applied to this store for state {}: run `trifold stream`",
            version.view().name,
            version.state_id()
        );
        let outputs = RecordBatch::new_empty(version.view().output_schema().clone());
        let rows = Rows::unavailable(&outputs, as_of.len(), reason)?;
        return Ok(ViewAnswer { version, rows, marker: None });
    };
    let rows = match read {
        Read::Records(read) => record_values(&version, read, as_of, budget)?,
        Read::Windows(read) => read.values(&version, &marker, as_of, budget)?,
    };
    Ok(ViewAnswer { version, rows, marker: Some(marker) })
}

fn record_values(
    version: &LiveVersion,
    mut read: RecordRead,
    as_of: &[EventTime],
    budget: &mut Budget,
) -> Result<Rows, LookupError> {
    let latest = latest(version, &mut read)?;
    let mut rows = values(version, &latest, as_of, budget)?;
    for (row, entity) in read.entity.iter().enumerate() {
        if let Some(reason) = read.damaged.get(entity) {
            rows.outcomes[row] = Outcome::Unavailable(reason.clone());
        }
    }
    Ok(rows)
}

/// The events of the records. A value that was kept stands for its inputs, unless another computation made it or it
/// does not decode. Inputs that do not decode join the damaged records.
fn latest(version: &LiveVersion, read: &mut RecordRead) -> Result<Latest, LookupError> {
    let known = known(version, &mut read.snapshot.records);
    let inputs = inputs(version, read)?;
    let records = &read.snapshot.records;
    let (mut times, mut places) = (Vec::new(), vec![None; records.len()]);
    for kept in [true, false] {
        for (place, record) in places.iter_mut().zip(records) {
            if let Some(record) = record.as_ref().filter(|record| record.output.is_some() == kept) {
                *place = Some(times.len() as u32);
                times.push(record.event_time);
            }
        }
    }
    let choice = read.entity.iter().map(|&entity| places[entity]).collect();
    Ok(Latest { known, inputs, times, choice })
}

/// The values that were kept; afterwards no record has an output that is not among them.
fn known(version: &LiveVersion, records: &mut [Option<Record>]) -> Option<RecordBatch> {
    let computation = version.transform.computation();
    for record in records.iter_mut().flatten() {
        record.output.take_if(|output| output.computation != computation);
    }
    let decode = |records: &[Option<Record>]| {
        let rows = records.iter().flatten().filter_map(|record| record.output.as_ref());
        let rows = rows.map(|output| output.fields.as_slice());
        decode_rows_as(&version.view().outputs, version.transform.outputs().clone(), rows)
    };
    records.iter().flatten().any(|record| record.output.is_some()).then_some(())?;
    if let Ok(values) = decode(records) {
        return Some(values);
    }
    for place in 0..records.len() {
        if decode(&records[place..=place]).is_err()
            && let Some(record) = &mut records[place]
        {
            record.output = None;
        }
    }
    decode(records).ok()
}

/// The inputs of the records without a known value.
fn inputs(version: &LiveVersion, read: &mut RecordRead) -> Result<Option<RecordBatch>, LookupError> {
    let view = version.view();
    let wanted = |record: &&Record| record.output.is_none();
    let decode = |records: &[Option<Record>]| {
        let rows = records.iter().flatten().filter(wanted).map(|record| record.fields.as_slice());
        decode_rows_as(&view.inputs, view.input_schema().clone(), rows)
    };
    let records = &mut read.snapshot.records;
    if !records.iter().flatten().any(|record| wanted(&record)) {
        return Ok(None);
    }
    if let Ok(inputs) = decode(records) {
        return Ok(Some(inputs));
    }
    for (entity, record) in records.iter_mut().enumerate() {
        if let Err(error) = decode(std::slice::from_ref(record)) {
            *record = None;
            let reason =
                format!("its record is damaged: {error}; clear the state with `trifold clear` and replay");
            read.damaged.insert(entity, reason);
        }
    }
    let damaged = |source| LookupError::Record { view: view.name.to_string(), source };
    decode(records).map(Some).map_err(damaged)
}

impl Rows {
    /// Rows that are all unavailable for one reason.
    fn unavailable(empty: &RecordBatch, count: usize, reason: String) -> Result<Rows, ArrowError> {
        let nothing = arrow_array::UInt32Array::new_null(count);
        let columns = empty
            .columns()
            .iter()
            .map(|column| arrow_select::take::take(column, &nothing, None))
            .collect::<Result<Vec<_>, _>>()?;
        let fields: Vec<_> =
            empty.schema().fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let schema = std::sync::Arc::new(arrow_schema::Schema::new(fields));
        Ok(Rows::new(
            RecordBatch::try_new(schema, columns)?,
            vec![Outcome::Unavailable(reason); count],
            Default::default(),
        ))
    }
}

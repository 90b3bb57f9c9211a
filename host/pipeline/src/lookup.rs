//! Reading the values of entities from an online store.

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use trifold_model::{DecodeError, EntityKey, EventTime, decode_rows};
use trifold_sandbox::Budget;
use trifold_store::{Marker, OnlineStore, Record, Snapshot, StoreError};

use crate::rows::{Outcome, Rows};
use crate::values::{Latest, values};
use crate::version::LiveVersion;

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
    /// A stored record does not decode as the view's inputs.
    #[error("view {view}: a stored record is damaged: {source}; clear the view's state and replay the log")]
    Record {
        /// The view's name.
        view: String,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// Arrow refused an operation.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
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
        let snapshot = store.read(view.version.state_id(), &view.keys).await?;
        read.push((view, snapshot));
    }
    let row_count = read.first().map_or(0, |(view, _)| view.keys.len());
    let mut as_of = vec![request_time; row_count];
    for (_, snapshot) in &read {
        for (at, record) in as_of.iter_mut().zip(&snapshot.records) {
            *at = record.as_ref().map_or(*at, |record| record.event_time.max(*at));
        }
    }
    let views = read
        .into_iter()
        .map(|(view, snapshot)| answer(view.version, snapshot, &as_of, budget))
        .collect::<Result<_, _>>()?;
    Ok(Answer { as_of, views })
}

fn answer(
    version: LiveVersion,
    snapshot: Snapshot,
    as_of: &[EventTime],
    budget: &mut Budget,
) -> Result<ViewAnswer, LookupError> {
    let Some(marker) = snapshot.marker else {
        let reason = format!(
            "no events of view {} have been applied to this store for state {}: run `trifold stream`",
            version.view().name,
            version.state_id()
        );
        let outputs = RecordBatch::new_empty(version.view().output_schema().clone());
        let rows = Rows::unavailable(&outputs, as_of.len(), reason)?;
        return Ok(ViewAnswer { version, rows, marker: None });
    };
    let latest = latest(&version, &snapshot.records)?;
    let rows = values(&version, &latest, as_of, budget)?;
    Ok(ViewAnswer { version, rows, marker: Some(marker) })
}

fn latest(version: &LiveVersion, records: &[Option<Record>]) -> Result<Latest, LookupError> {
    let view = version.view();
    let found = || records.iter().flatten();
    let inputs = decode_rows(&view.inputs, found().map(|record| record.fields.as_slice()))
        .map_err(|source| LookupError::Record { view: view.name.to_string(), source })?;
    let mut next = 0..;
    let choice = records.iter().map(|record| record.as_ref().and_then(|_| next.next())).collect();
    Ok(Latest { inputs, times: found().map(|record| record.event_time).collect(), choice })
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

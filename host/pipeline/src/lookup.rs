//! Reading the values of entities from an online store, and of requests from what was read.

use std::collections::BTreeMap;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::ArrowError;
use futures::future::try_join_all;
use trifold_model::canonical::ForeignType;
use trifold_model::{CanonicalRows, DecodeError, EntityKey, EventTime, Field, ViewName};
use trifold_sandbox::Budget;
use trifold_store::{Ahead, Marker, OnlineStore, StoreError};

use crate::catalog::LiveViews;
use crate::in_hand::{Admitted, InHand};
use crate::on_demand::{self, ReadView};
use crate::records::RecordRead;
use crate::rows::Rows;
use crate::version::LiveVersion;
use crate::windows::{FoldError, WindowRead};

/// What is asked. Row `i` of the answer is about row `i` of the columns.
pub struct Question<'a> {
    /// The versions in force, among which on-demand views find those that they read.
    pub live: &'a LiveViews,
    /// The versions that answer.
    pub views: Vec<LiveVersion>,
    /// By name, the key fields of row and window views and the request fields of on-demand views, of their types; those
    /// that must not be null are not, and NaNs are canonical.
    pub columns: RecordBatch,
    /// Events in hand, by the view that they are for. It is asked for, or read by a view that is.
    pub in_hand: BTreeMap<ViewName, InHand>,
    /// The time that is asked for. It is also when the events in hand arrive.
    pub time: EventTime,
}

/// The answer of one view.
#[derive(Clone)]
pub struct ViewAnswer {
    /// The version that answered.
    pub version: LiveVersion,
    /// One row for each row of the question.
    pub rows: Rows,
    /// What the rows were made of.
    pub basis: Basis,
}

/// What the rows of an answer were made of.
#[derive(Clone)]
pub enum Basis {
    /// Of a row or window view: what the state that was read had included; `None` when the store holds no state of the
    /// view, and then every row is unavailable.
    State(Option<Reach>),
    /// Of an on-demand view: the versions that it read, by name, and what their state had included.
    Views(Vec<(LiveVersion, Option<Reach>)>),
}

/// How far the state was that the rows of an answer were read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// What was there of all rows.
    pub marker: Marker,
    /// The rows of which there was more.
    pub ahead: BTreeMap<usize, Ahead>,
}

impl Reach {
    /// From what was read of entities to rows, each of which is about one of them.
    pub(crate) fn new(marker: Marker, ahead: BTreeMap<usize, Ahead>, entity: &[usize]) -> Self {
        let rows = entity.iter().enumerate();
        let ahead = rows.filter_map(|(row, entity)| Some((row, *ahead.get(entity)?))).collect();
        Reach { marker, ahead }
    }
}

/// The answers of all views at one as-of time per row.
pub struct Answer {
    /// The latest of the time asked for, the latest event time in any record read for the row, and the times of its
    /// events in hand.
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
    /// The question lacks a column.
    #[error("view {view} needs the column {column}, which the question does not have")]
    Column {
        /// The view's name.
        view: String,
        /// The column.
        column: String,
    },
}

/// Looks every view up. Each row and window view is read once, whether it is asked for or read by an on-demand view, and
/// all values of a row share one as-of time.
pub async fn lookup(
    store: &dyn OnlineStore,
    question: Question<'_>,
    budget: &mut Budget,
) -> Result<Answer, LookupError> {
    let Question { live, views, columns, mut in_hand, time } = question;
    let mut needed: Vec<LiveVersion> = Vec::with_capacity(views.len());
    let asked: Vec<_> = views.into_iter().map(|version| Asked::new(version, live, &mut needed)).collect();
    let mut asks = Vec::with_capacity(needed.len());
    for version in needed {
        let held = in_hand.remove(&version.view().name);
        let in_hand = held.map(|held| Admitted::new(&version, held, time, budget)).transpose()?;
        asks.push(ViewKeys { keys: keys(&version, &columns)?, version, in_hand });
    }
    // A store elsewhere is asked for all of them at once.
    let reads = try_join_all(asks.into_iter().map(|view| async {
        let version = view.version.clone();
        Ok::<_, LookupError>((version, Read::new(store, view).await?))
    }));
    let reads = reads.await?;
    let mut as_of = vec![time; columns.num_rows()];
    for (_, read) in &reads {
        for (row, at) in as_of.iter_mut().enumerate() {
            *at = read.latest(row).map_or(*at, |latest| latest.max(*at));
        }
    }
    let read = reads
        .into_iter()
        .map(|(version, read)| stored(version, read, &as_of, budget))
        .collect::<Result<Vec<_>, _>>()?;
    let views = asked.into_iter().map(|asked| asked.answer(&read, &columns, &as_of, budget));
    Ok(Answer { views: views.collect::<Result<_, _>>()?, as_of })
}

/// One view of a question, and where what it needs stands among all that is read.
enum Asked {
    Stored(usize),
    OnDemand {
        version: LiveVersion,
        reads: Vec<(usize, ReadView)>,
    },
    /// An on-demand view that reads what the versions in force do not give.
    Torn {
        version: LiveVersion,
        reason: String,
    },
}

impl Asked {
    fn new(version: LiveVersion, live: &LiveViews, needed: &mut Vec<LiveVersion>) -> Self {
        let mut place = |version: &LiveVersion| {
            let found = needed.iter().position(|needed| needed.view().name == version.view().name);
            found.unwrap_or_else(|| {
                needed.push(version.clone());
                needed.len() - 1
            })
        };
        if version.view().on_demand().is_none() {
            return Asked::Stored(place(&version));
        }
        match on_demand::reads(version.view(), |name| live.views.get(name).map(LiveVersion::view)) {
            Ok(reads) => {
                let placed = |read: ReadView| Some((place(live.views.get(&read.view)?), read));
                let reads = reads.into_iter().filter_map(placed).collect();
                Asked::OnDemand { version, reads }
            }
            Err(error) => Asked::Torn { version, reason: format!("{error} (among the versions in force)") },
        }
    }

    fn answer(
        self,
        read: &[ViewAnswer],
        columns: &RecordBatch,
        as_of: &[EventTime],
        budget: &mut Budget,
    ) -> Result<ViewAnswer, LookupError> {
        match self {
            Asked::Stored(place) => Ok(read[place].clone()),
            Asked::Torn { version, reason } => {
                let rows = Rows::unavailable(version.view(), as_of.len(), reason)?;
                Ok(ViewAnswer { version, rows, basis: Basis::Views(Vec::new()) })
            }
            Asked::OnDemand { version, reads } => {
                let taken: Vec<_> = reads.iter().map(|(place, taken)| (taken, &read[*place].rows)).collect();
                let rows = on_demand::values(&version, columns, &taken, as_of, budget)?;
                let basis = reads.iter().filter_map(|(place, _)| match &read[*place].basis {
                    Basis::State(reach) => Some((read[*place].version.clone(), reach.clone())),
                    Basis::Views(_) => None,
                });
                let basis = Basis::Views(basis.collect());
                Ok(ViewAnswer { version, rows, basis })
            }
        }
    }
}

/// The entities that one view is read for.
pub(crate) struct ViewKeys {
    /// The version that answers.
    pub(crate) version: LiveVersion,
    /// One key for each row.
    pub(crate) keys: Vec<EntityKey>,
    /// Events in hand.
    pub(crate) in_hand: Option<Admitted>,
}

/// The keys of a view, one for each row.
fn keys(version: &LiveVersion, columns: &RecordBatch) -> Result<Vec<EntityKey>, LookupError> {
    let column = |field: &Field| -> Result<ArrayRef, LookupError> {
        columns.column_by_name(field.name.as_str()).cloned().ok_or_else(|| LookupError::Column {
            view: version.view().name.to_string(),
            column: field.name.to_string(),
        })
    };
    let arrays = version.view().key_fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let canonical = CanonicalRows::of_arrays(&arrays)?;
    let mut scratch = Vec::new();
    Ok((0..columns.num_rows()).map(|row| canonical.key(row, &mut scratch)).collect())
}

/// What was read for one view.
enum Read {
    Records(RecordRead),
    Windows(WindowRead),
}

impl Read {
    async fn new(store: &dyn OnlineStore, view: ViewKeys) -> Result<Self, LookupError> {
        Ok(match view.version.view().windows() {
            Some(_) => Read::Windows(WindowRead::read(store, view).await?),
            None => Read::Records(RecordRead::read(store, view).await?),
        })
    }

    /// The latest event time of the entity of a row.
    fn latest(&self, row: usize) -> Option<EventTime> {
        match self {
            Read::Records(read) => read.latest(row),
            Read::Windows(read) => read.latest(row),
        }
    }

    fn take_reach(&mut self) -> Option<Reach> {
        match self {
            Read::Records(read) => read.take_reach(),
            Read::Windows(read) => read.take_reach(),
        }
    }
}

fn stored(
    version: LiveVersion,
    mut read: Read,
    as_of: &[EventTime],
    budget: &mut Budget,
) -> Result<ViewAnswer, LookupError> {
    let reach = read.take_reach();
    let rows = match read {
        _ if reach.is_none() => {
            let reason = format!(
                "no events of view {} have been applied to this store for state {}, or not all that were: run \
                 `trifold stream`, or `trifold materialize` for a Redis, which may be under way",
                version.view().name,
                version.state_id()
            );
            Rows::unavailable(version.view(), as_of.len(), reason)?
        }
        Read::Records(read) => read.values(&version, as_of, budget)?,
        Read::Windows(read) => read.values(&version, reach.as_ref().map(|reach| &reach.marker), as_of, budget)?,
    };
    Ok(ViewAnswer { version, rows, basis: Basis::State(reach) })
}

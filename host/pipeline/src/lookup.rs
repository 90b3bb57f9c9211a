//! Reading the values of entities from an online store, and of requests from what was read.

mod asked;
mod read;
mod shares;

use std::collections::BTreeMap;
use std::time::Duration;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::ArrowError;
use trifold_model::canonical::ForeignType;
use trifold_model::{CanonicalRows, DecodeError, EntityKey, EventTime, Field, Positions, ViewName};
use trifold_sandbox::Budget;
use trifold_store::{Marker, OnlineStore};

use crate::catalog::LiveViews;
use crate::in_hand::{Admitted, InHand};
use crate::rows::Rows;
use crate::sides::Side;
use crate::version::LiveVersion;
use crate::windows::FoldError;
use asked::{Asked, Given};
use read::{reads, stored};
use shares::Shares;

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
    /// Measures what the rows take to compute.
    pub stopwatch: Stopwatch,
}

/// How much time has passed since some moment.
pub type Stopwatch = fn() -> Duration;

/// A stopwatch that stands still, where nobody wants to know.
pub fn stopped() -> Duration {
    Duration::ZERO
}

/// The answer of one view.
#[derive(Clone)]
pub struct ViewAnswer {
    /// The version in force. It answered all rows but those of the canary.
    pub version: LiveVersion,
    /// One row for each row of the question, those of the canary with the outputs of the version in force.
    pub rows: Rows,
    /// What the rows that the version in force answered were made of.
    pub basis: Basis,
    /// What they took.
    pub cost: Cost,
    /// What the view's canary answered, if there was anything.
    pub canary: Option<CanaryAnswer>,
}

/// The rows that a canary answered.
#[derive(Clone)]
pub struct CanaryAnswer {
    /// The version that answered.
    pub version: LiveVersion,
    /// The rows of the question, ascending.
    pub places: Vec<u32>,
    /// One row for each of them, with the canary's own outputs.
    pub rows: Rows,
    /// What they were made of.
    pub basis: Basis,
    /// What they took.
    pub cost: Cost,
}

/// What rows took to compute, once what is stored was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// The rows that the component computed. Of others the value was stored, or there is none.
    pub computed: u64,
    /// The fuel that the component burnt.
    pub fuel: u64,
    /// The time.
    pub time: Duration,
}

/// What the rows of an answer were made of.
#[derive(Clone)]
pub enum Basis {
    /// Of a row or window view: what the state that was read had included; `None` when the store holds no state of the
    /// view, and then every row is unavailable, or when no row was read.
    State(Option<Reach>),
    /// Of an on-demand view: the views that it read, by name.
    Views(Vec<ViewRead>),
}

/// A view that an on-demand view read.
#[derive(Clone)]
pub struct ViewRead {
    /// The version in force.
    pub version: LiveVersion,
    /// What its state had included.
    pub reach: Option<Reach>,
    /// The view's canary, the rows that it answered, and what its state had included.
    pub canary: Option<(LiveVersion, Vec<u32>, Option<Reach>)>,
}

/// How far the state was that the rows of an answer were read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// What was there of all rows.
    pub marker: Marker,
    /// The rows of which there was more, with the positions that were further.
    pub ahead: BTreeMap<usize, Positions>,
    /// The rows that were made of what was kept from before, since the store could not be asked, and how old that was.
    pub stale: BTreeMap<usize, Duration>,
}

impl Reach {
    /// From what was read of entities to rows, each of which is about one of them.
    pub(crate) fn new(
        marker: Marker,
        ahead: BTreeMap<usize, Positions>,
        stale: BTreeMap<usize, Duration>,
        entity: &[usize],
    ) -> Self {
        Reach { marker, ahead: of_rows(&ahead, entity), stale: of_rows(&stale, entity) }
    }

    /// The same, in terms of the rows of the question.
    fn of_question(mut self, side: &Side) -> Self {
        if let Side::Some(_) = side {
            self.ahead = self.ahead.into_iter().map(|(place, ahead)| (side.row(place), ahead)).collect();
            self.stale = self.stale.into_iter().map(|(place, age)| (side.row(place), age)).collect();
        }
        self
    }
}

fn of_rows<T: Clone>(of_entities: &BTreeMap<usize, T>, entity: &[usize]) -> BTreeMap<usize, T> {
    if of_entities.is_empty() {
        return BTreeMap::new();
    }
    let rows = entity.iter().enumerate();
    rows.filter_map(|(row, entity)| Some((row, of_entities.get(entity)?.clone()))).collect()
}

/// The answers of all views at one as-of time per row.
pub struct Answer {
    /// The latest of the time asked for, the latest event time in any record read for the row, and the times of its
    /// events in hand.
    pub as_of: Vec<EventTime>,
    /// One answer for each view asked, in the order of the question.
    pub views: Vec<ViewAnswer>,
    /// The row and window views that were read for them, whether they were asked for or not.
    pub read: Vec<ViewAnswer>,
}

/// Why a lookup got no answer at all.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
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
    /// The store answered something else than it was asked.
    #[error("view {view}: the store answered something else than it was asked")]
    Answer {
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
    /// Nobody waits for the answer any more.
    #[error("nobody waits for the answer any more")]
    Unwanted,
}

/// Looks every view up. Each row and window view is read once, whether it is asked for or read by an on-demand view, and
/// all values of a row share one as-of time. What cannot be read leaves the rows of its view unavailable, and those of no other
/// but on-demand views that read it.
///
/// Every view has its own share of the budget, whatever the others burn. Once nobody waits for the answer, nothing more is
/// computed, and there is none.
pub async fn lookup(
    store: &dyn OnlineStore,
    question: Question<'_>,
    budget: &mut Budget,
) -> Result<Answer, LookupError> {
    let Question { live, views, columns, mut in_hand, time, stopwatch } = question;
    let mut needed: Vec<LiveVersion> = Vec::with_capacity(views.len());
    let asked: Vec<_> = views.into_iter().map(|version| Asked::new(version, live, &mut needed)).collect();
    let mut shares = Shares::new(budget, needed.len() + asked.iter().filter(|asked| asked.computes()).count());
    let (mut asks, mut read_for) = (Vec::with_capacity(needed.len()), Vec::with_capacity(needed.len()));
    for (view, version) in needed.iter().enumerate() {
        let mut held = in_hand.remove(&version.view().name);
        for answering in answering(version, live, &columns, held.as_ref())? {
            let Answering { version, side, .. } = &answering;
            let held = match side {
                Side::All => held.take(),
                Side::Some(rows) => held.as_ref().map(|held| held.of_rows(rows)).transpose()?,
            };
            let admit = |held| shares.spend(view, |budget| Admitted::new(version, held, time, budget));
            let in_hand = held.map(admit).transpose()?;
            let keys = side.of(&keys(version.view().key_fields(), version, &columns)?).into_owned();
            asks.push(ViewKeys { keys, version: version.clone(), in_hand });
            read_for.push((answering, view));
        }
    }
    let reads: Vec<_> = read_for.into_iter().zip(reads(store, asks).await?).collect();
    wanted(&shares)?;
    let mut as_of = vec![time; columns.num_rows()];
    for ((answering, _), read) in &reads {
        let Ok(read) = read else { continue };
        for place in 0..read.len() {
            let at = &mut as_of[answering.side.row(place)];
            *at = read.latest(place).map_or(*at, |latest| latest.max(*at));
        }
    }
    let mut read: Vec<ViewParts> = needed.iter().map(|_| ViewParts::default()).collect();
    let mut reads = reads.into_iter().peekable();
    while let Some(((Answering { version, side, is_canary }, view), of_view)) = reads.next() {
        let (rows, reach, cost) = shares.spend(view, |budget| {
            let meter = Meter::start(stopwatch, budget);
            let as_of = side.of(&as_of);
            let (rows, reach) = match of_view {
                Ok(of_view) => stored(&version, of_view, &as_of, budget)?,
                Err(error) => (Rows::unavailable(version.view(), as_of.len(), error.to_string())?, None),
            };
            let cost = meter.stop(&rows, budget);
            Ok::<_, LookupError>((rows, reach, cost))
        })?;
        wanted(&shares)?;
        // The version in force comes before its canary, if that takes any row.
        if reads.peek().is_none_or(|((_, next), _)| *next != view) {
            shares.done(view);
        }
        let basis = Basis::State(reach.map(|reach| reach.of_question(&side)));
        let part = Part { version, side, rows, basis, cost };
        *(if is_canary { &mut read[view].canary } else { &mut read[view].serving }) = Some(part);
    }
    let joined = read.into_iter().zip(needed).map(|(parts, version)| parts.joined(version, as_of.len()));
    let read: Vec<_> = joined.collect::<Result<_, _>>()?;
    let given = Given { read: &read, columns: &columns, as_of: &as_of, stopwatch };
    let mut computing = read.len();
    let mut views = Vec::with_capacity(asked.len());
    for asked in asked {
        let view = computing;
        match asked.computes() {
            true => {
                views.push(shares.spend(view, |budget| asked.answer(&given, budget))?);
                shares.done(view);
                computing += 1;
                wanted(&shares)?;
            }
            // The part of a budget that it does not burn is nobody's.
            false => views.push(asked.answer(&given, &mut Budget::fuel(0))?),
        }
    }
    Ok(Answer { as_of, views, read })
}

/// Whether it is worth going on.
fn wanted(shares: &Shares<'_>) -> Result<(), LookupError> {
    if shares.is_wanted() { Ok(()) } else { Err(LookupError::Unwanted) }
}

/// A version that answers some rows of a question.
struct Answering {
    version: LiveVersion,
    side: Side,
    is_canary: bool,
}

/// The versions that answer for a row or window view, each with its rows.
fn answering(
    version: &LiveVersion,
    live: &LiveViews,
    columns: &RecordBatch,
    in_hand: Option<&InHand>,
) -> Result<Vec<Answering>, LookupError> {
    let serving = |side| Answering { version: version.clone(), side, is_canary: false };
    let Some((candidate, canary)) = live.canary(&version.view().name) else { return Ok(vec![serving(Side::All)]) };
    // An event in hand has the fields of the version in force.
    if in_hand.is_some() && candidate.view().inputs != version.view().inputs {
        return Ok(vec![serving(Side::All)]);
    }
    let [left, taken] = Side::divide(canary, &keys(version.view().key_fields(), version, columns)?);
    let both = [serving(left), Answering { version: candidate.clone(), side: taken, is_canary: true }];
    Ok(both.into_iter().filter(|answering| !answering.side.is_empty()).collect())
}

/// Measures what rows take.
struct Meter {
    stopwatch: Stopwatch,
    begun: Duration,
    spent: u64,
}

impl Meter {
    fn start(stopwatch: Stopwatch, budget: &Budget) -> Self {
        Meter { stopwatch, begun: stopwatch(), spent: budget.spent() }
    }

    fn stop(self, rows: &Rows, budget: &Budget) -> Cost {
        let time = (self.stopwatch)().saturating_sub(self.begun);
        Cost { computed: rows.computed(), fuel: budget.spent() - self.spent, time }
    }
}

/// The rows of a view that one version answered.
struct Part {
    version: LiveVersion,
    side: Side,
    rows: Rows,
    basis: Basis,
    cost: Cost,
}

/// What the version in force and the canary of a view answered.
#[derive(Default)]
struct ViewParts {
    serving: Option<Part>,
    canary: Option<Part>,
}

impl ViewParts {
    fn joined(self, version: LiveVersion, count: usize) -> Result<ViewAnswer, LookupError> {
        let ViewParts { serving, canary } = self;
        let Some(canary) = canary else {
            return Ok(match serving {
                Some(Part { rows, basis, cost, .. }) => ViewAnswer { version, rows, basis, cost, canary: None },
                None => ViewAnswer::unavailable(version, count, "nobody was asked".to_owned())?,
            });
        };
        let own = serving.as_ref().map(|serving| &serving.rows);
        let rows = Side::joined((&version, own), (&canary.side, &canary.rows), count)?;
        let (basis, cost) = serving.map_or((Basis::State(None), Cost::default()), |part| (part.basis, part.cost));
        let Part { version: tried, side, rows: taken, basis: of_canary, cost: took } = canary;
        let places = side.rows(count);
        let canary = CanaryAnswer { version: tried, places, rows: taken, basis: of_canary, cost: took };
        Ok(ViewAnswer { version, rows, basis, cost, canary: Some(canary) })
    }
}

impl Answer {
    /// What each view answered that was asked for or read, once.
    pub fn all(&self) -> impl Iterator<Item = &ViewAnswer> {
        let on_demand = self.views.iter().filter(|view| view.version.view().on_demand().is_some());
        self.read.iter().chain(on_demand)
    }
}

impl ViewAnswer {
    /// No answer to any row, for one reason.
    fn unavailable(version: LiveVersion, count: usize, reason: String) -> Result<Self, ArrowError> {
        let rows = Rows::unavailable(version.view(), count, reason)?;
        let basis = match version.view().on_demand() {
            Some(_) => Basis::Views(Vec::new()),
            None => Basis::State(None),
        };
        Ok(ViewAnswer { version, rows, basis, cost: Cost::default(), canary: None })
    }

    /// What an on-demand view says of having read this.
    fn as_read(&self) -> ViewRead {
        let reach = |basis: &Basis| match basis {
            Basis::State(reach) => reach.clone(),
            Basis::Views(_) => None,
        };
        let canary = self
            .canary
            .as_ref()
            .map(|canary| (canary.version.clone(), canary.places.clone(), reach(&canary.basis)));
        ViewRead { version: self.version.clone(), reach: reach(&self.basis), canary }
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

/// The keys that some columns make, one for each row.
fn keys(fields: &[Field], version: &LiveVersion, columns: &RecordBatch) -> Result<Vec<EntityKey>, LookupError> {
    let column = |field: &Field| -> Result<ArrayRef, LookupError> {
        columns.column_by_name(field.name.as_str()).cloned().ok_or_else(|| LookupError::Column {
            view: version.view().name.to_string(),
            column: field.name.to_string(),
        })
    };
    let arrays = fields.iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let canonical = CanonicalRows::of_arrays(&arrays)?;
    let mut scratch = Vec::new();
    Ok((0..columns.num_rows()).map(|row| canonical.key(row, &mut scratch)).collect())
}

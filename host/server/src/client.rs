//! A client whose answers are Arrow columns with canonical bytes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, Schema};
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt;
use trifold_model::{
    ComponentDigest, ErrorCode, EventTime, Field, FieldType, LogId, Positions, RowDigest, RowStatus,
};
use trifold_pipeline::{Outcome, Rows};

use crate::api::online_service_client::OnlineServiceClient;
use crate::api::{self, GetFeaturesRequest, ListViewsRequest};
use crate::codes;
use crate::columns::{self, ColumnError};

/// Why a lookup failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is not a URL.
    #[error(
        "`{url}` is not the URL of a server: write it as in `http://127.0.0.1:7411`, other schemes are not supported"
    )]
    Url {
        /// The address as given.
        url: String,
        /// What is wrong with it, if it can be told.
        source: Option<tonic::transport::Error>,
    },
    /// Nobody answers there.
    #[error("no server answers at {url}: start one with {start}")]
    Connect {
        /// The address.
        url: String,
        /// What starts one.
        start: &'static str,
        /// What the transport said.
        source: tonic::transport::Error,
    },
    /// Whoever answers there is not operated there.
    #[error("{url} is not where a process is operated: name the address of its `--admin`")]
    NotOperated {
        /// The address.
        url: String,
    },
    /// The server refused the request.
    #[error("the server refused: {} ({:?}){}", .0.message(), .0.code(), again(.0))]
    Refused(Box<tonic::Status>),
    /// There was no answer within the time that the client gave it.
    #[error("the server did not answer within {} ms: give it more time, or ask for less", .after.as_millis())]
    Deadline {
        /// How long it had.
        after: Duration,
    },
    /// A column of the answer is not what it says.
    #[error("the server's answer is malformed: {0}")]
    Column(#[from] ColumnError),
    /// The parts of an answer do not fit each other.
    #[error("the server's answer is malformed: view {view}: {problem}")]
    Shape {
        /// The view.
        view: String,
        /// What does not fit.
        problem: String,
    },
    /// Arrow refused the columns.
    #[error("the server's answer is malformed: {0}")]
    Arrow(#[from] ArrowError),
}

impl ClientError {
    fn code(&self) -> Option<tonic::Code> {
        match self {
            ClientError::Refused(status) => Some(status.code()),
            ClientError::Deadline { .. } => Some(tonic::Code::DeadlineExceeded),
            _ => None,
        }
    }

    /// The name of gRPC's code, as in `UNAVAILABLE`, if the server refused or was not reached.
    pub fn code_name(&self) -> Option<&'static str> {
        self.code().map(codes::name)
    }

    /// Whether something that was asked for does not exist: a view or a feature.
    pub fn is_unknown(&self) -> bool {
        self.code() == Some(tonic::Code::NotFound)
    }

    /// Whether the request was wrong or too large, so that asking it again does not help.
    pub fn is_request(&self) -> bool {
        use tonic::Code::{InvalidArgument, ResourceExhausted};
        matches!(self.code(), Some(InvalidArgument | ResourceExhausted)) && self.retry_after().is_none()
    }

    /// After how long the server may take the request that it turned away, if it said so: it has too much to do, or this
    /// caller asks too often.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            ClientError::Refused(status) => status.get_details_retry_info()?.retry_delay,
            _ => None,
        }
    }

    /// Whether the request went over a limit of the server, so that a smaller one may pass.
    pub fn is_limit(&self) -> bool {
        use tonic::Code::{OutOfRange, ResourceExhausted};
        matches!(self.code(), Some(OutOfRange | ResourceExhausted)) && self.retry_after().is_none()
    }

    /// Whether something would have to be otherwise for the request to be granted.
    pub fn is_precondition(&self) -> bool {
        self.code() == Some(tonic::Code::FailedPrecondition)
    }

    /// What the server said, if it refused.
    pub fn said(&self) -> Option<&str> {
        match self {
            ClientError::Refused(status) => Some(status.message()),
            _ => None,
        }
    }

    /// Whether what the server has stored is damaged.
    pub fn is_damage(&self) -> bool {
        self.code() == Some(tonic::Code::DataLoss)
    }
}

/// When a refused request may be asked again, as people read it.
fn again(status: &tonic::Status) -> String {
    let after = status.get_details_retry_info().and_then(|info| info.retry_delay);
    after.map_or_else(String::new, |after| format!("; it may be asked again in {} ms", after.as_millis().max(1)))
}

impl From<tonic::Status> for ClientError {
    fn from(status: tonic::Status) -> Self {
        ClientError::Refused(Box::new(status))
    }
}

/// Connects to a server, which `start` would start.
pub(crate) async fn connect(url: &str, start: &'static str) -> Result<Channel, ClientError> {
    let endpoint = Endpoint::from_shared(url.to_owned())
        .map_err(|source| ClientError::Url { url: url.to_owned(), source: Some(source) })?
        .tcp_nodelay(true);
    if endpoint.uri().scheme_str() != Some("http") {
        return Err(ClientError::Url { url: url.to_owned(), source: None });
    }
    let connected = endpoint.connect().await;
    connected.map_err(|source| ClientError::Connect { url: url.to_owned(), start, source })
}

/// A connection to an online server. Clones share it.
#[derive(Debug, Clone)]
pub struct Client {
    inner: OnlineServiceClient<Channel>,
    deadline: Option<Duration>,
}

/// What is looked up.
#[derive(Debug, Clone, Copy)]
pub struct Lookup<'a> {
    /// `view` for all features of a view, `view.feature` for one of them.
    pub features: &'a [String],
    /// The key columns of row and window views and the request columns of on-demand views, by name, one row each.
    pub columns: &'a RecordBatch,
    /// The time that is asked for; the server's clock if not given.
    pub as_of: Option<EventTime>,
    /// Events that no log has yet.
    pub in_hand: &'a [InHand],
}

/// Events in hand of one view.
#[derive(Debug, Clone)]
pub struct InHand {
    /// A row or window view that is asked for, or read by an on-demand view that is.
    pub view: String,
    /// `event_time`, `event_id` and the view's other event fields without its key fields, by name, one row for each
    /// row of the lookup. A row whose time is null has no event.
    pub events: RecordBatch,
}

/// The answers of all views asked.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The as-of time of each row.
    pub as_of: Vec<EventTime>,
    /// One answer for each view, in the order of the question.
    pub views: Vec<ViewRows>,
}

/// The answer of one view.
#[derive(Debug, Clone)]
pub struct ViewRows {
    /// The view.
    pub view: String,
    /// The version in force. It answered all rows but those of the canary.
    pub version: u64,
    /// Its component.
    pub digest: ComponentDigest,
    /// What the state had included, if the server has state of the view.
    pub position: Option<StatePosition>,
    /// Of an on-demand view: the views that it read, by name.
    pub reads: Vec<ViewRead>,
    /// The rows that a version answered which is tried out.
    pub canary: Option<CanaryRows>,
    /// The rows. Their canonical bytes are those of the view's value if all its features were asked for.
    pub rows: Rows,
    /// The digests that the server sent, where they were asked for.
    pub digests: Vec<Option<RowDigest>>,
}

/// What the answer of one row was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowBasis<'a> {
    /// The view.
    pub view: &'a str,
    /// The version that answered.
    pub version: u64,
    /// Its component.
    pub digest: ComponentDigest,
    /// What its state had included, if the server has state of the view.
    pub position: Option<&'a StatePosition>,
    /// Of an on-demand view: the views that it read, by name.
    pub reads: Vec<RowBasis<'a>>,
}

impl ViewRows {
    /// What the answer of a row was made of.
    pub fn of_row(&self, row: usize) -> RowBasis<'_> {
        let serving = (self.version, self.digest, self.position.as_ref(), self.reads.as_slice());
        RowBasis::new(&self.view, serving, self.canary.as_ref(), row)
    }
}

impl<'a> RowBasis<'a> {
    fn new(
        view: &'a str,
        serving: (u64, ComponentDigest, Option<&'a StatePosition>, &'a [ViewRead]),
        canary: Option<&'a CanaryRows>,
        row: usize,
    ) -> Self {
        let canary = canary.filter(|canary| canary.rows.binary_search(&row).is_ok());
        let (version, digest, position, reads) = canary.map_or(serving, |canary| {
            (canary.version, canary.digest, canary.position.as_ref(), canary.reads.as_slice())
        });
        let read = |read: &'a ViewRead| {
            let serving = (read.version, read.digest, read.position.as_ref(), [].as_slice());
            RowBasis::new(&read.view, serving, read.canary.as_ref(), row)
        };
        RowBasis { view, version, digest, position, reads: reads.iter().map(read).collect() }
    }
}

/// The rows of an answer that a canary answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanaryRows {
    /// The version.
    pub version: u64,
    /// Its component.
    pub digest: ComponentDigest,
    /// The rows, ascending.
    pub rows: Vec<usize>,
    /// What the canary's state had included.
    pub position: Option<StatePosition>,
    /// Of an on-demand view: the views that the canary read, by name.
    pub reads: Vec<ViewRead>,
}

/// How far a log had been applied to a state that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatePosition {
    /// The log.
    pub log: LogId,
    /// The positions up to which it was applied to the records of all rows.
    pub positions: Positions,
    /// The rows to whose records more was applied, with the positions that are further.
    pub ahead: BTreeMap<usize, Positions>,
    /// The rows that were made of what the server had kept, since the store could not be asked, and how old that was.
    pub stale: BTreeMap<usize, Duration>,
}

impl StatePosition {
    /// What the record of a row's entity had included.
    pub fn of_row(&self, row: usize) -> Positions {
        let mut positions = self.positions.clone();
        positions.0.extend(self.ahead.get(&row).into_iter().flat_map(|ahead| &ahead.0));
        positions
    }
}

/// A view that an on-demand view read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewRead {
    /// The view.
    pub view: String,
    /// The version that was read.
    pub version: u64,
    /// Its component.
    pub digest: ComponentDigest,
    /// What its state had included, if the server has state of the view.
    pub position: Option<StatePosition>,
    /// The rows that the view's canary answered.
    pub canary: Option<CanaryRows>,
}

impl Client {
    /// Connects to a server.
    pub async fn connect(url: &str) -> Result<Self, ClientError> {
        let channel = connect(url, "`trifold serve` or `trifold up`").await?;
        Ok(Client {
            inner: OnlineServiceClient::new(channel).max_decoding_message_size(usize::MAX),
            deadline: None,
        })
    }

    /// The same, that waits no longer for a lookup. The server is told, and stops then, too.
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Client { deadline: Some(deadline), ..self }
    }

    /// The views in force.
    pub async fn views(&mut self) -> Result<Vec<api::View>, ClientError> {
        Ok(self.inner.list_views(ListViewsRequest {}).await?.into_inner().views)
    }

    /// Looks features up. `columns` are those of [`Lookup::columns`].
    pub async fn get(
        &mut self,
        features: &[String],
        columns: &RecordBatch,
        as_of: Option<EventTime>,
    ) -> Result<Answer, ClientError> {
        self.look_up(Lookup { features, columns, as_of, in_hand: &[] }).await
    }

    /// Looks features up.
    pub async fn look_up(&mut self, lookup: Lookup<'_>) -> Result<Answer, ClientError> {
        let Lookup { features, columns, as_of, in_hand } = lookup;
        let in_hand = in_hand.iter().map(|held| {
            let columns = sent_columns(&held.events)?;
            Ok(api::InHandEvents { view: held.view.clone(), columns })
        });
        let request = GetFeaturesRequest {
            features: features.to_vec(),
            entities: sent_columns(columns)?,
            as_of_micros: as_of.map(|time| time.0),
            row_digests: true,
            in_hand: in_hand.collect::<Result<_, ColumnError>>()?,
        };
        let mut request = tonic::Request::new(request);
        self.deadline.into_iter().for_each(|deadline| request.set_timeout(deadline));
        let response = self.inner.get_features(request).await.map_err(|status| self.refused(status))?.into_inner();
        let views = response.views.into_iter().map(view_rows).collect::<Result<Vec<_>, _>>()?;
        let rows = columns.num_rows();
        let fits = |view: &&ViewRows| view.rows.len() == rows && view.digests.len() == rows;
        if let Some(view) = views.iter().find(|view| !fits(view)) {
            return Err(ClientError::Shape {
                view: view.view.clone(),
                problem: format!("it does not have {rows} rows"),
            });
        }
        if response.as_of_micros.len() != rows {
            let view = features.join(", ");
            return Err(ClientError::Shape {
                view,
                problem: format!("{} as-of times for {rows} rows", response.as_of_micros.len()),
            });
        }
        Ok(Answer { as_of: response.as_of_micros.into_iter().map(EventTime).collect(), views })
    }
}

impl Client {
    /// What a status says. The transport of this side calls a deadline that passed cancelled, too.
    fn refused(&self, status: tonic::Status) -> ClientError {
        use tonic::Code::{Cancelled, DeadlineExceeded};
        match self.deadline {
            Some(after) if matches!(status.code(), Cancelled | DeadlineExceeded) => {
                ClientError::Deadline { after }
            }
            _ => status.into(),
        }
    }
}

fn sent_columns(batch: &RecordBatch) -> Result<Vec<api::Column>, ColumnError> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, array)| {
        let ty = FieldType::ALL.into_iter().find(|ty| ty.to_arrow() == *array.data_type());
        let ty = ty.ok_or_else(|| ColumnError::Shape {
            column: field.name().clone(),
            problem: format!("type {} cannot be sent", array.data_type()),
        })?;
        Ok(columns::to_message(field.name(), ty, array))
    });
    columns.collect()
}

fn view_rows(answer: api::ViewAnswer) -> Result<ViewRows, ClientError> {
    let shape = |problem: &str| ClientError::Shape { view: answer.view.clone(), problem: problem.to_owned() };
    let digest = component(&answer.component_digest).map_err(shape)?;
    let reads = answer.reads.iter().map(read).collect::<Result<_, _>>().map_err(shape)?;
    let canary = answer.canary.as_ref().map(canary).transpose().map_err(shape)?;
    if canary.iter().flat_map(|canary| &canary.rows).any(|row| *row >= answer.statuses.len()) {
        return Err(shape("its canary answered rows that there are not"));
    }
    let mut problems: BTreeMap<usize, _> =
        answer.problems.iter().map(|problem| (problem.row as usize, problem)).collect();
    let mut messages = BTreeMap::new();
    let mut outcomes = Vec::with_capacity(answer.statuses.len());
    for (row, status) in answer.statuses().enumerate() {
        let problem = problems.remove(&row);
        let message = problem.map(|problem| problem.message.clone()).unwrap_or_default();
        outcomes.push(match status {
            api::RowStatus::Value => Outcome::Known(RowStatus::Value),
            api::RowStatus::Empty => Outcome::Known(RowStatus::Empty),
            api::RowStatus::Expired => Outcome::Known(RowStatus::Expired),
            api::RowStatus::Unavailable => Outcome::Unavailable(message),
            api::RowStatus::Error => {
                let code = problem.and_then(|problem| problem.code).and_then(|code| u16::try_from(code).ok());
                messages.insert(row, message);
                Outcome::Known(RowStatus::Error(ErrorCode(code.ok_or_else(|| shape("an error has no code"))?)))
            }
            api::RowStatus::Unspecified => return Err(shape("a row has no status")),
        });
    }
    let digests =
        answer.row_digests.iter().map(|digest| digest.as_slice().try_into().ok().map(RowDigest)).collect();
    Ok(ViewRows {
        version: answer.version,
        digest,
        position: answer.position.as_ref().map(position),
        reads,
        canary,
        rows: Rows::new(batch(&answer.columns, outcomes.len())?, outcomes, messages),
        digests,
        view: answer.view,
    })
}

const NO_DIGEST: &str = "the component's digest is no SHA-256";

fn component(digest: &[u8]) -> Result<ComponentDigest, &'static str> {
    digest.try_into().map(ComponentDigest).map_err(|_| NO_DIGEST)
}

fn read(read: &api::ViewRead) -> Result<ViewRead, &'static str> {
    Ok(ViewRead {
        view: read.view.clone(),
        version: read.version,
        digest: component(&read.component_digest)?,
        position: read.position.as_ref().map(position),
        canary: read.canary.as_ref().map(canary).transpose()?,
    })
}

fn canary(canary: &api::CanaryAnswer) -> Result<CanaryRows, &'static str> {
    Ok(CanaryRows {
        version: canary.version,
        digest: component(&canary.component_digest)?,
        rows: canary.rows.iter().map(|&row| row as usize).collect(),
        position: canary.position.as_ref().map(position),
        reads: canary.reads.iter().map(read).collect::<Result<_, _>>()?,
    })
}

fn position(position: &api::Position) -> StatePosition {
    let next = position.next_offsets.iter().map(|(&partition, &next)| (partition, next)).collect();
    let mut ahead: BTreeMap<usize, Positions> = BTreeMap::new();
    for row in &position.ahead {
        ahead.entry(row.row as usize).or_default().0.insert(row.partition, row.next_offset);
    }
    let stale = position.stale.iter().map(|row| (row.row as usize, Duration::from_millis(row.age_ms))).collect();
    StatePosition { log: LogId(position.log.as_str().into()), positions: Positions(next), ahead, stale }
}

fn batch(columns: &[api::Column], rows: usize) -> Result<RecordBatch, ClientError> {
    let arrays = columns.iter().map(columns::from_message).collect::<Result<Vec<ArrayRef>, _>>()?;
    let fields: Vec<_> = columns
        .iter()
        .zip(&arrays)
        .map(|(column, array)| arrow_schema::Field::new(&column.name, array.data_type().clone(), true))
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?)
}

/// Fields of a view as model fields; `None` where the server speaks of a type that this client lacks.
pub fn model_fields(fields: &[api::Field]) -> Option<Vec<Field>> {
    let fields = fields.iter().map(|field| {
        let ty = field.r#type.parse().ok()?;
        Some(Field { name: field.name.parse().ok()?, ty, nullable: field.nullable, doc: field.doc.clone() })
    });
    fields.collect()
}

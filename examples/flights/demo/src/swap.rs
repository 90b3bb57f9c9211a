//! A release while lookups run: none may fail, and no answer may hold rows of two versions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow_array::RecordBatch;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use trifold_model::EventTime;
use trifold_server::client::{Answer, Client, ClientError};

use crate::digests::Digests;
use crate::error::DemoError;
use crate::lookup::{self, digests_of};

/// Requests at one time.
const CLIENTS: usize = 4;
/// Entities of one request.
const REQUEST_ROWS: usize = 50;
/// Requests that each version must answer.
const ENOUGH: u64 = 100;
/// How long a version may take to answer them.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the lookups ask and what they must be answered.
pub(crate) struct Load {
    view: String,
    as_of: EventTime,
    requests: Vec<RecordBatch>,
    /// For each version the digest of each entity's row, by the entity's number, as a backfill computes it.
    expected: BTreeMap<u64, Digests>,
}

/// What happened to the requests.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// Answered or not.
    pub(crate) requests: u64,
    /// Refused, unanswered, or answered with anything but the rows of the version that the answer names.
    pub(crate) failed: u64,
    /// Good answers of each version.
    pub(crate) versions: BTreeMap<u64, u64>,
    /// What was wrong with the first that failed.
    pub(crate) first_failure: Option<String>,
}

impl Load {
    pub(crate) fn new(
        view: &str,
        columns: &RecordBatch,
        as_of: EventTime,
        expected: BTreeMap<u64, Digests>,
    ) -> Load {
        let requests = lookup::requests(columns, REQUEST_ROWS).collect();
        Load { view: view.to_owned(), as_of, requests, expected }
    }

    /// Rows whose digests differ between the versions: in these a mixed answer shows.
    pub(crate) fn telling_rows(&self) -> u64 {
        let mut versions = self.expected.values();
        let (Some(first), Some(second)) = (versions.next(), versions.next()) else { return 0 };
        first.iter().filter(|(number, digest)| second.get(number) != Some(digest)).count() as u64
    }

    /// The version that answered, or what is wrong with the answer to a request.
    fn judge(&self, request: usize, answer: Result<Answer, ClientError>) -> Result<u64, String> {
        let answer = answer.map_err(|error| error.to_string())?;
        let [rows] = answer.views.as_slice() else {
            return Err(format!("{} views answered instead of one", answer.views.len()));
        };
        let version = rows.version;
        let expected =
            self.expected.get(&version).ok_or_else(|| format!("version {version} was never released"))?;
        let digests = digests_of(rows).map_err(|error| error.to_string())?;
        if digests.len() != self.requests[request].num_rows() {
            return Err(format!("{} rows instead of {}", digests.len(), self.requests[request].num_rows()));
        }
        let first = (request * REQUEST_ROWS) as u64;
        let wrong = (first..).zip(&digests).find(|(number, digest)| expected.get(number) != Some(*digest));
        match wrong {
            Some((number, _)) => Err(format!("entity {number}: not the row of version {version}")),
            None => Ok(version),
        }
    }
}

/// Looks up without a pause, runs `swap` once the first version has answered enough, and goes on until the
/// second one has. A failed request ends the waiting.
pub(crate) async fn under_load(
    client: &Client,
    load: Load,
    swap: impl Future<Output = Result<(), DemoError>>,
) -> Result<Tally, DemoError> {
    let versions: Vec<u64> = load.expected.keys().copied().collect();
    let (load, stop) = (Arc::new(load), Arc::new(AtomicBool::new(false)));
    let (tally, mut seen) = watch::channel(Tally::default());
    let tally = Arc::new(tally);
    let mut clients = JoinSet::new();
    for first in 0..CLIENTS {
        clients.spawn(look_up(client.clone(), load.clone(), first, tally.clone(), stop.clone()));
    }
    let mut swap = Some(swap);
    for version in versions {
        enough_of(&mut seen, version).await?;
        if let Some(swap) = swap.take() {
            swap.await?;
        }
    }
    stop.store(true, Ordering::Relaxed);
    clients.join_all().await;
    Ok(tally.borrow().clone())
}

async fn enough_of(seen: &mut watch::Receiver<Tally>, version: u64) -> Result<(), DemoError> {
    let enough =
        |tally: &Tally| tally.failed > 0 || tally.versions.get(&version).is_some_and(|count| *count >= ENOUGH);
    let in_time = timeout(PATIENCE, seen.wait_for(enough)).await.is_ok();
    if in_time {
        return Ok(());
    }
    let (tally, seconds) = (seen.borrow(), PATIENCE.as_secs());
    let message = format!("version {version} has not answered {ENOUGH} requests within {seconds} s: {tally:?}");
    Err(DemoError::Unexpected(message))
}

async fn look_up(
    mut client: Client,
    load: Arc<Load>,
    first: usize,
    tally: Arc<watch::Sender<Tally>>,
    stop: Arc<AtomicBool>,
) {
    let features = [load.view.clone()];
    let numbers = (0..load.requests.len()).cycle().skip(first);
    for request in numbers.take_while(|_| !stop.load(Ordering::Relaxed)) {
        let answer = client.get(&features, &load.requests[request], Some(load.as_of)).await;
        let judged = load.judge(request, answer);
        tally.send_modify(|tally| tally.count(judged));
    }
}

impl Tally {
    fn count(&mut self, judged: Result<u64, String>) {
        self.requests += 1;
        match judged {
            Ok(version) => *self.versions.entry(version).or_default() += 1,
            Err(problem) => {
                self.failed += 1;
                self.first_failure.get_or_insert(problem);
            }
        }
    }
}

//! Answering requests.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tonic::{Request, Response, Status};
use trifold_model::EventTime;
use trifold_pipeline::lookup::stopped;
use trifold_pipeline::{LiveViews, LookupError, Question, lookup};
use trifold_sandbox::Budget;
use trifold_store::OnlineStore;

use crate::api::online_service_server::OnlineService;
use crate::api::{GetFeaturesRequest, GetFeaturesResponse, ListViewsRequest, ListViewsResponse};
use crate::caller::{Caller, LetIn};
use crate::limits::admission::Place;
use crate::limits::deadline::{Spending, Waits};
use crate::limits::receive::Begun;
use crate::limits::{Gates, Rejection};
use crate::load::Load;
use crate::observed::Observed;
use crate::request::AskedView;
use crate::server::ServerConfig;
use crate::shadow::{Asked, Shadows};
use crate::{answer, columns, request};

/// Where the server's time comes from.
pub type Clock = fn() -> EventTime;

/// Requests of more rows are computed by a thread of their own, so that they hold up nobody, and so that it is noticed
/// when their caller leaves. Smaller ones are spared the switch of threads; they end with their deadline, and else with
/// the fuel of their rows.
const ROWS_INLINE_MAX: usize = 16;

/// Answers requests from a store with the versions in force. Clones are the same.
#[derive(Clone)]
pub struct Online {
    pub(crate) store: Arc<dyn OnlineStore>,
    pub(crate) live: watch::Receiver<Arc<LiveViews>>,
    pub(crate) clock: Clock,
    pub(crate) config: ServerConfig,
    pub(crate) observed: Observed,
    pub(crate) shadows: Shadows,
    pub(crate) gates: Gates,
}

/// A request that was let in.
struct Admitted {
    request: GetFeaturesRequest,
    live: Arc<LiveViews>,
    views: Vec<AskedView>,
    budget: Budget,
    deadline: Option<Instant>,
    _place: Place,
}

/// How long the process has answered.
pub(crate) fn uptime() -> Duration {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    BEGUN.elapsed()
}

impl Online {
    /// Lets a caller in, whichever protocol it speaks, unless it asks too often. Nothing is read of its request before.
    pub(crate) fn let_in(&self, caller: Caller) -> Result<LetIn, Status> {
        caller.let_in(self.gates.rates.as_ref().as_ref(), uptime()).map_err(|rejection| {
            self.gates.load.rejected(rejection.name());
            rejection.status()
        })
    }

    /// Answers a question of a request.
    ///
    /// Whoever drops this gives the request up: it leaves the queue, and what is computed for it stops.
    pub(crate) async fn answer(
        &self,
        caller: &LetIn,
        request: GetFeaturesRequest,
    ) -> Result<GetFeaturesResponse, Status> {
        let leaving = Leaving(Some(&self.gates.load));
        let answered = self.admitted_answer(caller, request).await;
        leaving.stays();
        match &answered {
            Ok(_) => self.gates.load.answered(),
            Err(Refusal::Rejected(rejection)) => self.gates.load.rejected(rejection.name()),
            Err(Refusal::Status(_)) => {}
        }
        answered.map_err(Refusal::into_status)
    }

    async fn admitted_answer(
        &self,
        caller: &LetIn,
        request: GetFeaturesRequest,
    ) -> Result<GetFeaturesResponse, Refusal> {
        // One snapshot for the whole request: a release in the meantime does not concern it.
        let live = self.live.borrow().clone();
        let views = request::views(&request, &live, &self.config)?;
        let rows = request.entities.first().map_or(0, columns::row_count);
        let deadline = caller.deadline(self.gates.deadline);
        let place = self.gates.admission.enter(request::computed(&views), deadline).await?;
        let mut waits = Waits::until(deadline);
        let budget = Budget::fuel(self.config.request_fuel).at_most_each(self.config.view_fuel);
        let budget = budget.while_wanted(waits.is_wanted());
        let admitted = Admitted { request, live, views, budget, deadline, _place: place };
        let runtime = Handle::current();
        // Store and components answer without giving way, so a large request would stall whatever else its thread has
        // to do: other requests, health checks, accepting connections.
        if rows > ROWS_INLINE_MAX && runtime.runtime_flavor() == RuntimeFlavor::MultiThread {
            let (online, left) = (self.clone(), waits.left());
            let computing = spawn_blocking(move || {
                runtime.block_on(async {
                    tokio::select! {
                        answer = online.features(admitted) => answer,
                        () = left => Err(Waits::why(deadline).into()),
                    }
                })
            });
            let broken = |error| Status::internal(format!("the request broke down: {error}"));
            waits.wait_for(computing).await?.map_err(broken)?
        } else {
            waits.wait_for(self.features(admitted)).await?
        }
    }

    /// Computes an answer. Its place is free again when this ends, whoever waits for it.
    async fn features(&self, admitted: Admitted) -> Result<GetFeaturesResponse, Refusal> {
        let Admitted { request, live, views, budget, deadline, _place } = admitted;
        let mut spending = Spending::new(budget, self.gates.load.clone());
        let unwanted = || Err(Refusal::Rejected(Waits::why(deadline)));
        if !spending.budget.is_wanted() {
            return unwanted();
        }
        let asked = request::parse(&request, views, &live)?;
        let time = request.as_of_micros.map_or_else(self.clock, EventTime);
        let views: Vec<_> = asked.views.iter().map(|view| view.version.clone()).collect();
        // Where nothing is tried out, nothing is measured.
        let is_trial = !live.candidates.is_empty();
        let stopwatch = if is_trial { uptime } else { stopped };
        let again = is_trial.then(|| Asked {
            live: live.clone(),
            views: views.clone(),
            columns: asked.columns.clone(),
            in_hand: asked.in_hand.clone(),
            time,
        });
        let question =
            Question { live: &live, views, columns: asked.columns, in_hand: asked.in_hand, time, stopwatch };
        let answer = match lookup(&*self.store, question, &mut spending.budget).await {
            Ok(answer) => answer,
            Err(LookupError::Unwanted) => return unwanted(),
            Err(error) => return Err(status(&error).into()),
        };
        if let Some(again) = again {
            answer.all().for_each(|view| self.observed.answered(&live, view));
            self.shadows.ask(&again, &answer);
        }
        let views = answer
            .views
            .iter()
            .zip(&asked.views)
            .map(|(view, asked)| answer::to_message(view, &asked.outputs, request.row_digests))
            .collect::<Result<_, Status>>()?;
        Ok(GetFeaturesResponse { as_of_micros: answer.as_of.iter().map(|time| time.0).collect(), views })
    }
}

fn status(error: &LookupError) -> Status {
    match error {
        LookupError::Record { .. } => Status::data_loss(error.to_string()),
        LookupError::Arrow(_)
        | LookupError::Type(_)
        | LookupError::Fold(_)
        | LookupError::Kind { .. }
        | LookupError::Answer { .. }
        | LookupError::Column { .. } => Status::internal(error.to_string()),
        LookupError::Unwanted => Status::cancelled(error.to_string()),
    }
}

/// Counts a caller that leaves before it is answered, which ends whatever waits for the answer.
struct Leaving<'a>(Option<&'a Load>);

impl Leaving<'_> {
    fn stays(mut self) {
        self.0 = None;
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if let Some(load) = self.0 {
            load.rejected(Rejection::Cancelled.name());
        }
    }
}

/// Why a request has no answer.
enum Refusal {
    /// It was turned away, or given up.
    Rejected(Rejection),
    /// It is wrong, or something is broken.
    Status(Status),
}

impl Refusal {
    fn into_status(self) -> Status {
        match self {
            Refusal::Rejected(rejection) => rejection.status(),
            Refusal::Status(status) => status,
        }
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Refusal::Rejected(rejection)
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Refusal::Status(status)
    }
}

#[tonic::async_trait]
impl OnlineService for Online {
    async fn get_features(
        &self,
        request: Request<GetFeaturesRequest>,
    ) -> Result<Response<GetFeaturesResponse>, Status> {
        let begun = request.extensions().get::<Begun>().map_or_else(Instant::now, |begun| begun.0);
        let caller = Caller::new(request.metadata().as_ref(), request.remote_addr()).since(begun);
        let caller = self.let_in(caller)?;
        self.answer(&caller, request.into_inner()).await.map(Response::new)
    }

    async fn list_views(&self, _: Request<ListViewsRequest>) -> Result<Response<ListViewsResponse>, Status> {
        let live = self.live.borrow().clone();
        Ok(Response::new(ListViewsResponse { views: live.views.values().map(answer::view).collect() }))
    }
}

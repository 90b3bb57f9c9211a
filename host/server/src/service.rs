//! Answering requests.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::watch;
use tokio::task::block_in_place;
use tonic::{Request, Response, Status};
use trifold_model::EventTime;
use trifold_pipeline::lookup::stopped;
use trifold_pipeline::{LiveViews, LookupError, Question, lookup};
use trifold_sandbox::Budget;
use trifold_store::OnlineStore;

use crate::api::online_service_server::OnlineService;
use crate::api::{GetFeaturesRequest, GetFeaturesResponse, ListViewsRequest, ListViewsResponse};
use crate::caller::Caller;
use crate::observed::Observed;
use crate::server::ServerConfig;
use crate::shadow::{Asked, Shadows};
use crate::{answer, columns, request};

/// Where the server's time comes from.
pub type Clock = fn() -> EventTime;

/// Requests of more rows leave their thread's other work to another thread first, so that they hold up nobody.
/// Smaller ones are spared the switch of threads.
const ROWS_INLINE_MAX: usize = 16;

/// Answers requests from a store with the versions in force.
pub struct Online {
    pub(crate) store: Arc<dyn OnlineStore>,
    pub(crate) live: watch::Receiver<Arc<LiveViews>>,
    pub(crate) clock: Clock,
    pub(crate) config: ServerConfig,
    pub(crate) observed: Observed,
    pub(crate) shadows: Shadows,
}

/// How long the process has answered.
pub(crate) fn uptime() -> Duration {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    BEGUN.elapsed()
}

impl Online {
    /// Answers a request, whichever protocol it came by.
    ///
    /// Store and components answer without giving way, so a large request would stall whatever else its thread
    /// has to do: other requests, health checks, accepting connections.
    pub(crate) async fn answer(
        &self,
        _caller: &Caller,
        request: GetFeaturesRequest,
    ) -> Result<GetFeaturesResponse, Status> {
        let rows = request.entities.first().map_or(0, columns::row_count);
        let runtime = Handle::current();
        if rows > ROWS_INLINE_MAX && runtime.runtime_flavor() == RuntimeFlavor::MultiThread {
            block_in_place(|| runtime.block_on(self.features(request)))
        } else {
            self.features(request).await
        }
    }

    async fn features(&self, request: GetFeaturesRequest) -> Result<GetFeaturesResponse, Status> {
        // One snapshot for the whole request: a release in the meantime does not concern it.
        let live = self.live.borrow().clone();
        let asked = request::parse(&request, &live, self.config.rows_max)?;
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
        let mut budget = Budget::fuel(self.config.request_fuel);
        let answer = lookup(&*self.store, question, &mut budget).await.map_err(|error| status(&error))?;
        if let Some(again) = again {
            answer.all().for_each(|view| self.observed.answered(&live, view));
            self.shadows.ask(&again, &answer);
        }
        let views = answer
            .views
            .iter()
            .zip(&asked.views)
            .map(|(view, asked)| answer::to_message(view, &asked.outputs, request.row_digests))
            .collect::<Result<_, _>>()?;
        Ok(GetFeaturesResponse { as_of_micros: answer.as_of.iter().map(|time| time.0).collect(), views })
    }
}

fn status(error: &LookupError) -> Status {
    match error {
        LookupError::Store(_) => Status::unavailable(error.to_string()),
        LookupError::Record { .. } => Status::data_loss(error.to_string()),
        LookupError::Arrow(_)
        | LookupError::Type(_)
        | LookupError::Fold(_)
        | LookupError::Kind { .. }
        | LookupError::Column { .. } => Status::internal(error.to_string()),
    }
}

#[tonic::async_trait]
impl OnlineService for Online {
    async fn get_features(
        &self,
        request: Request<GetFeaturesRequest>,
    ) -> Result<Response<GetFeaturesResponse>, Status> {
        let caller = Caller::new(request.metadata().as_ref(), request.remote_addr());
        self.answer(&caller, request.into_inner()).await.map(Response::new)
    }

    async fn list_views(&self, _: Request<ListViewsRequest>) -> Result<Response<ListViewsResponse>, Status> {
        let live = self.live.borrow().clone();
        Ok(Response::new(ListViewsResponse { views: live.views.values().map(answer::view).collect() }))
    }
}

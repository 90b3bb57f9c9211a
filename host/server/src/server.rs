//! Listening, health, reflection and stopping, for all protocols.

use std::sync::Arc;
use std::time::Duration;

use futures::future::OptionFuture;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::Code;
use tonic::codegen::http::{HeaderValue, Response};
use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::util::MapResponseLayer;
use trifold_model::ViewName;
use trifold_pipeline::LiveViews;
use trifold_sandbox::Budget;
use trifold_store::OnlineStore;

use crate::accept::{Acceptor, Connections};
use crate::api::DESCRIPTORS;
use crate::api::online_service_server::OnlineServiceServer;
use crate::feature_store;
use crate::feature_store::api::feature_store_server::FeatureStoreServer;
use crate::feature_store::offered::{tell_missing, unfit};
use crate::feature_store::service::ById;
use crate::http::{Http, connections, routes};
use crate::limits::receive::Receiving;
use crate::limits::{Gates, Limits};
use crate::load::Load;
use crate::observed::Observed;
use crate::service::{Clock, Online, uptime};
use crate::shadow::Shadows;

/// The limits of a server.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The most rows of one request.
    pub rows_max: usize,
    /// The most values of one request: its rows times the features asked for.
    pub cells_max: usize,
    /// The most bytes of one request.
    pub request_bytes_max: usize,
    /// The units of fuel that one request may burn.
    pub request_fuel: u64,
    /// The units of fuel that one view of a request may burn, whatever the request may.
    pub view_fuel: u64,
    /// The most questions that shadows are asked at once, beside the requests.
    pub shadows_max: usize,
    /// How long requests in flight may take once the server is told to stop.
    pub drain: Duration,
    /// What is taken on at once.
    pub limits: Limits,
}

/// Why a server stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The transport failed.
    #[error("the gRPC server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The descriptors that reflection serves do not decode.
    #[error("gRPC reflection cannot be set up: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// A view that is in force cannot be served by its entities' ids.
    #[error("{}; take it from `feature-store-views`", .0.join("; "))]
    Unfit(Vec<String>),
    /// Requests were still in flight when the time to finish them was over.
    #[error("requests were still in flight {0:?} after the server was told to stop")]
    Drain(Duration),
}

/// The views that are served by their entities' ids, in the contract `feature_store`.
pub struct Plain {
    /// Their names; none, and the contract is not offered.
    pub views: Vec<ViewName>,
    /// Tells why one is not served.
    pub tell: fn(&str),
}

/// A server that is ready to run.
pub struct Server {
    online: Arc<Online>,
    plain: Plain,
    http: Option<Http>,
}

impl Server {
    /// A server over a store and the versions in force, which whoever follows the releases updates.
    pub fn new(
        store: Arc<dyn OnlineStore>,
        live: watch::Receiver<Arc<LiveViews>>,
        clock: Clock,
        config: ServerConfig,
    ) -> Self {
        Server::observed_by(Observed::default(), store, live, clock, config)
    }

    /// The same, that tells what it sees of versions that are tried out.
    pub fn observed_by(
        observed: Observed,
        store: Arc<dyn OnlineStore>,
        live: watch::Receiver<Arc<LiveViews>>,
        clock: Clock,
        config: ServerConfig,
    ) -> Self {
        let budget = Budget::fuel(config.request_fuel).at_most_each(config.view_fuel);
        let shadows = Shadows::new(store.clone(), observed.clone(), uptime, budget, config.shadows_max);
        let gates = Gates::new(&config.limits, Load::default());
        let online = Arc::new(Online { store, live, clock, config, observed, shadows, gates });
        Server { online, plain: Plain { views: Vec::new(), tell: |_| () }, http: None }
    }

    /// What it takes on and turns away.
    pub fn load(&self) -> Load {
        self.online.gates.load.clone()
    }

    /// Serves views by their entities' ids, too. Refused if one of them is in force and cannot be.
    pub fn with_plain(self, plain: Plain) -> Result<Self, ServerError> {
        let unfit = unfit(&plain.views, &self.online.live.borrow());
        if unfit.is_empty() { Ok(Server { plain, ..self }) } else { Err(ServerError::Unfit(unfit)) }
    }

    /// Answers over HTTP, too.
    pub fn with_http(self, http: Http) -> Self {
        Server { http: Some(http), ..self }
    }

    /// Serves until `stop` completes and the requests in flight are finished.
    pub async fn run(self, listener: TcpListener, stop: impl Future<Output = ()>) -> Result<(), ServerError> {
        let load = self.load();
        let Server { online, plain: Plain { views, tell }, http } = self;
        let drain = online.config.drain;
        let bytes_max = online.config.request_bytes_max;
        let limits = online.config.limits.clone();
        let is_plain = !views.is_empty();
        let (reporter, health) = tonic_health::server::health_reporter();
        let services = services(is_plain);
        for service in &services[1..] {
            reporter.set_service_status(service, ServingStatus::Serving).await;
        }
        let reflection_now = reflection(is_plain).build_v1()?.max_decoding_message_size(REFLECTED_BYTES);
        // Many tools still ask for the version before.
        let reflection_alpha = reflection(is_plain).build_v1alpha()?.max_decoding_message_size(REFLECTED_BYTES);
        let service = OnlineServiceServer::from_arc(online.clone()).max_decoding_message_size(bytes_max);
        let telling = tell_missing(views.clone(), online.live.clone(), tell);
        let by_id = is_plain.then(|| {
            let by_id = ById { online: online.clone(), views };
            FeatureStoreServer::new(by_id).max_decoding_message_size(bytes_max)
        });
        let (stopping, mut stopped) = watch::channel(false);
        let connections = Connections::new(limits.connections_max, limits.handshake, load.clone());
        let receiving = Receiving::new(&limits, load);
        let over_http = http.map(|Http { listener, read }| {
            let acceptor = Acceptor::new(listener, connections.clone());
            let routes = routes::routes(online.clone(), read, stopped.clone());
            connections::serve(acceptor, (routes, receiving.clone().within(read)), read, stopped.clone())
        });
        let incoming = Acceptor::new(listener, connections).incoming();
        let signal = async move {
            stop.await;
            report_draining(reporter, services).await;
            // The receiver lives as long as this function.
            let _ = stopping.send(true);
        };
        let over_grpc = transport(limits.connection_requests_max, limits.keepalive)
            .layer(MapResponseLayer::new(name_the_size_limit))
            .layer(receiving)
            .add_service(health)
            .add_service(reflection_now)
            .add_service(reflection_alpha)
            .add_service(service)
            .add_optional_service(by_id)
            .serve_with_incoming_shutdown(incoming, signal);
        let over_http = async {
            OptionFuture::from(over_http).await;
            Ok(())
        };
        let overdue = async {
            if stopped.wait_for(|stopped| *stopped).await.is_ok() {
                tokio::time::sleep(drain).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            served = futures::future::try_join(over_grpc, over_http) => Ok(served.map(drop)?),
            () = overdue => Err(ServerError::Drain(drain)),
            () = telling => Ok(()),
        }
    }
}

/// A server of gRPC that no connection can hold for itself, and that lets go of those that are dead.
pub(crate) fn transport(requests_max: u32, keepalive: Option<Duration>) -> tonic::transport::Server {
    tonic::transport::Server::builder()
        .max_concurrent_streams(requests_max)
        .http2_keepalive_interval(keepalive)
        .http2_keepalive_timeout(keepalive)
        .http2_max_header_list_size(HEADER_BYTES)
}

/// The bytes that a question about the contract may have: those are names.
const REFLECTED_BYTES: usize = 16 << 10;

/// The bytes that the headers of a request may have.
const HEADER_BYTES: u32 = 16 << 10;

/// What is told of health: the server, and its services.
fn services(is_plain: bool) -> Vec<&'static str> {
    let mut services = vec!["", OnlineServiceServer::<Online>::NAME];
    services.extend(is_plain.then_some(FeatureStoreServer::<ById>::NAME));
    services
}

fn reflection(is_plain: bool) -> tonic_reflection::server::Builder<'static> {
    let builder = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
    match is_plain {
        true => builder.register_encoded_file_descriptor_set(feature_store::api::DESCRIPTORS),
        false => builder,
    }
}

/// Says that the server and its services take no more requests. Those who watch either are told, and then their
/// streams end: a stream that did not would count as a request in flight and use up the time to finish those.
async fn report_draining(mut reporter: HealthReporter, services: Vec<&'static str>) {
    for service in services {
        reporter.set_service_status(service, ServingStatus::NotServing).await;
        reporter.clear_service_status(service).await;
        reporter.set_service_status(service, ServingStatus::NotServing).await;
    }
}

/// The transport calls a message over the size limit out of range, which no service here ever answers; the
/// contract calls every breach of a limit resource exhausted.
fn name_the_size_limit<B>(mut response: Response<B>) -> Response<B> {
    if let Some(status) = response.headers_mut().get_mut(STATUS_HEADER)
        && *status == code(Code::OutOfRange)
    {
        *status = code(Code::ResourceExhausted);
    }
    response
}

const STATUS_HEADER: &str = "grpc-status";

fn code(code: Code) -> HeaderValue {
    HeaderValue::from(code as i32)
}

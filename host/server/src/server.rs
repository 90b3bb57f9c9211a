//! Listening, health, reflection and stopping.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::Code;
use tonic::codegen::http::{HeaderValue, Response};
use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::util::MapResponseLayer;
use trifold_pipeline::LiveViews;
use trifold_store::OnlineStore;

use crate::accept::{Acceptor, Connections};
use crate::api::DESCRIPTORS;
use crate::api::online_service_server::OnlineServiceServer;
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
    /// Requests were still in flight when the time to finish them was over.
    #[error("requests were still in flight {0:?} after the server was told to stop")]
    Drain(Duration),
}

/// A server that is ready to run.
pub struct Server {
    online: Arc<Online>,
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
        let (fuel, at_once) = (config.request_fuel, config.shadows_max);
        let shadows = Shadows::new(store.clone(), observed.clone(), uptime, fuel, at_once);
        let gates = Gates::new(&config.limits, Load::default());
        Server { online: Arc::new(Online { store, live, clock, config, observed, shadows, gates }) }
    }

    /// What it takes on and turns away.
    pub fn load(&self) -> Load {
        self.online.gates.load.clone()
    }

    /// Serves until `stop` completes and the requests in flight are finished.
    pub async fn run(self, listener: TcpListener, stop: impl Future<Output = ()>) -> Result<(), ServerError> {
        let drain = self.online.config.drain;
        let bytes_max = self.online.config.request_bytes_max;
        let (limits, load) = (self.online.config.limits.clone(), self.load());
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_serving::<OnlineServiceServer<Online>>().await;
        let reflection_now = reflection().build_v1()?;
        // Many tools still ask for the version before.
        let reflection_alpha = reflection().build_v1alpha()?;
        let service = OnlineServiceServer::from_arc(self.online).max_decoding_message_size(bytes_max);
        let (stopping, mut stopped) = watch::channel(false);
        let signal = async move {
            stop.await;
            report_draining(reporter).await;
            // The receiver lives as long as this function.
            let _ = stopping.send(true);
        };
        let connections = Connections::new(limits.connections_max, limits.handshake, load.clone());
        let incoming = Acceptor::new(listener, connections).incoming();
        let serving = transport(limits.connection_requests_max, limits.keepalive)
            .layer(MapResponseLayer::new(name_the_size_limit))
            .layer(Receiving::new(&limits, load))
            .add_service(health)
            .add_service(reflection_now)
            .add_service(reflection_alpha)
            .add_service(service)
            .serve_with_incoming_shutdown(incoming, signal);
        let overdue = async {
            if stopped.wait_for(|stopped| *stopped).await.is_ok() {
                tokio::time::sleep(drain).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            served = serving => Ok(served?),
            () = overdue => Err(ServerError::Drain(drain)),
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

/// The bytes that the headers of a request may have.
const HEADER_BYTES: u32 = 16 << 10;

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// Says that the server and its service take no more requests. Those who watch either are told, and then their
/// streams end: a stream that did not would count as a request in flight and use up the time to finish those.
async fn report_draining(mut reporter: HealthReporter) {
    for service in ["", OnlineServiceServer::<Online>::NAME] {
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

//! Answers those who operate a process.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tonic::{Request, Response, Status, Streaming};
use trifold_model::EventTime;
use trifold_registry::{Act, Pushed, Registry, RegistryError, Release};

use crate::accept::{Acceptor, Connections};
use crate::admin::api::admin_service_server::{AdminService, AdminServiceServer};
use crate::admin::api::{self, DESCRIPTORS};
use crate::admin::desk::{Desk, Standing};
use crate::admin::intake::Intake;
use crate::admin::messages::{release_record, trial, version, view_name, view_status};
use crate::load::Load;
use crate::server::transport;
use crate::service::Clock;

/// How long a call waits for the look that answers it: a worker takes its step to the end first, which may have to wait
/// for a cluster.
const LOOK_WAIT_MAX: Duration = Duration::from_secs(30);

/// The connections of those who operate a process, and the requests of each. They are few, and must not cost a server the
/// files of those whom it serves.
const CONNECTIONS_MAX: usize = 256;
const CONNECTION_REQUESTS_MAX: u32 = 64;

/// How long a connection may say nothing before it is asked whether it is alive, or what it speaks.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// What tells a process from others.
#[derive(Debug, Clone)]
pub struct Process {
    /// The command that it runs, such as `serve`.
    pub command: &'static str,
    /// The version of the program.
    pub program: &'static str,
    /// Its number in the operating system.
    pub pid: u32,
    /// When it began.
    pub started: EventTime,
}

/// Why those who operate a process get no answers.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// Others than those on this machine could release.
    #[error(
        "{address} is no loopback address: whoever reaches it could push and release any version, as nobody is asked who they \
         are; name one such as 127.0.0.1:7412, and come to it from elsewhere through a tunnel that asks"
    )]
    Exposed {
        /// The address.
        address: std::net::SocketAddr,
    },
    /// The transport failed.
    #[error("the gRPC server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The descriptors that reflection serves do not decode.
    #[error("gRPC reflection cannot be set up: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Answers those who operate a process.
pub struct Admin {
    /// The process.
    pub process: Process,
    /// Where it tells what it runs.
    pub desk: Desk,
    /// The registry that it follows.
    pub registry: Registry,
    /// Takes components in.
    pub intake: Intake,
    /// Where the time of releases comes from.
    pub clock: Clock,
}

impl Admin {
    /// Takes an address, which must be a loopback one; port 0 takes a free one.
    pub async fn bind(address: &str) -> Result<TcpListener, AdminError> {
        let failed = |source| AdminError::Bind { address: address.to_owned(), source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        if bound.ip().is_loopback() { Ok(listener) } else { Err(AdminError::Exposed { address: bound }) }
    }

    /// Answers for as long as the process lives.
    pub async fn run(self, listener: TcpListener) -> Result<(), AdminError> {
        let reflection =
            tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(DESCRIPTORS);
        let connections = Connections::new(CONNECTIONS_MAX, SILENCE_MAX, Load::default());
        let incoming = Acceptor::new(listener, connections).incoming();
        transport(CONNECTION_REQUESTS_MAX, Some(SILENCE_MAX))
            .add_service(reflection.build_v1()?)
            .add_service(AdminServiceServer::new(self))
            .serve_with_incoming(incoming)
            .await?;
        Ok(())
    }

    /// What the process runs after a look that begins now.
    async fn look(&self) -> Result<Arc<Standing>, Status> {
        let call = self.desk.call();
        let answered = tokio::time::timeout(LOOK_WAIT_MAX, self.desk.answered(call)).await;
        answered.map_err(|_| {
            Status::unavailable(format!(
                "the process did not look at the registry within {} s: it may wait for a cluster or a store",
                LOOK_WAIT_MAX.as_secs()
            ))
        })
    }

    async fn released(&self, release: Release) -> Result<Response<api::ReleaseResponse>, Status> {
        let standing = self.look().await.map_err(|status| {
            let (view, seq) = (&release.view, release.seq);
            Status::unavailable(format!("release {seq} of view {view} is recorded, but {}", status.message()))
        })?;
        let status = view_status(&release.view, &standing, &self.desk);
        Ok(Response::new(api::ReleaseResponse { release: Some(release_record(release)), status: Some(status) }))
    }

    fn act(&self, by: String, note: String) -> Act {
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        Act { at: (self.clock)(), by: given(by), note: given(note) }
    }
}

#[tonic::async_trait]
impl AdminService for Admin {
    async fn get_status(
        &self,
        request: Request<api::GetStatusRequest>,
    ) -> Result<Response<api::GetStatusResponse>, Status> {
        let standing = if request.get_ref().look { self.look().await? } else { self.desk.standing() };
        let mut names: Vec<_> = standing.running.keys().chain(standing.waiting.keys()).collect();
        names.sort();
        names.dedup();
        Ok(Response::new(api::GetStatusResponse {
            command: self.process.command.to_owned(),
            program: self.process.program.to_owned(),
            pid: self.process.pid,
            started_at_micros: self.process.started.0,
            views: names.into_iter().map(|name| view_status(name, &standing, &self.desk)).collect(),
            registry_problem: standing.registry_problem.clone().unwrap_or_default(),
        }))
    }

    async fn list_versions(
        &self,
        request: Request<api::ListVersionsRequest>,
    ) -> Result<Response<api::ListVersionsResponse>, Status> {
        let view = view_name(&request.get_ref().view)?;
        let versions = self.registry.versions(&view).await.map_err(registry_status)?;
        Ok(Response::new(api::ListVersionsResponse { versions: versions.into_iter().map(version).collect() }))
    }

    async fn list_releases(
        &self,
        request: Request<api::ListReleasesRequest>,
    ) -> Result<Response<api::ListReleasesResponse>, Status> {
        let view = view_name(&request.get_ref().view)?;
        // A view that was never released has no releases either, but was pushed.
        self.registry.latest_version(&view).await.map_err(registry_status)?;
        let releases = self.registry.history(&view).await.map_err(registry_status)?;
        Ok(Response::new(api::ListReleasesResponse {
            releases: releases.into_iter().map(release_record).collect(),
        }))
    }

    async fn push(
        &self,
        request: Request<Streaming<api::PushRequest>>,
    ) -> Result<Response<api::PushResponse>, Status> {
        let act = |order: &api::PushOrder| self.act(order.by.clone(), order.note.clone());
        let (order, Pushed { version: record, new }) = self.intake.push(request.into_inner(), act).await?;
        let released = match order.release {
            true => {
                let release = self.registry.put_into_force(&record.view, record.version, act(&order)).await;
                let recorded = |status: Status| {
                    let (view, version) = (&record.view, record.version);
                    let text = format!("{view}@{version} is pushed, but not released: {}", status.message());
                    Status::new(status.code(), text)
                };
                let release = release.map_err(|error| recorded(registry_status(error)))?;
                Some(self.released(release).await?.into_inner())
            }
            false => None,
        };
        let view = record.view.to_string();
        Ok(Response::new(api::PushResponse { view, version: Some(version(record)), new, released }))
    }

    async fn release(
        &self,
        request: Request<api::ReleaseRequest>,
    ) -> Result<Response<api::ReleaseResponse>, Status> {
        let request = request.into_inner();
        let view = view_name(&request.view)?;
        let act = self.act(request.by, request.note);
        let release = self.registry.put_into_force(&view, request.version, act).await;
        self.released(release.map_err(registry_status)?).await
    }

    async fn try_out(
        &self,
        request: Request<api::TryOutRequest>,
    ) -> Result<Response<api::ReleaseResponse>, Status> {
        let request = request.into_inner();
        let view = view_name(&request.view)?;
        let trial = trial(&request.kind, &request.steps)?;
        let act = self.act(request.by, request.note);
        let release = self.registry.try_out(&view, request.version, trial, act).await;
        self.released(release.map_err(registry_status)?).await
    }

    async fn roll_back(
        &self,
        request: Request<api::RollBackRequest>,
    ) -> Result<Response<api::ReleaseResponse>, Status> {
        let request = request.into_inner();
        let view = view_name(&request.view)?;
        let release = self.registry.roll_back(&view, self.act(request.by, request.note)).await;
        self.released(release.map_err(registry_status)?).await
    }
}

pub(super) fn registry_status(error: RegistryError) -> Status {
    let text = error.to_string();
    match error {
        RegistryError::NeverReleased { .. }
        | RegistryError::NothingBefore { .. }
        | RegistryError::NothingBeside { .. }
        | RegistryError::Serves { .. }
        | RegistryError::Everybody { .. }
        | RegistryError::Retired { .. }
        | RegistryError::InUse { .. }
        | RegistryError::Untrusted { .. } => Status::failed_precondition(text),
        RegistryError::Overtaken { .. } | RegistryError::Contended { .. } => Status::aborted(text),
        RegistryError::ReadOnly { .. } | RegistryError::Denied { .. } => Status::permission_denied(text),
        RegistryError::WrongSignature { .. } => Status::invalid_argument(text),
        error if error.is_unknown() => Status::not_found(text),
        error if error.is_damage() => Status::data_loss(text),
        _ => Status::unavailable(text),
    }
}

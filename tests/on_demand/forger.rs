//! A server that hands requests to another one and changes its answers.

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};
use trifold_server::api::online_service_client::OnlineServiceClient;
use trifold_server::api::online_service_server::{OnlineService, OnlineServiceServer};
use trifold_server::api::{GetFeaturesRequest, GetFeaturesResponse, ListViewsRequest, ListViewsResponse};
use trifold_tests::online::runtime;

/// A change of an answer.
pub(crate) type Change = Box<dyn Fn(&mut GetFeaturesResponse) + Send + Sync>;

/// A running forger.
pub(crate) struct Forger {
    pub(crate) url: String,
    /// What it runs on, which ends it.
    _runtime: Runtime,
}

struct Forging {
    server: OnlineServiceClient<Channel>,
    change: Change,
}

#[tonic::async_trait]
impl OnlineService for Forging {
    async fn get_features(
        &self,
        request: Request<GetFeaturesRequest>,
    ) -> Result<Response<GetFeaturesResponse>, Status> {
        let mut answer = self.server.clone().get_features(request.into_inner()).await?.into_inner();
        (self.change)(&mut answer);
        Ok(Response::new(answer))
    }

    async fn list_views(&self, request: Request<ListViewsRequest>) -> Result<Response<ListViewsResponse>, Status> {
        self.server.clone().list_views(request.into_inner()).await
    }
}

impl Forger {
    /// Starts one before the server at `url`.
    pub(crate) fn start(url: &str, change: Change) -> Self {
        let runtime = runtime();
        let (listener, server) = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            (listener, OnlineServiceClient::connect(url.to_owned()).await.unwrap())
        });
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = OnlineServiceServer::new(Forging { server, change });
        runtime.spawn(Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener)));
        Forger { url, _runtime: runtime }
    }
}

//! Asks a process what it runs, and has it release.

use futures::stream;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};
use trifold_model::ViewName;

use crate::admin::api;
use crate::admin::api::admin_service_client::AdminServiceClient;
use crate::admin::api::push_request::Part;
use crate::client::{ClientError, connect};

/// The bytes of a component that are sent at once.
const CHUNK_BYTES: usize = 1 << 20;

/// A connection to a process that is operated. Clones share it.
#[derive(Debug, Clone)]
pub struct AdminClient {
    url: String,
    inner: AdminServiceClient<Channel>,
}

impl AdminClient {
    /// Connects to the address of a process, such as `http://127.0.0.1:7412`.
    pub async fn connect(url: &str) -> Result<Self, ClientError> {
        let channel =
            connect(url, "`trifold serve --admin` or `trifold stream --admin`, and that address").await?;
        let inner = AdminServiceClient::new(channel).max_decoding_message_size(usize::MAX);
        Ok(AdminClient { url: url.to_owned(), inner })
    }

    /// What the process runs, after a look at the registry if that is asked for.
    pub async fn status(&mut self, look: bool) -> Result<api::GetStatusResponse, ClientError> {
        let answer = self.inner.get_status(api::GetStatusRequest { look }).await;
        self.answered(answer)
    }

    /// The versions of a view, oldest first.
    pub async fn versions(&mut self, view: &ViewName) -> Result<Vec<api::Version>, ClientError> {
        let answer = self.inner.list_versions(api::ListVersionsRequest { view: view.to_string() }).await;
        Ok(self.answered(answer)?.versions)
    }

    /// The releases of a view, oldest first.
    pub async fn releases(&mut self, view: &ViewName) -> Result<Vec<api::ReleaseRecord>, ClientError> {
        let answer = self.inner.list_releases(api::ListReleasesRequest { view: view.to_string() }).await;
        Ok(self.answered(answer)?.releases)
    }

    /// Pushes a component, and releases it if the order says so.
    pub async fn push(&mut self, order: api::PushOrder, wasm: Vec<u8>) -> Result<api::PushResponse, ClientError> {
        let bytes = wasm.chunks(CHUNK_BYTES).map(|bytes| Part::Component(bytes.to_vec()));
        let parts = std::iter::once(Part::Order(order)).chain(bytes);
        let requests: Vec<_> = parts.map(|part| api::PushRequest { part: Some(part) }).collect();
        let answer = self.inner.push(stream::iter(requests)).await;
        self.answered(answer)
    }

    /// Puts a version into force, and says whether the process runs it.
    pub async fn release(&mut self, request: api::ReleaseRequest) -> Result<api::ReleaseResponse, ClientError> {
        let answer = self.inner.release(request).await;
        self.answered(answer)
    }

    /// Tries a version out beside the one in force, and says whether the process does so.
    pub async fn try_out(&mut self, request: api::TryOutRequest) -> Result<api::ReleaseResponse, ClientError> {
        let answer = self.inner.try_out(request).await;
        self.answered(answer)
    }

    /// Takes the release in force back, and says what the process runs then.
    pub async fn roll_back(&mut self, request: api::RollBackRequest) -> Result<api::ReleaseResponse, ClientError> {
        let answer = self.inner.roll_back(request).await;
        self.answered(answer)
    }

    fn answered<T>(&self, answer: Result<Response<T>, Status>) -> Result<T, ClientError> {
        match answer {
            Ok(answer) => Ok(answer.into_inner()),
            // A server of lookups, or of something else.
            Err(status) if status.code() == Code::Unimplemented => {
                Err(ClientError::NotOperated { url: self.url.clone() })
            }
            Err(status) => Err(status.into()),
        }
    }
}

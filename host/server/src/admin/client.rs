//! Asks a process what it runs, and has it release.

use tonic::transport::Channel;
use trifold_model::ViewName;

use crate::admin::api;
use crate::admin::api::admin_service_client::AdminServiceClient;
use crate::client::{ClientError, connect};

/// A connection to a process that is operated. Clones share it.
#[derive(Debug, Clone)]
pub struct AdminClient {
    inner: AdminServiceClient<Channel>,
}

impl AdminClient {
    /// Connects to the address of a process, such as `http://127.0.0.1:7412`.
    pub async fn connect(url: &str) -> Result<Self, ClientError> {
        let channel =
            connect(url, "`trifold serve --admin` or `trifold stream --admin`, and that address").await?;
        Ok(AdminClient { inner: AdminServiceClient::new(channel).max_decoding_message_size(usize::MAX) })
    }

    /// What the process runs, after a look at the registry if that is asked for.
    pub async fn status(&mut self, look: bool) -> Result<api::GetStatusResponse, ClientError> {
        Ok(self.inner.get_status(api::GetStatusRequest { look }).await?.into_inner())
    }

    /// The versions of a view, oldest first.
    pub async fn versions(&mut self, view: &ViewName) -> Result<Vec<api::Version>, ClientError> {
        let request = api::ListVersionsRequest { view: view.to_string() };
        Ok(self.inner.list_versions(request).await?.into_inner().versions)
    }

    /// The releases of a view, oldest first.
    pub async fn releases(&mut self, view: &ViewName) -> Result<Vec<api::ReleaseRecord>, ClientError> {
        let request = api::ListReleasesRequest { view: view.to_string() };
        Ok(self.inner.list_releases(request).await?.into_inner().releases)
    }

    /// Puts a version into force, and says whether the process runs it.
    pub async fn release(&mut self, request: api::ReleaseRequest) -> Result<api::ReleaseResponse, ClientError> {
        Ok(self.inner.release(request).await?.into_inner())
    }

    /// Takes the release in force back, and says what the process runs then.
    pub async fn roll_back(&mut self, request: api::RollBackRequest) -> Result<api::ReleaseResponse, ClientError> {
        Ok(self.inner.roll_back(request).await?.into_inner())
    }
}

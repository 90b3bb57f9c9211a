//! Noticing releases by polling.

use std::sync::Arc;

use crate::error::RegistryError;
use crate::registry::Registry;
use crate::releases::{Releases, in_force};

/// Notices what is released. Whoever owns it decides when to poll.
#[derive(Debug)]
pub struct Watcher {
    registry: Registry,
    last: Option<Arc<Releases>>,
}

impl Watcher {
    pub(crate) fn new(registry: Registry) -> Self {
        Watcher { registry, last: None }
    }

    /// The releases in force if something changed since the last poll, problems included; the first poll always
    /// returns them. When nothing changed, this lists one directory for each view and reads no file.
    ///
    /// After an error the last snapshot still holds.
    pub async fn poll(&mut self) -> Result<Option<Arc<Releases>>, RegistryError> {
        let last = self.last.clone().unwrap_or_default();
        let releases = in_force(&self.registry, &last).await?;
        if self.last.is_some() && *last == releases {
            return Ok(None);
        }
        let releases = Arc::new(releases);
        self.last = Some(releases.clone());
        Ok(Some(releases))
    }
}

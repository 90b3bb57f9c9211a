//! Retiring versions.

use trifold_model::ViewName;

use crate::error::RegistryError;
use crate::record::{Act, Retirement};
use crate::registry::{Registry, Series};
use crate::timeline;

/// Whether taking the newest release back must remain possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Horizon {
    /// It must: what would come into force again is in use.
    Kept,
    /// It need not, or not to that version.
    GivenUp,
}

impl Registry {
    /// Says that a version is not used any more: it can be released no more, and taking a release back passes it over. One
    /// that was retired before stays as it is. Refused while the version is in force or tried out, and while taking the newest
    /// release back would put it into force, unless that is given up.
    pub async fn retire(
        &self,
        view: &ViewName,
        version: u64,
        horizon: Horizon,
        retired: impl Into<Act>,
    ) -> Result<Retirement, RegistryError> {
        self.version(view, version).await?;
        if let Some(known) = self.read(view, Series::Retired, version).await? {
            return Ok(known);
        }
        self.check_unused(view, version, horizon).await?;
        let retirement = Retirement { view: view.clone(), version, retired: retired.into() };
        if !self.create(view, Series::Retired, version, &retirement).await? {
            let known = self.read(view, Series::Retired, version).await?;
            return known.ok_or_else(|| RegistryError::Contended { view: view.clone(), attempts: 1 });
        }
        Ok(retirement)
    }

    /// The versions of a view that were retired, ascending.
    pub async fn retired(&self, view: &ViewName) -> Result<Vec<Retirement>, RegistryError> {
        self.read_all(view, Series::Retired).await
    }

    /// Refuses a version that serves, or may serve without being released again. Somebody may have released one at the very
    /// moment in which it was retired: whoever removes what belongs to a version looks once more before.
    pub async fn check_unused(
        &self,
        view: &ViewName,
        version: u64,
        horizon: Horizon,
    ) -> Result<(), RegistryError> {
        let history = self.history(view).await?;
        let in_use = |usage: String| RegistryError::InUse { view: view.clone(), version, usage };
        if let Some(newest) = history.last()
            && timeline::versions(newest).any(|used| used == version)
        {
            let usage =
                format!("release {} has it in force or tries it out: release another version first", newest.seq);
            return Err(in_use(usage));
        }
        let retired = self.numbers(view, Series::Retired).await?;
        match timeline::before(&history, &retired) {
            Some((before, _))
                if horizon == Horizon::Kept && timeline::versions(before).any(|used| used == version) =>
            {
                Err(in_use(format!(
                    "`trifold rollback {view}` would put release {} into force again, which has it; --give-up-rollback gives that up",
                    before.seq
                )))
            }
            _ => Ok(()),
        }
    }
}

//! A snapshot of the releases in force.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use trifold_model::ViewName;

use crate::error::RegistryError;
use crate::record::Release;
use crate::registry::{Registry, Series};

/// How many views are looked at together.
const VIEWS_AT_ONCE: usize = 16;

/// The releases in force at one moment. A request takes one snapshot and keeps it to its end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Releases {
    /// The release in force of each view that has one.
    pub views: BTreeMap<ViewName, Release>,
    /// The views whose newest release cannot be read, with the reason. The other views are not affected. A view of
    /// a watcher's snapshot may stand in both maps: its release of before the problem stays in force.
    pub problems: BTreeMap<ViewName, RegistryError>,
}

impl Releases {
    /// The release in force of a view.
    pub fn get(&self, view: &ViewName) -> Option<&Release> {
        self.views.get(view)
    }
}

/// Reads the releases in force. Of the `known` ones, only those that something has changed of are read, and none
/// is given up because its records cannot be read any more.
pub(crate) async fn in_force(registry: &Registry, known: &Releases) -> Result<Releases, RegistryError> {
    let mut names: BTreeSet<_> = registry.views().await?.into_iter().collect();
    names.extend(known.views.keys().cloned());
    let newest = futures::stream::iter(names)
        .map(|view| async move {
            let newest = newest(registry, &view, known.get(&view)).await;
            (view, newest)
        })
        .buffered(VIEWS_AT_ONCE);
    let mut releases = Releases::default();
    for (view, newest) in newest.collect::<Vec<_>>().await {
        match newest {
            Ok(release) => releases.views.extend(release.map(|release| (view, release))),
            Err(problem) => {
                releases.views.extend(known.get(&view).map(|release| (view.clone(), release.clone())));
                releases.problems.insert(view, problem);
            }
        }
    }
    // A directory that went away meanwhile looks like one without views.
    registry.check()?;
    Ok(releases)
}

async fn newest(
    registry: &Registry,
    view: &ViewName,
    known: Option<&Release>,
) -> Result<Option<Release>, RegistryError> {
    let known_seq = known.map_or(0, |known| known.seq);
    match registry.numbers(view, Series::Releases).await?.last().copied().unwrap_or(0) {
        seq if seq < known_seq => Err(registry.vanished(view, known_seq)),
        seq if seq == known_seq => Ok(known.cloned()),
        seq => {
            let release = registry.read(view, Series::Releases, seq).await?;
            release.map(Some).ok_or_else(|| registry.vanished(view, seq))
        }
    }
}

//! States that nobody goes on with, until they are removed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use trifold_model::ViewName;
use trifold_registry::RegistryError;

use crate::feed::FeedId;
use crate::releases::ReleaseFeed;

/// How many looks for releases the others of a group have before what was given up is removed. Whoever has not looked by
/// then makes it anew, and removes that once it looks.
const LOOKS: u32 = 4;

/// What may be removed, if the registry could be asked.
pub(crate) type Left = Result<Vec<FeedId>, RegistryError>;

/// What was given up and is to be removed. Whoever follows a state removes it, so that the last one leaves nothing.
pub(crate) struct Leftovers {
    grace: Duration,
    /// What was followed at the last look; `None` before the first.
    followed: Option<BTreeSet<FeedId>>,
    due: BTreeMap<FeedId, Instant>,
}

impl Leftovers {
    /// For somebody who looks for releases every `interval`.
    pub(crate) fn new(interval: Duration) -> Self {
        Leftovers { grace: interval * LOOKS, followed: None, due: BTreeMap::new() }
    }

    /// Takes note of what was given up since the last look, or at the first one while nobody ran: what may be removed by now.
    pub(crate) async fn look(&mut self, releases: &impl ReleaseFeed, wanted: BTreeSet<FeedId>) -> Left {
        self.due.retain(|feed, _| !wanted.contains(feed));
        let view = |feed: &FeedId| feed.view.clone();
        let views: BTreeSet<ViewName> = match &self.followed {
            Some(followed) => followed.difference(&wanted).map(view).collect(),
            None => wanted.iter().map(view).collect(),
        };
        for view in views {
            let states = releases.given_up(&view).await?;
            let feeds = states.into_iter().map(|state| FeedId { view: view.clone(), state });
            for feed in feeds.filter(|feed| !wanted.contains(feed)) {
                self.due.entry(feed).or_insert_with(|| Instant::now() + self.grace);
            }
        }
        self.followed = Some(wanted);
        self.take(releases, Instant::now()).await
    }

    /// All that is left, for somebody who has come to the end and will not look again.
    pub(crate) async fn rest(&mut self, releases: &impl ReleaseFeed) -> Left {
        self.take(releases, Instant::now() + self.grace).await
    }

    /// Those that may be removed at a time. What was released since stays, even if it could not be put into force here.
    async fn take(&mut self, releases: &impl ReleaseFeed, now: Instant) -> Left {
        let due = self.due.iter().filter(|(_, due)| **due <= now);
        let (due, mut nobodys): (Vec<_>, _) = (due.map(|(feed, _)| feed.clone()).collect(), Vec::new());
        for feed in &due {
            let is_nobodys = releases.given_up(&feed.view).await?.contains(&feed.state);
            nobodys.extend(is_nobodys.then(|| feed.clone()));
        }
        self.due.retain(|feed, _| !due.contains(feed));
        Ok(nobodys)
    }
}

//! Removing what a group has of a state.

use crate::feed::FeedId;
use crate::kafka::error::ClusterError;
use crate::kafka::settings::ClusterSettings;
use crate::kafka::topics::Topics;

/// Removes the topic of changes of a feed, which is the truth of its state, and returns its name, if there was one. What is of
/// the view, whatever its state, stays. No worker may follow the feed any more: it would make the topic anew.
pub fn remove_changes(settings: &ClusterSettings, feed: &FeedId) -> Result<Option<String>, ClusterError> {
    Topics::new(settings)?.remove_changes(feed)
}

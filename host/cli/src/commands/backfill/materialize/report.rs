//! What a load came to, for people and scripts.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use trifold_stream::{AsideLine, FeedId, Progress};

use crate::exit::{Exit, Failure, Outcome};
use crate::output;

/// What came of each view.
#[derive(Default)]
pub(super) struct Loaded(BTreeMap<FeedId, View>);

#[derive(Default)]
struct View {
    version: u64,
    next: BTreeMap<u32, u64>,
    events: u64,
    counted: u64,
    duplicates: u64,
    aside: BTreeMap<&'static str, u64>,
    /// What was wrong with the first event that does not count.
    first: Option<String>,
    entities: u64,
}

impl Loaded {
    /// Takes note of an event that does not count.
    pub(super) fn note(&mut self, feed: &FeedId, line: &AsideLine) {
        let view = self.0.entry(feed.clone()).or_default();
        view.first.get_or_insert_with(|| line.detail.clone());
    }

    /// Adds what a worker came to that applied a partition.
    pub(super) fn add(&mut self, partition: u32, progress: &Progress) {
        for feed in &progress.feeds {
            let view = self.0.entry(feed.feed.clone()).or_default();
            view.version = feed.version;
            view.next.insert(partition, feed.next);
            view.events += feed.counts.event_count;
            view.counted += feed.counts.row_count;
            view.duplicates += feed.counts.duplicate_count;
            for (kind, count) in &feed.counts.aside {
                *view.aside.entry(kind.name()).or_default() += count;
            }
        }
    }

    /// Adds entities of a view's state.
    pub(super) fn count(&mut self, feed: &FeedId, entities: u64) {
        self.0.entry(feed.clone()).or_default().entities += entities;
    }

    /// The entities of all states.
    pub(super) fn entities(&self) -> u64 {
        self.0.values().map(|view| view.entities).sum()
    }

    /// A state of nobody from a log with events is no state that anybody wants: the options name other columns than the
    /// events have, or the topic of an archive is not partitioned by the entity.
    pub(super) fn check(&self) -> Outcome {
        let Some((feed, view)) = self.0.iter().find(|(_, view)| view.events > 0 && view.entities == 0) else {
            return Ok(());
        };
        let first = view.first.as_ref().map_or_else(String::new, |first| format!("; the first: {first}"));
        let message = format!(
            "view {}: not one of the {} events counts ({}){first}",
            feed.view,
            view.events,
            output::counts(&view.aside)
        );
        Err(Failure::new(Exit::Data, message))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Summary {
    log: String,
    store: &'static str,
    seconds: f64,
    views: Vec<ViewSummary>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ViewSummary {
    view: String,
    state_id: String,
    version: u64,
    next_offsets: BTreeMap<u32, u64>,
    /// What was read now, of which an earlier load may have left less than all.
    events: u64,
    counted: u64,
    duplicates: u64,
    aside: BTreeMap<&'static str, u64>,
    /// The entities that the state has.
    entities: u64,
}

impl Summary {
    pub(super) fn new(log: String, store: &'static str, loaded: Loaded, took: Duration) -> Self {
        let views = loaded.0.into_iter().map(|(feed, view)| ViewSummary {
            view: feed.view.to_string(),
            state_id: feed.state.to_string(),
            version: view.version,
            next_offsets: view.next,
            events: view.events,
            counted: view.counted,
            duplicates: view.duplicates,
            aside: view.aside,
            entities: view.entities,
        });
        Summary { log, store, seconds: took.as_secs_f64(), views: views.collect() }
    }
}

/// The summary as a table.
pub(super) fn text(summary: &Summary) -> String {
    let headings = ["VIEW", "VERSION", "EVENTS", "COUNTED", "ENTITIES", "ASIDE"];
    let lines = summary.views.iter().map(|view| {
        let numbers = [view.version, view.events, view.counted, view.entities].map(|number| number.to_string());
        let [version, events, counted, entities] = numbers;
        [view.view.clone(), version, events, counted, entities, output::counts(&view.aside)]
    });
    let Summary { log, store, seconds, .. } = summary;
    let mut text = output::listing(headings, lines);
    text.push_str(&format!("  {log} is in the {store} store, after {seconds:.1} s\n"));
    text
}

//! What a running driver reports.

use std::collections::BTreeMap;
use std::time::Duration;

use trifold_pipeline::Role;

use crate::error::Problem;
use crate::feed::FeedId;
use crate::kafka::TopicPartition;
use crate::sink::{AsideKind, AsideLine};
use crate::step::TrialSeen;
use crate::worker::Switch;

/// How far the worker is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// The rows to be done: those of the log, or those before the offset at which to stop.
    pub rows_known: u64,
    /// Every feed, by view.
    pub feeds: Vec<FeedProgress>,
}

impl Progress {
    /// The rows that every feed has applied.
    pub fn rows_done(&self) -> u64 {
        let lag = self.feeds.iter().map(|feed| feed.known.saturating_sub(feed.next)).max();
        lag.map_or(0, |lag| self.rows_known.saturating_sub(lag))
    }
}

/// How far one feed is, and what came of its events since the worker was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedProgress {
    /// The feed.
    pub feed: FeedId,
    /// The version in force, or the one that is tried out.
    pub version: u64,
    /// What it is tried out for.
    pub role: Option<Role>,
    /// The next offset.
    pub next: u64,
    /// How many offsets are to be done, of the log that the feed follows.
    pub known: u64,
    /// Whether the feed stands still because of a [`Problem`].
    pub blocked: bool,
    /// What its steps came to.
    pub counts: Counts,
}

/// What steps came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Events read.
    pub event_count: u64,
    /// Rows emitted, one for each event that counts.
    pub row_count: u64,
    /// Events that were there before and were counted once.
    pub duplicate_count: u64,
    /// Lines set aside, by reason.
    pub aside: BTreeMap<AsideKind, u64>,
    /// The units of fuel that components burnt.
    pub fuel: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Counts) {
        self.event_count += other.event_count;
        self.row_count += other.row_count;
        self.duplicate_count += other.duplicate_count;
        self.fuel += other.fuel;
        for (kind, count) in &other.aside {
            *self.aside.entry(*kind).or_default() += count;
        }
    }
}

/// Something that a running driver has to say.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// A step came to this for one feed.
    Applied {
        /// The feed.
        feed: &'a FeedId,
        /// What it came to.
        counts: &'a Counts,
    },
    /// A worker of a group committed a transaction.
    Committed {
        /// How long that took, without the steps.
        took: Duration,
    },
    /// So many events were partitioned anew for views over another entity than the topic's.
    Rekeyed {
        /// How many.
        count: u64,
    },
    /// A step was applied, or the driver looked whether the log has grown.
    Progress(&'a Progress),
    /// A step showed how a version that is tried out does.
    Tried(&'a TrialSeen),
    /// A feed came under another version or release, or began.
    Switched(&'a Switch),
    /// A state was removed that was built for a version which was given up before it served.
    Removed {
        /// Its feed.
        feed: &'a FeedId,
    },
    /// Rows of steps that never committed were removed.
    Discarded {
        /// The feed.
        feed: &'a FeedId,
        /// How many files.
        file_count: u64,
    },
    /// A worker of a group has these partitions from here on, and no others.
    Assigned {
        /// The partitions.
        partitions: &'a [TopicPartition],
    },
    /// A feed's state was brought up to date with what was committed before.
    Restored {
        /// The feed.
        feed: &'a FeedId,
        /// The partition.
        partition: u32,
        /// How many changes were read.
        entries: u64,
        /// How long it took.
        took: Duration,
    },
    /// An event of a view was set aside, the first one for its reason in the driver's life.
    Aside {
        /// The feed.
        feed: &'a FeedId,
        /// The event, why it does not count, and what is wrong with it.
        line: &'a AsideLine,
    },
    /// Something keeps a view or a release back. Said once for as long as it lasts.
    Problem(&'a Problem),
}

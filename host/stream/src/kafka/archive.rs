//! From a topic to an [archive](trifold_eventlog::archive), which outlives what the topic keeps.
//!
//! An archiver belongs to no group and keeps nothing: where it goes on, the archive itself says. So any number of them may
//! run, and be killed at any time.
//!
//! Reading order: [`Archiver`] (when to try again), `session` (from one failure to the next).

mod session;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use trifold_eventlog::archive::{ArchiveLimits, ArchivedFile};
use trifold_formats::Encoding;

use self::session::Session;
use crate::driver::{Until, wait};
use crate::kafka::error::ClusterError;
use crate::kafka::patience::Patience;
use crate::kafka::settings::{ClusterSettings, not_empty};

/// What an archiver is told.
#[derive(Debug, Clone)]
pub struct ArchiveSettings {
    /// The cluster.
    pub cluster: ClusterSettings,
    /// The topic of events.
    pub topic: String,
    /// How the values of its records are encoded.
    pub encoding: Encoding,
    /// The field of the arrival, or the time of the log's append; `None` where arrivals are not recorded.
    pub arrival: Option<String>,
    /// The directory of the archive.
    pub dir: PathBuf,
    /// How long a file may stay unfinished while its topic is followed.
    pub interval: Duration,
    /// How large files become. Their memory is that of all partitions together.
    pub limits: ArchiveLimits,
}

/// What whoever watches is told.
#[derive(Debug)]
pub enum ArchiveNotice<'a> {
    /// So many records are to be archived, as far as that is known; gaps between offsets count as well.
    Found {
        /// How many.
        records: u64,
    },
    /// Records were read.
    Read {
        /// How many.
        records: u64,
    },
    /// A file is in the archive.
    Added(&'a ArchivedFile),
    /// Another archiver was faster, and this one goes on behind what it wrote.
    Overtaken {
        /// The partition.
        partition: u32,
    },
    /// All that there was at present has been read.
    CaughtUp,
    /// Something is wrong. It is tried again.
    Problem(&'a str),
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ArchiveReport {
    /// The files that were added.
    pub files: u64,
    /// The events in them.
    pub events: u64,
    /// Those of them whose value could not be decoded.
    pub undecoded: u64,
    /// Those of them without an arrival that can be read, where arrivals are recorded.
    pub without_arrival: u64,
    /// The size of the files.
    pub bytes: u64,
    /// Where the archive of each partition ends.
    pub ends: Vec<u64>,
    /// Whether the run ended because it was told to.
    pub interrupted: bool,
}

/// What was told to whoever watches.
pub type Notify<'a> = &'a mut (dyn FnMut(ArchiveNotice<'_>) + Send);

/// Archives a topic.
pub struct Archiver {
    settings: Arc<ArchiveSettings>,
    /// How long to wait before something is tried again.
    interval: Duration,
    report: ArchiveReport,
}

impl Archiver {
    /// An archiver that looks again for a cluster that is gone after `interval`, and later and later.
    pub fn new(settings: ArchiveSettings, interval: Duration) -> Result<Self, ClusterError> {
        not_empty("topic", &settings.topic)?;
        settings.cluster.check()?;
        let settings = Arc::new(settings);
        Ok(Archiver { settings, interval, report: ArchiveReport::default() })
    }

    /// Runs until the end of what there is, or until `stop` turns true: files that are not finished are then finished.
    /// [`Until::Offset`] counts as [`Until::End`]. It keeps its thread busy and waits for the cluster on it: give it one of
    /// its own.
    pub async fn run(
        mut self,
        until: Until,
        notify: Notify<'_>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<ArchiveReport, ClusterError> {
        let mut session: Option<Session> = None;
        let mut patience = Patience::new(self.interval, until);
        loop {
            let stopped = *stop.borrow();
            match self.turn(&mut session, until, stopped, notify) {
                Ok(true) => {
                    self.report.interrupted = stopped;
                    return Ok(self.report);
                }
                Ok(false) => {
                    patience.went_well();
                    tokio::task::yield_now().await;
                }
                Err(error) => {
                    session = None;
                    let pause = patience.bears(error)?;
                    if let Some(problem) = pause.news {
                        notify(ArchiveNotice::Problem(&problem));
                    }
                    wait(pause.wait, &mut stop).await;
                }
            }
        }
    }

    /// Reads and writes some more: whether the run is over.
    fn turn(
        &mut self,
        session: &mut Option<Session>,
        until: Until,
        stopped: bool,
        notify: Notify<'_>,
    ) -> Result<bool, ClusterError> {
        if session.is_none() && stopped {
            return Ok(true);
        }
        let session = match session {
            Some(session) => session,
            None => session.insert(Session::begin(self.settings.clone(), notify)?),
        };
        let caught_up = session.turn(&mut self.report, notify)?;
        if stopped || (caught_up && until != Until::Follow) {
            session.finish(&mut self.report, notify)?;
            self.report.ends = session.ends();
            // Another archiver may have been faster, and left the rest to this one.
            return Ok(stopped || session.is_caught_up());
        }
        Ok(false)
    }
}

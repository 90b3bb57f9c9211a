//! The log that is loaded.

use std::ops::Range;
use std::path::PathBuf;

use trifold_eventlog::{Archive, FileLog, LogOptions, SourceConfig};
use trifold_model::LogId;
use trifold_pipeline::{LiveVersion, LiveViews};
use trifold_stream::{ArchivePartition, Source};

use crate::args::Log;
use crate::commands::events::warn_of_unfinished_line;
use crate::commands::stream::log_failure;
use crate::exit::Outcome;

/// Files of events, or an archive.
pub(super) struct History {
    log: LogId,
    kind: Kind,
}

enum Kind {
    Files { path: PathBuf, options: LogOptions },
    Archive { archive: Archive, checks_keys: bool },
}

impl History {
    /// Looks what it is. `checks_keys`: in an archive the key of each event must be that of its entity.
    pub(super) fn open(args: &Log, source: &SourceConfig, live: &LiveViews, checks_keys: bool) -> Outcome<Self> {
        if Archive::is_at(&args.events) {
            let archive = Archive::open(&args.events).map_err(log_failure)?;
            if let Some(name) = &args.log_id {
                archive.check_log(&LogId(name.as_str().into())).map_err(log_failure)?;
            }
            return Ok(History { log: archive.log(), kind: Kind::Archive { archive, checks_keys } });
        }
        let columns = source.columns(live.views.values().map(LiveVersion::view));
        let options = LogOptions { name: args.log_id.clone(), columns: Some(columns) };
        let log = FileLog::open(&args.events, options.clone()).map_err(log_failure)?.id().clone();
        Ok(History { log, kind: Kind::Files { path: args.events.clone(), options } })
    }

    pub(super) fn log(&self) -> &LogId {
        &self.log
    }

    pub(super) fn partitions(&self) -> Range<u32> {
        match &self.kind {
            Kind::Files { .. } => 0..1,
            Kind::Archive { archive, .. } => 0..archive.partitions(),
        }
    }

    /// A partition whose states have events of no other.
    pub(super) fn alone(&self, partition: u32) -> Outcome<Box<dyn Source>> {
        self.source(partition, ArchivePartition::alone)
    }

    /// A partition whose states have those of all partitions.
    pub(super) fn of_all(&self, partition: u32) -> Outcome<Box<dyn Source>> {
        self.source(partition, ArchivePartition::of_all)
    }

    fn source(
        &self,
        partition: u32,
        archived: fn(&Archive, u32, bool) -> ArchivePartition,
    ) -> Outcome<Box<dyn Source>> {
        Ok(match &self.kind {
            Kind::Files { path, options } => Box::new(FileLog::open(path, options.clone()).map_err(log_failure)?),
            Kind::Archive { archive, checks_keys } => Box::new(archived(archive, partition, *checks_keys)),
        })
    }

    /// Where a partition ends.
    pub(super) fn known(&self, partition: u32) -> Outcome<u64> {
        self.alone(partition)?.rows_known().map_err(log_failure)
    }

    /// Whether there is more than up to `next` of each partition.
    pub(super) fn has_more(&self, next: impl Fn(u32) -> u64) -> Outcome<bool> {
        for partition in self.partitions() {
            if self.known(partition)? > next(partition) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn warn_of_unfinished_line(&self) {
        if let Kind::Files { path, .. } = &self.kind {
            warn_of_unfinished_line(path);
        }
    }
}

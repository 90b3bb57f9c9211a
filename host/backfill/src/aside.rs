//! Events that do not count, kept aside.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::value::RawValue;
use trifold_eventlog::{Aside, AsideReason};

use crate::durable::{read_json, rename, write_json};
use crate::error::BackfillError;
use crate::recording::{Recording, Unit};

pub(crate) type AsideCounts = BTreeMap<AsideReason, u64>;

/// Where events that do not count go.
pub(crate) trait AsideSink: Sync {
    /// Begins a unit of the log.
    fn open(&self, unit: &Unit) -> Result<UnitAside, BackfillError>;
}

/// Forgets them: somebody else has kept them, or nobody asks.
pub(crate) struct Forget;

impl AsideSink for Forget {
    fn open(&self, _unit: &Unit) -> Result<UnitAside, BackfillError> {
        Ok(UnitAside { kept: None, counts: AsideCounts::new() })
    }
}

/// Writes them to a directory as JSON lines, one file for each unit of the log that has any, and their numbers to
/// another. A file bears the number of its unit's beginning, so that reading files in the order of their names
/// gives the events in the order of the log.
pub(crate) struct Keep {
    pub(crate) lines_dir: PathBuf,
    pub(crate) counts_dir: PathBuf,
}

impl Keep {
    fn counts_file(&self, unit: &Unit) -> PathBuf {
        self.counts_dir.join(format!("aside-{:020}.json", unit.number()))
    }

    /// The numbers over all units, once each has been read to its end, by this run or by one before it.
    pub(crate) fn counts(&self, recording: &Recording) -> Result<AsideCounts, BackfillError> {
        let mut total = AsideCounts::new();
        for unit in &recording.units {
            let counts: BTreeMap<String, u64> = read_json(&self.counts_file(unit))?.unwrap_or_default();
            for reason in AsideReason::ALL {
                if let Some(count) = counts.get(reason.name()) {
                    *total.entry(reason).or_default() += count;
                }
            }
        }
        Ok(total)
    }
}

impl AsideSink for Keep {
    fn open(&self, unit: &Unit) -> Result<UnitAside, BackfillError> {
        let path = self.lines_dir.join(format!("{:020}.jsonl", unit.number()));
        let kept = Some((AsideFile { path, writer: None }, self.counts_file(unit)));
        Ok(UnitAside { kept, counts: AsideCounts::new() })
    }
}

/// The events of one unit that do not count.
pub(crate) struct UnitAside {
    kept: Option<(AsideFile, PathBuf)>,
    counts: AsideCounts,
}

impl UnitAside {
    /// Takes events in offset order.
    pub(crate) fn take(&mut self, aside: &[Aside]) -> Result<(), BackfillError> {
        for event in aside {
            *self.counts.entry(event.reason).or_default() += 1;
            if let Some((file, _)) = &mut self.kept {
                file.write(event)?;
            }
        }
        Ok(())
    }

    /// Keeps what was taken.
    pub(crate) fn finish(self) -> Result<(), BackfillError> {
        match self.kept {
            Some((file, counts_file)) if !self.counts.is_empty() => {
                file.finish()?;
                let counts: BTreeMap<_, _> =
                    self.counts.iter().map(|(reason, count)| (reason.name(), count)).collect();
                write_json(&counts_file, &counts)
            }
            _ => Ok(()),
        }
    }
}

/// A file that is made with its first line, under a hidden name until it is complete.
struct AsideFile {
    path: PathBuf,
    writer: Option<BufWriter<File>>,
}

#[derive(Serialize)]
struct Line<'a> {
    partition: u32,
    offset: u64,
    reason: &'static str,
    detail: &'a str,
    event: &'a RawValue,
}

impl AsideFile {
    fn write(&mut self, aside: &Aside) -> Result<(), BackfillError> {
        let hidden = hidden(&self.path);
        let event: &RawValue = serde_json::from_str(&aside.event).map_err(|error| BackfillError::Record {
            file: self.path.clone(),
            problem: format!("the event at offset {} has no JSON form: {error}", aside.offset),
        })?;
        let line = Line {
            partition: aside.partition,
            offset: aside.offset,
            reason: aside.reason.name(),
            detail: &aside.detail,
            event,
        };
        if self.writer.is_none() {
            if let Some(dir) = self.path.parent() {
                fs::create_dir_all(dir).map_err(BackfillError::io("make", dir))?;
            }
            let file = File::create(&hidden).map_err(BackfillError::io("make", &hidden))?;
            self.writer = Some(BufWriter::new(file));
        }
        if let Some(writer) = &mut self.writer {
            serde_json::to_writer(&mut *writer, &line)
                .map_err(std::io::Error::from)
                .and_then(|()| writer.write_all(b"\n"))
                .map_err(BackfillError::io("write", &hidden))?;
        }
        Ok(())
    }

    fn finish(self) -> Result<(), BackfillError> {
        let Some(writer) = self.writer else { return Ok(()) };
        let hidden = hidden(&self.path);
        let file = writer.into_inner().map_err(|error| error.into_error());
        file.and_then(|file| file.sync_all()).map_err(BackfillError::io("write", &hidden))?;
        rename(&hidden, &self.path).map_err(BackfillError::io("rename", &hidden))
    }
}

fn hidden(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.tmp"))
}

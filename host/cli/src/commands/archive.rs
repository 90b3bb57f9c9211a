//! `trifold archive`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use trifold_eventlog::archive::ArchiveLimits;
use trifold_stream::Until;
use trifold_stream::kafka::{ArchiveNotice, ArchiveReport, ArchiveSettings, Archiver};

use super::stream::kafka;
use crate::args::Archive;
use crate::exit::{Exit, Failure, Outcome};
use crate::monitor::Monitor;
use crate::world::World;
use crate::{output, progress};

/// Archives a topic.
pub fn run(world: &World, args: Archive) -> Outcome {
    let section = &world.config.archive;
    let mebibytes = |count: usize| count.saturating_mul(1 << 20);
    let arrival = args.arrival.as_ref().unwrap_or(&world.config.source.arrival);
    let dir = match args.archive {
        Some(dir) => dir,
        None if section.dir.as_os_str().is_empty() => world.data("archive").join(&args.topic),
        None => section.dir.clone(),
    };
    let settings = ArchiveSettings {
        cluster: kafka::cluster(&world.config.kafka, &args.cluster, "archive"),
        encoding: kafka::encoding(&world.config.kafka, &args.values)?,
        topic: args.topic,
        arrival: (!arrival.is_empty()).then(|| arrival.clone()),
        dir: dir.clone(),
        interval: Duration::from_millis(section.interval_ms),
        limits: ArchiveLimits {
            rows_max: section.file_rows,
            bytes_max: mebibytes(section.file_mib),
            memory_bytes_max: mebibytes(section.memory_mib),
        },
    };
    let interval = Duration::from_millis(world.config.stream.poll_interval_ms);
    let archiver = Archiver::new(settings, interval).map_err(kafka::failure)?;
    let until = if args.follow { Until::Follow } else { Until::End };
    let stop = world.stop_signal();
    let monitor = Monitor::start(world, args.watch.metrics.as_ref())?;
    let report = world.block_on(async {
        let bar = progress::rows("archive", 0);
        let mut notify = |notice: ArchiveNotice<'_>| {
            monitor.note_archive(&notice);
            match notice {
                ArchiveNotice::Found { records } => bar.set_length(bar.position() + records),
                ArchiveNotice::Read { records } => bar.inc(records),
                ArchiveNotice::Added(file) => {
                    let (path, partition) = (file.path.display(), file.partition);
                    tracing::info!(%path, partition, first = file.first, next = file.next, rows = file.rows, "file added");
                }
                ArchiveNotice::Overtaken { partition } => {
                    tracing::info!(partition, "another archiver was faster, going on behind it");
                }
                ArchiveNotice::CaughtUp => tracing::info!("caught up"),
                ArchiveNotice::Problem(error) => tracing::error!("the archiver waits: {error}"),
            }
        };
        let report = archiver.run(until, &mut notify, stop).await;
        bar.finish_and_clear();
        report
    });
    let report = report.map_err(kafka::failure)?;
    output::print(world.format, &Summary::new(&report, dir), text)?;
    verdict(&report, until, arrival)
}

fn verdict(report: &ArchiveReport, until: Until, arrival: &str) -> Outcome {
    if report.events > 0 && report.without_arrival == report.events {
        let message = format!(
            "not one of the {} events that were archived has an arrival in `{arrival}`: remove the archive and name \
             another field with `--arrival`",
            report.events
        );
        return Err(Failure::new(Exit::Data, message));
    }
    if report.interrupted && until != Until::Follow {
        return Err(Failure::new(Exit::Unavailable, "interrupted: run it again to go on"));
    }
    Ok(())
}

/// What a run came to, for people and scripts.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Summary {
    archive: PathBuf,
    interrupted: bool,
    files: u64,
    events: u64,
    undecoded: u64,
    without_arrival: u64,
    bytes: u64,
    /// Where the archive of each partition ends.
    next_offsets: Vec<u64>,
}

impl Summary {
    fn new(report: &ArchiveReport, archive: PathBuf) -> Self {
        Summary {
            archive,
            interrupted: report.interrupted,
            files: report.files,
            events: report.events,
            undecoded: report.undecoded,
            without_arrival: report.without_arrival,
            bytes: report.bytes,
            next_offsets: report.ends.clone(),
        }
    }
}

fn text(summary: &Summary) -> String {
    let mut text = format!("{} events in {} files, {} bytes\n", summary.events, summary.files, summary.bytes);
    if summary.undecoded > 0 {
        text.push_str(&format!(
            "  {} of them could not be decoded, and are kept as they are\n",
            summary.undecoded
        ));
    }
    if summary.without_arrival > 0 {
        text.push_str(&format!("  {} of them have no arrival that can be read\n", summary.without_arrival));
    }
    let next: Vec<_> = summary.next_offsets.iter().map(u64::to_string).collect();
    text.push_str(&format!("  the archive {} ends at {}\n", summary.archive.display(), next.join(", ")));
    text
}

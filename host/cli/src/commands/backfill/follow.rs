//! `trifold backfill --follow-releases`: the rows that the stream emitted, each with the version that computed it there.
//!
//! Every version that computed some has a directory of its own, since versions may differ in their columns: an ordinary
//! backfill of that version, which sees all events and answers at its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use trifold_backfill::{Backfill as Run, Output, Report, Resources};
use trifold_eventlog::{Archive, LogOptions, RowFormat, Scan};
use trifold_model::{LogId, Positions, StateId, ViewName};
use trifold_pipeline::{Ask, EmittedBy, LiveVersion, StateRows, Versions, follow};
use trifold_registry::Registry;
use trifold_store::{OnlineStore, StateStore};
use trifold_stream::FeedId;
use trifold_stream::kafka::rows_of;

use super::{Summary, backfill_failure, job, resources, summary, text, unavailable, watch};
use crate::args::Backfill;
use crate::commands::audit::same_log;
use crate::commands::events::warn_of_unfinished_line;
use crate::commands::stream::{kafka, log_failure};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::world::{World, parse_version, registry_failure, version_failure};
use crate::{output, progress};

/// Where the rows of a version stand, below the directory that is named.
const DIRECTORY: &str = "version-";

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Followed {
    view: String,
    versions: Vec<FollowedVersion>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct FollowedVersion {
    version: u64,
    component: String,
    /// The releases under which it computed rows.
    releases: BTreeSet<u64>,
    #[serde(flatten)]
    summary: Summary,
}

/// Computes the rows of all events that the stream has taken.
pub(super) fn run(world: &World, args: &Backfill, name: &str, out: &Path) -> Outcome {
    let (view, pinned) = parse_version(name)?;
    if pinned.is_some() {
        let message =
            format!("`--follow-releases` takes the versions that the releases name: write `{view}` alone");
        return Err(Failure::new(Exit::Usage, message));
    }
    if world.block_on(world.version(name))?.view().on_demand().is_some() {
        let message = format!(
            "view {view} is an on-demand view: its values belong to requests, and the stream emits no rows of it"
        );
        return Err(Failure::new(Exit::Usage, message));
    }
    let registry = world.registry(false)?;
    let history = world.block_on(registry.history(&view)).map_err(registry_failure)?;
    let states = states(world, args, &registry, &view)?;
    let emitted =
        follow(&states, &history).map_err(|error| Failure::new(Exit::Data, format!("view {view}: {error}")))?;
    refuse_others(out, &emitted)?;
    let versions = Versions::new(registry, world.sandbox()?);
    let (mut followed, mut left) = (Vec::new(), None);
    for by in emitted {
        let (releases, component, version) = (by.releases.clone(), by.digest.to_string(), by.version);
        let report = rows(world, args, (&versions, &view), by, out)?;
        if let Some(reason) = &report.counts.unavailable {
            left.get_or_insert((0, reason.clone())).0 += report.counts.unavailable_count();
        }
        followed.push(FollowedVersion { version, component, releases, summary: summary(&report) });
    }
    output::print(world.format, &Followed { view: view.to_string(), versions: followed }, followed_text)?;
    warn_of_unfinished_line(&args.log.events);
    match left {
        Some((rows, reason)) => Err(unavailable(rows, &reason)),
        None => Ok(()),
    }
}

/// Computes the rows of one version.
fn rows(
    world: &World,
    args: &Backfill,
    (versions, view): (&Versions, &ViewName),
    by: EmittedBy,
    out: &Path,
) -> Outcome<Report> {
    let transform = world.block_on(versions.transform(view, by.version, &by.digest)).map_err(version_failure)?;
    let version = LiveVersion { transform, version: by.version, release: None };
    let until = by.rows.end();
    let mut job = job(world, version, &args.log, Ask::Emitted(Arc::new(by.rows)), false)?;
    job.until = Some(until);
    let backfill = Run {
        job,
        spine: None,
        output: Output {
            dir: directory(out, by.version),
            format: if args.rows_format == "jsonl" { RowFormat::JsonLines } else { RowFormat::Parquet },
            digest: args.digest,
            overwrite: args.overwrite,
        },
        resources: Resources { shards: args.shards, ..resources(world, args.memory_mib, args.threads) },
        watch: watch(world),
    };
    backfill.run().map_err(backfill_failure)
}

fn directory(out: &Path, version: u64) -> PathBuf {
    out.join(format!("{DIRECTORY}{version}"))
}

/// Rows of versions that computed none would be taken for rows of the stream.
fn refuse_others(out: &Path, emitted: &[EmittedBy]) -> Outcome {
    let entries = std::fs::read_dir(out).into_iter().flatten();
    let wanted: BTreeSet<_> = emitted.iter().map(|by| directory(out, by.version)).collect();
    match entries.filter_map(|entry| Some(entry.ok()?.path())).find(|path| !wanted.contains(path)) {
        None => Ok(()),
        Some(other) => {
            let message =
                format!("{} is no part of these rows: remove it, or name an empty directory", other.display());
            Err(Failure::new(Exit::Usage, message))
        }
    }
}

/// What was recorded of each state of a view: in the store of the data directory, or in the topics of a group that was archived.
fn states(world: &World, args: &Backfill, registry: &Registry, view: &ViewName) -> Outcome<Vec<StateRows>> {
    let log = &args.log;
    let options = LogOptions { name: log.log_id.clone(), columns: None };
    let scan = Scan::of(&log.events, options, world.config.kafka.check_keys).map_err(log_failure)?;
    let records = world.block_on(registry.versions(view)).map_err(registry_failure)?;
    let ids: BTreeSet<StateId> = records.iter().map(|record| record.state_id).collect();
    let (place, found) = match Archive::is_at(&log.events) {
        true => of_group(world, args, view, ids)?,
        false => of_store(world, ids)?,
    };
    if found.is_empty() {
        let message = format!("{place} holds no state of view {view}: run `trifold stream`");
        return Err(Failure::new(Exit::NotFound, message));
    }
    for (log, state) in &found {
        same_log(view.as_str(), log, &scan.log)?;
        check_end(view, &state.end, &scan)?;
    }
    Ok(found.into_iter().map(|(_, state)| state).collect())
}

/// What is recorded at some place of states, each with the log that it follows.
type Recorded = (String, Vec<(LogId, StateRows)>);

fn of_store(world: &World, ids: BTreeSet<StateId>) -> Outcome<Recorded> {
    let path = world.data("store.redb");
    if !path.exists() {
        let message = format!(
            "{} is not there, and it says under which release rows were computed: name the data directory of `trifold \
             stream` with --data-dir",
            path.display()
        );
        return Err(Failure::new(Exit::NotFound, message));
    }
    let store = world.store("backfill --follow-releases")?;
    let mut found = Vec::new();
    for id in ids {
        let Some(marker) = world.block_on(store.marker(id)).or_exit(Exit::Io)? else { continue };
        let switches = world.block_on(store.switches(id)).or_exit(Exit::Io)?;
        found.push((marker.log, StateRows { end: marker.positions, switches }));
    }
    Ok((path.display().to_string(), found))
}

fn of_group(world: &World, args: &Backfill, view: &ViewName, ids: BTreeSet<StateId>) -> Outcome<Recorded> {
    let cluster = kafka::cluster(&world.config.kafka, &args.cluster, "backfill");
    let (bar, mut found) = (progress::rows("changes", 0), Vec::new());
    for state in ids {
        let before = bar.length().unwrap_or(0);
        let mut told = |read, total| {
            bar.set_length(before + total);
            bar.inc(read);
        };
        let feed = FeedId { view: view.clone(), state };
        found.extend(rows_of(&cluster, &feed, &mut told).map_err(kafka::failure)?);
    }
    bar.finish_and_clear();
    Ok((format!("the group {} at {}", cluster.group, cluster.brokers), found))
}

/// Refuses a log that lacks events which had rows.
fn check_end(view: &ViewName, applied: &Positions, scan: &Scan) -> Outcome {
    let is_short = |(partition, next): &(&u32, &u64)| scan.ends.next(**partition) < **next;
    let Some((partition, next)) = applied.0.iter().find(is_short) else { return Ok(()) };
    let message = format!(
        "view {view}: the stream has taken {next} events of partition {partition}, and the log {} has {}: name the whole log \
         with `--events`, or wait until `trifold archive` has them",
        scan.log.0,
        scan.ends.next(*partition)
    );
    Err(Failure::new(Exit::Data, message))
}

fn followed_text(followed: &Followed) -> String {
    let version = |version: &FollowedVersion| {
        let releases: Vec<_> = version.releases.iter().map(ToString::to_string).collect();
        let FollowedVersion { version, summary, .. } = version;
        format!("{}@{version}, under release {}: {}", followed.view, releases.join(", "), text(summary))
    };
    followed.versions.iter().map(version).collect()
}

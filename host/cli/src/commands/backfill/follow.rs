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
use trifold_model::{Positions, StateId, ViewName};
use trifold_pipeline::{Ask, EmittedBy, LiveVersion, StateRows, Versions, follow};
use trifold_registry::Registry;
use trifold_store::{OnlineStore, StateStore};

use super::{Summary, backfill_failure, job, resources, summary, text, unavailable, watch};
use crate::args::{Backfill, Log};
use crate::commands::audit::same_log;
use crate::commands::events::warn_of_unfinished_line;
use crate::commands::stream::log_failure;
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::output;
use crate::world::{World, parse_version, registry_failure, version_failure};

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
    let states = states(world, &args.log, &registry, &view)?;
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

/// What the store of the data directory says of each state of a view.
fn states(world: &World, log: &Log, registry: &Registry, view: &ViewName) -> Outcome<Vec<StateRows>> {
    if Archive::is_at(&log.events) {
        let message = "workers on Kafka note releases in their topics of changes, which `--follow-releases` does not read: \
                       compute the rows of one version, with `trifold backfill VIEW@N --cut position`";
        return Err(Failure::new(Exit::Usage, message));
    }
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
    let options = LogOptions { name: log.log_id.clone(), columns: None };
    let scan = Scan::of(&log.events, options, world.config.kafka.check_keys).map_err(log_failure)?;
    let records = world.block_on(registry.versions(view)).map_err(registry_failure)?;
    let ids: BTreeSet<StateId> = records.iter().map(|record| record.state_id).collect();
    let mut states = Vec::new();
    for id in ids {
        let Some(marker) = world.block_on(store.marker(id)).or_exit(Exit::Io)? else { continue };
        same_log(view.as_str(), &marker.log, &scan.log)?;
        check_end(view, &marker.positions, &scan)?;
        let switches = world.block_on(store.switches(id)).or_exit(Exit::Io)?;
        states.push(StateRows { end: marker.positions, switches });
    }
    if states.is_empty() {
        let message = format!("{} holds no state of view {view}: run `trifold stream`", path.display());
        return Err(Failure::new(Exit::NotFound, message));
    }
    Ok(states)
}

/// Refuses a log that lacks events which had rows.
fn check_end(view: &ViewName, applied: &Positions, scan: &Scan) -> Outcome {
    let is_short = |(partition, next): &(&u32, &u64)| scan.ends.next(**partition) < **next;
    let Some((partition, next)) = applied.0.iter().find(is_short) else { return Ok(()) };
    let message = format!(
        "view {view}: the stream has taken {next} events of partition {partition}, and the log {} has {}: name the whole log \
         with `--events`",
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

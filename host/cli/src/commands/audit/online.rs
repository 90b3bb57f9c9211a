//! A running server against a backfill at the positions that it names.

use std::collections::{BTreeMap, BTreeSet};

use trifold_backfill::{Questions, Replay, ReplayAnswer};
use trifold_eventlog::{ArrivalClock, FileLog, LogOptions, decode};
use trifold_model::{
    CanonicalRows, ComponentDigest, Cut, EntityKey, EventTime, FeatureView, LogId, RowDigest, decode_keys,
};
use trifold_pipeline::{Ask, LiveVersion};
use trifold_server::client::{Client, ViewRows};

use super::report::{ComponentRows, Place, Report};
use super::same_log;
use crate::args::Audit;
use crate::commands::backfill::{backfill_failure, job, resources, watch};
use crate::commands::get::{client_failure, connect, time};
use crate::commands::stream::log_failure;
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::progress;
use crate::world::{World, parse_version};

/// Entities of one request.
const REQUEST_ROWS: usize = 1000;
/// Rows of the log decoded at a time.
const SCAN_ROWS: usize = 8192;

/// Looks every entity of the log up and replays the answers.
pub(super) fn audit(world: &World, args: &Audit, version: LiveVersion) -> Outcome<Report> {
    let view = version.view().clone();
    let (log, keys) = entities(world, args, &view)?;
    let groups = world.block_on(look_up(world, args, &view, &log, &keys))?;
    let mut report = Report::new(&view, "online answers", args.show);
    let registry = world.registry(false)?;
    for ((component, position), looked_up) in groups {
        let transform = match component == version.digest() {
            true => version.transform.clone(),
            false => world.block_on(world.transform(&registry, &component))?,
        };
        let replayed = LiveVersion { transform, ..version.clone() };
        report.components.push(ComponentRows { digest: component.to_string(), rows: looked_up.len() as u64 });
        replay(world, args, replayed, position, &looked_up, &mut report)?;
    }
    Ok(report)
}

/// The log's id and its entities, each once.
fn entities(world: &World, args: &Audit, view: &FeatureView) -> Outcome<(LogId, BTreeSet<EntityKey>)> {
    let source = world.source(&args.log.source);
    let options = LogOptions { name: args.log.log_id.clone(), columns: Some(source.columns([view])) };
    let mut log = FileLog::open(&args.log.events, options).map_err(log_failure)?;
    let bar = progress::rows("entities", log.rows_known().map_err(log_failure)?);
    let mut clock = ArrivalClock::default();
    let mut entities = BTreeSet::new();
    let mut next = 0;
    while let Some(raw) = log.read(next, SCAN_ROWS).map_err(log_failure)? {
        next = raw.next_offset();
        bar.set_position(next);
        let events = decode(&raw, &source, view, &mut clock).map_err(log_failure)?;
        let keys = CanonicalRows::of_columns(&events.inputs, view.key_columns().iter().copied())
            .or_exit(Exit::Internal)?;
        let mut scratch = Vec::new();
        entities.extend((0..events.offsets.len()).map(|row| keys.key(row, &mut scratch)));
    }
    bar.finish_and_clear();
    Ok((log.id().clone(), entities))
}

/// One answer of the server.
struct LookedUp {
    key: EntityKey,
    as_of: EventTime,
    /// The canonical bytes and the digest that the server sent; `None` where it was unavailable.
    value: Option<(Vec<u8>, Option<RowDigest>)>,
}

/// A component and the offset of the next event of each partition.
type Cutting = (ComponentDigest, BTreeMap<u32, u64>);

/// Looks entities up and files the answers by what a replay of them must use.
async fn look_up(
    world: &World,
    args: &Audit,
    view: &FeatureView,
    log: &LogId,
    keys: &BTreeSet<EntityKey>,
) -> Outcome<BTreeMap<Cutting, Vec<LookedUp>>> {
    let as_of = args.as_of.as_deref().map(time).transpose()?;
    let mut client: Client = connect(world, &args.server).await?;
    let keys: Vec<_> = keys.iter().collect();
    let features = [parse_version(&args.view)?.0.to_string()];
    let bar = progress::rows("lookups", keys.len() as u64);
    let mut groups: BTreeMap<Cutting, Vec<LookedUp>> = BTreeMap::new();
    let mut chunks: Vec<_> = keys.chunks(REQUEST_ROWS).collect();
    while let Some(chunk) = chunks.pop() {
        let batch = decode_keys(view.key_fields(), chunk.iter().copied()).or_exit(Exit::Internal)?;
        let halves = chunk.split_at(chunk.len() / 2);
        let answer = match client.get(&features, &batch, as_of).await {
            // The server's limits may be lower than ours.
            Err(error) if error.is_limit() && chunk.len() > 1 => {
                chunks.extend([halves.0, halves.1]);
                continue;
            }
            answer => answer.map_err(client_failure)?,
        };
        let rows: &ViewRows =
            answer.views.first().ok_or_else(|| Failure::new(Exit::Data, "the server answered for no view"))?;
        let (followed, positions) = rows.position.clone().ok_or_else(|| {
            Failure::new(
                Exit::Unavailable,
                format!("the server has no state of view {}: run `trifold stream`", rows.view),
            )
        })?;
        same_log(view, &followed, log)?;
        let canonical = rows.rows.canonical().or_exit(Exit::Data)?;
        // Rows may be unavailable because the request as a whole was too much.
        if chunk.len() > 1 && canonical.contains(&None) {
            chunks.extend([halves.0, halves.1]);
            continue;
        }
        let looked_up = canonical.into_iter().enumerate().map(|(row, bytes)| LookedUp {
            key: chunk[row].clone(),
            as_of: answer.as_of[row],
            value: bytes.map(|bytes| (bytes, rows.digests[row])),
        });
        groups.entry((rows.digest, positions.0)).or_default().extend(looked_up);
        bar.inc(chunk.len() as u64);
    }
    bar.finish_and_clear();
    Ok(groups)
}

fn replay(
    world: &World,
    args: &Audit,
    version: LiveVersion,
    position: BTreeMap<u32, u64>,
    looked_up: &[LookedUp],
    report: &mut Report,
) -> Outcome {
    let view = version.view().clone();
    let cut = Cut::Position(trifold_model::Positions(position));
    let questions = Questions {
        keys: looked_up.iter().map(|row| row.key.clone()).collect(),
        as_of: looked_up.iter().map(|row| row.as_of).collect(),
    };
    let replay = Replay {
        job: job(world, version, &args.log, Ask::Spine(cut), false)?,
        questions: Some(questions),
        spill_dir: world.config.data_dir.clone(),
        resources: resources(world, None, None),
        watch: watch(world),
    };
    let mut answered = 0;
    let mut compare = |answer: ReplayAnswer<'_>| {
        answered += 1;
        let Some(row) = usize::try_from(answer.number).ok().and_then(|number| looked_up.get(number)) else {
            return;
        };
        let place = Place { number: answer.number, key: &row.key, as_of: row.as_of };
        let (Some((bytes, digest)), Ok(replayed)) = (&row.value, answer.value) else {
            report.unavailable += 1;
            return;
        };
        let replayed_digest = RowDigest::of(replayed);
        if report.compare(&view, &place, bytes, replayed) && *digest != Some(replayed_digest) {
            report.differing += 1;
            let sent = digest.map_or_else(|| "none".to_owned(), |digest| digest.to_string());
            report.note(&view, &place, "row digest".to_owned(), sent, replayed_digest.to_string());
        }
    };
    replay.answers(&mut compare).map_err(backfill_failure)?;
    report.extra += looked_up.len() as u64 - answered;
    Ok(())
}

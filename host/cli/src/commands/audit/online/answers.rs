//! What a server answers, and what its answers were made of.

use std::collections::BTreeMap;

use trifold_model::{
    ComponentDigest, EntityKey, EventTime, FeatureView, LogId, OnDemandSpec, RowDigest, ViewName,
};
use trifold_server::client::{Client, RowBasis, StatePosition, ViewRows};

use super::questions::Asking;
use crate::args::Audit;
use crate::commands::audit::same_log;
use crate::commands::get::{client_failure, connect};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::progress;
use crate::world::World;

/// Entities or requests of one lookup.
const REQUEST_ROWS: usize = 1000;

/// What answers were made of, which a replay of them must use.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Basis {
    /// The version that answered.
    pub(super) version: u64,
    /// Its component.
    pub(super) component: ComponentDigest,
    /// The states that it read: that of a row or window view itself, or of the views that an on-demand view reads.
    pub(super) states: Vec<State>,
}

/// The state of a view.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct State {
    pub(super) view: String,
    pub(super) version: u64,
    pub(super) component: ComponentDigest,
    /// The offset of the next event of each partition.
    pub(super) next_offsets: BTreeMap<u32, u64>,
}

/// One answer of the server.
pub(super) struct LookedUp {
    /// The row that asked.
    pub(super) number: usize,
    /// The entity, or the fields of the request.
    pub(super) key: EntityKey,
    pub(super) as_of: EventTime,
    /// The canonical bytes and the digest that the server sent; `None` where it was unavailable.
    pub(super) value: Option<(Vec<u8>, Option<RowDigest>)>,
}

/// Looks everything up and files the answers by what they were made of.
pub(super) async fn look_up(
    world: &World,
    args: &Audit,
    view: &FeatureView,
    asking: &Asking,
) -> Outcome<BTreeMap<Basis, Vec<LookedUp>>> {
    let mut client: Client = connect(world, &args.server).await?;
    let features = [view.name.to_string()];
    let keys = asking.keys()?;
    let bar = progress::rows("lookups", keys.len() as u64);
    let mut groups: BTreeMap<Basis, Vec<LookedUp>> = BTreeMap::new();
    let mut requests = asking.requests(REQUEST_ROWS);
    while let Some(rows) = requests.pop() {
        let columns = asking.columns.slice(rows.start, rows.len());
        let middle = rows.start + rows.len() / 2;
        let halves = [rows.start..middle, middle..rows.end];
        let answer = match client.get(&features, &columns, asking.as_of[rows.start]).await {
            // The server's limits may be lower than ours.
            Err(error) if error.is_limit() && rows.len() > 1 => {
                requests.extend(halves);
                continue;
            }
            answer => answer.map_err(client_failure)?,
        };
        let answered: &ViewRows =
            answer.views.first().ok_or_else(|| Failure::new(Exit::Data, "the server answered for no view"))?;
        check(view, &asking.log, answered)?;
        let canonical = answered.rows.canonical().or_exit(Exit::Data)?;
        // Rows may be unavailable because the request as a whole was too much.
        if rows.len() > 1 && canonical.contains(&None) {
            requests.extend(halves);
            continue;
        }
        bar.inc(rows.len() as u64);
        for (place, bytes) in canonical.into_iter().enumerate() {
            let looked_up = LookedUp {
                number: rows.start + place,
                key: keys[rows.start + place].clone(),
                as_of: answer.as_of[place],
                value: bytes.map(|bytes| (bytes, answered.digests[place])),
            };
            groups.entry(basis(view, answered, place)).or_default().push(looked_up);
        }
    }
    bar.finish_and_clear();
    Ok(groups)
}

/// What the answer of a row was made of.
fn basis(view: &FeatureView, answered: &ViewRows, row: usize) -> Basis {
    let of_row = answered.of_row(row);
    let state = |read: &RowBasis<'_>| State {
        view: read.view.to_owned(),
        version: read.version,
        component: read.digest,
        next_offsets: read.position.map(|position| position.of_row(row).0).unwrap_or_default(),
    };
    let states = match view.on_demand() {
        None => vec![state(&of_row)],
        Some(_) => of_row.reads.iter().map(state).collect(),
    };
    Basis { version: of_row.version, component: of_row.digest, states }
}

/// Refuses answers of states that are not there, or that follow another log.
fn check(view: &FeatureView, log: &LogId, answered: &ViewRows) -> Outcome {
    let state = |view: &str, position: Option<&StatePosition>| match position {
        Some(position) => same_log(view, &position.log, log),
        None => {
            let message = format!("the server has no state of view {view}: run `trifold stream`");
            Err(Failure::new(Exit::Unavailable, message))
        }
    };
    for row in 0..answered.rows.len() {
        let of_row = answered.of_row(row);
        match view.on_demand() {
            None => state(of_row.view, of_row.position)?,
            Some(spec) => {
                check_reads(view, spec, answered, &of_row)?;
                of_row.reads.iter().try_for_each(|read| state(read.view, read.position))?;
            }
        }
    }
    Ok(())
}

/// Refuses answers for which the server did not read what the view reads: it says so where the versions in force do not
/// give it.
fn check_reads(view: &FeatureView, spec: &OnDemandSpec, answered: &ViewRows, of_row: &RowBasis<'_>) -> Outcome {
    let names = || of_row.reads.iter().map(|read| read.view);
    if names().eq(spec.views().into_iter().map(ViewName::as_str)) {
        return Ok(());
    }
    let reads: Vec<_> = spec.views().into_iter().map(ViewName::as_str).collect();
    let found: Vec<_> = names().collect();
    let reason = answered.rows.outcomes().iter().find_map(|outcome| match outcome {
        trifold_pipeline::Outcome::Unavailable(reason) => Some(reason.clone()),
        trifold_pipeline::Outcome::Known(_) => None,
    });
    let (exit, problem) = match reason {
        Some(reason) => (Exit::Unavailable, reason),
        None => (Exit::Data, format!("the server names as read: {}", found.join(", "))),
    };
    let message = format!("view {} reads {}, and the server did not: {problem}", view.name, reads.join(", "));
    Err(Failure::new(exit, message))
}

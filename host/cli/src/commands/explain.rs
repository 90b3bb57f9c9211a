//! `trifold explain`: the events and tiles behind a value.

mod report;
mod text;

use arrow_array::RecordBatch;
use trifold_backfill::{Explain as Run, Explained, Job, OnDemandExplain};
use trifold_eventlog::YEARS_1_TO_9999;
use trifold_model::{CanonicalRows, EventTime, Field};
use trifold_pipeline::{Ask, ExplainBounds, LiveVersion};

use self::report::{Asked, Read, Report, Request, Value};
use super::backfill::{backfill_failure, cut_of_spine, job, watch};
use super::events::{unreadable, warn_of_unfinished_line};
use super::fields;
use super::get::time;
use crate::args::Explain;
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::output;
use crate::world::World;

/// Explains a value.
pub fn run(world: &World, args: Explain) -> Outcome {
    let as_of = as_of(&args.as_of)?;
    let version = world.block_on(world.version(&args.version))?;
    let cut = cut_of_spine(args.cut, args.position.as_ref(), world.source(&args.log.source).arrival.is_some())?;
    let asked = Asked { as_of, cut, before: args.before };
    match version.view().on_demand() {
        Some(_) => on_demand(world, &args, version, &asked),
        None => stored(world, &args, version, &asked),
    }
}

/// Explains a value of a row or window view.
fn stored(world: &World, args: &Explain, version: LiveVersion, asked: &Asked) -> Outcome {
    // Any other view reads no view, so that whatever is named is refused.
    world.block_on(world.reads(version.view(), &args.reads))?;
    let fields = version.view().key_fields().to_vec();
    let entity = entity(args, version.view().name.as_str(), &fields)?;
    let key = CanonicalRows::new(&entity).or_exit(Exit::Internal)?.key(0, &mut Vec::new());
    let job = explained_job(world, args, version, asked)?;
    let bounds = bounds(args);
    let run = Run { job, key, as_of: asked.as_of, bounds, watch: watch(world) };
    let explained = run.run().map_err(backfill_failure)?;
    // The progress bar goes with it, and would else stand in the line of what is printed.
    drop(run);
    warn_of_unfinished_line(&args.log.events);
    something_read(&explained)?;
    output::print(world.format, &Report::new(&explained, asked)?, text::stored)
}

/// Explains a value of an on-demand view, and the values that it reads.
fn on_demand(world: &World, args: &Explain, version: LiveVersion, asked: &Asked) -> Outcome {
    let view = version.view().clone();
    let fields: Vec<Field> = view.request_fields().cloned().collect();
    let request = entity(args, view.name.as_str(), &fields)?;
    let reads = world.block_on(world.reads(&view, &args.reads))?.into_iter();
    let reads = reads.map(|version| explained_job(world, args, version, asked)).collect::<Outcome<_>>()?;
    let run =
        OnDemandExplain { version, reads, request, as_of: asked.as_of, bounds: bounds(args), watch: watch(world) };
    let explained = run.run().map_err(backfill_failure)?;
    let OnDemandExplain { version, request, watch, .. } = run;
    drop(watch);
    warn_of_unfinished_line(&args.log.events);
    explained.reads.iter().try_for_each(|(_, read)| something_read(read))?;
    let reads = explained.reads.iter().map(|(taken, read)| Read::new(&version, taken, read, asked));
    let reads = reads.collect::<Outcome<_>>()?;
    let value = Value::new(version.view(), &explained.rows)?;
    output::print(world.format, &Request::new(&version, &request, asked, value, reads)?, text::on_demand)
}

fn explained_job(world: &World, args: &Explain, version: LiveVersion, asked: &Asked) -> Outcome<Job> {
    job(world, version, &args.log, Ask::Spine(asked.cut.clone()), asked.before)
}

fn bounds(args: &Explain) -> ExplainBounds {
    ExplainBounds { listed_max: args.events_max, ..ExplainBounds::default() }
}

fn as_of(text: &str) -> Outcome<EventTime> {
    let at = time(text)?;
    match YEARS_1_TO_9999.contains(&at.0) {
        true => Ok(at),
        false => Err(Failure::new(Exit::Usage, format!("`{text}` lies outside the years 1 to 9999"))),
    }
}

/// The entity or the request, of which one is asked for: by its values, or as `get` takes it.
fn entity(args: &Explain, view: &str, fields: &[Field]) -> Outcome<RecordBatch> {
    let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
    match (&args.key, args.entity.len()) {
        (Some(key), 0) => fields::key_batch(fields, std::slice::from_ref(key)),
        (None, given) if given == fields.len() => fields::value_batch(fields, &args.entity),
        (Some(_), _) => Err(Failure::new(
            Exit::Usage,
            "the entity is named twice, by its values and with `--key`: leave one of them out",
        )),
        (None, given) => {
            let plural = if names.len() == 1 { "" } else { "s" };
            let upper = names.iter().map(|name| name.to_uppercase()).collect::<Vec<_>>().join(" ");
            let pairs = names.iter().map(|name| format!("{name}=...")).collect::<Vec<_>>().join(",");
            let message = format!(
                "view {view} takes {} value{plural} ({}), not {given}: write `trifold explain {view} {upper} ...`, or \
                 `--key {pairs}`",
                names.len(),
                names.join(", ")
            );
            Err(Failure::new(Exit::Usage, message))
        }
    }
}

/// A log of which not one event could be read explains nothing: the options name other columns than its files have.
fn something_read(explained: &Explained) -> Outcome {
    let read = explained.rows_read;
    if read == 0 || unreadable(explained.unreadable.clone()) < read {
        return Ok(());
    }
    let first = explained.first_unreadable.as_deref().unwrap_or_default();
    let view = &explained.version.view().name;
    let message = format!("view {view}: not one of the {read} events could be read; the first: {first}");
    Err(Failure::new(Exit::Data, message))
}

//! `trifold diff`.

mod report;
mod text;

use trifold_eventlog::{ArrivalClock, Events, RawBatch, SourceConfig, decode};
use trifold_model::FeatureView;
use trifold_pipeline::diff::{generated_pair, request_samples};
use trifold_pipeline::gate::{GENERATED_ROWS, SEED};
use trifold_pipeline::{compare_declarations, compare_values};

use super::check::read_sample;
use super::component::Component;
use super::stream::log_failure;
use crate::args::{Diff, Samples, Source};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::output;
use crate::world::World;
use report::Report;

/// Compares two versions of a view.
pub fn run(world: &World, args: Diff) -> Outcome {
    let left = world.block_on(Component::load(world, &args.left))?;
    let right = world.block_on(Component::load(world, &args.right))?;
    let views = [left.live.view(), right.live.view()];
    if views[0].name != views[1].name {
        let message = format!(
            "{} is of view {}, {} of view {}: versions of one view are compared",
            left.name, views[0].name, right.name, views[1].name
        );
        return Err(Failure::new(Exit::Usage, message));
    }
    let is_comparable = views[0].kind.name() == views[1].kind.name() && left.live.digest() != right.live.digest();
    let values = match is_comparable {
        true => {
            let samples = samples(world, [&left, &right], &args.samples, &args.source)?;
            Some(compare_values([&left.live, &right.live], &samples, args.show).or_exit(Exit::Internal)?)
        }
        false => None,
    };
    let declarations = compare_declarations(views[0], views[1]);
    let report = Report::new([&left, &right], &declarations, args.samples.sample.as_deref(), values);
    output::print(world.format, &report, text::text)?;
    match report.differ && args.exit_code {
        true => Err(Failure::new(Exit::Refused, format!("{} and {} differ", left.name, right.name))),
        false => Ok(()),
    }
}

/// The rows that both versions are asked, as each of them reads them.
fn samples(
    world: &World,
    [left, right]: [&Component; 2],
    samples: &Samples,
    source: &Source,
) -> Outcome<[Events; 2]> {
    let views = [left.live.view(), right.live.view()];
    let Some(path) = &samples.sample else {
        return generated_pair(views[0], views[1], SEED, GENERATED_ROWS).or_exit(Exit::Internal);
    };
    let source = world.source(source);
    let raw = read_sample(path, samples.sample_rows, &source, views)?;
    Ok([of_sample(left, &raw, &source)?, of_sample(right, &raw, &source)?])
}

/// The rows of a sample that fit a version's inputs.
fn of_sample(component: &Component, raw: &RawBatch, source: &SourceConfig) -> Outcome<Events> {
    let view: &FeatureView = component.live.view();
    let events = match view.on_demand() {
        Some(_) => request_samples(view, raw),
        None => decode(raw, source, view, &mut ArrivalClock::default()),
    };
    let name = &component.name;
    let events = events.map_err(|error| {
        let Failure { exit, error } = log_failure(error);
        Failure::new(exit, format!("the sample does not fit {name}: {error}"))
    })?;
    match events.aside.first() {
        Some(aside) if events.offsets.is_empty() => {
            let message = format!("no row of {} fits {name}; row 0: {}", raw.file.display(), aside.detail);
            Err(Failure::new(Exit::Data, message))
        }
        _ => Ok(events),
    }
}

//! `trifold audit`: what the stream emitted or the server answers against a backfill, byte for byte.

mod online;
mod report;
mod rows;

use trifold_model::{FeatureView, LogId, OnDemandSpec, ViewName};

use crate::args::Audit;
use crate::exit::{Exit, Failure, Outcome};
use crate::output;
use crate::world::World;

/// Audits emitted rows or a server.
pub fn run(world: &World, args: Audit) -> Outcome {
    if args.online && args.rows.is_some() {
        return Err(Failure::new(
            Exit::Usage,
            "`--rows` and `--online` are two audits: run them one after the other",
        ));
    }
    let version = world.block_on(world.version(&args.view))?;
    if let Some(reads) = version.view().on_demand().map(OnDemandSpec::views) {
        let reads: Vec<_> = reads.into_iter().map(ViewName::as_str).collect();
        let message = format!(
            "view {} is an on-demand view: its values belong to requests, of which there is no record to replay; audit \
             what it reads: {}",
            version.view().name,
            reads.join(", ")
        );
        return Err(Failure::new(Exit::Usage, message));
    }
    let report = match args.online {
        true => online::audit(world, &args, version)?,
        false => rows::audit(world, &args, version)?,
    };
    output::print(world.format, &report, report::text)?;
    match report.refusal() {
        None => Ok(()),
        Some(exit) => Err(Failure::new(exit, report.verdict())),
    }
}

/// Refuses to replay another log than the one that the audited state follows: every row would differ.
fn same_log(view: &FeatureView, followed: &LogId, given: &LogId) -> Outcome {
    if followed == given {
        return Ok(());
    }
    let message = format!(
        "view {}: its state follows the log {}, and this is the log {}: name the log that the state came from \
         with `--events`, or, if that was only renamed, add `--log-id {}`",
        view.name, followed.0, given.0, followed.0
    );
    Err(Failure::new(Exit::Data, message))
}

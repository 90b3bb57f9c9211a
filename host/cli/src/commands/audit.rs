//! `trifold audit`: what the stream emitted or the server answers against a backfill, byte for byte.

mod online;
mod report;
mod rows;

use trifold_eventlog::Archive;
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
    if !args.online && Archive::is_at(&args.log.events) {
        return Err(Failure::new(
            Exit::Usage,
            "workers on Kafka write their rows into topics: audit a server that reads their states, with `--online`; \
             or compare the topic of features with the rows of `trifold backfill --cut position`",
        ));
    }
    let version = world.block_on(world.version(&args.view))?;
    if version.view().on_demand().is_some() && args.spine.is_none() {
        return Err(no_requests(version.view(), &args.as_of_column));
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

/// Why an on-demand view cannot be audited without requests, and what helps.
fn no_requests(view: &FeatureView, as_of: &str) -> Failure {
    let fields: Vec<_> = view.request_fields().map(|field| field.name.as_str()).collect();
    let reads: Vec<_> = view.on_demand().into_iter().flat_map(OnDemandSpec::views).map(ViewName::as_str).collect();
    let message = format!(
        "view {} is an on-demand view: its values belong to requests, and nothing records them. Ask a server with \
         `--online` and `--spine FILE`, with the columns {} and, if you like, {as_of}; the rows that the stream emits \
         are those of the views that it reads: {}",
        view.name,
        fields.join(", "),
        reads.join(", ")
    );
    Failure::new(Exit::Usage, message)
}

/// Refuses to replay another log than the one that the audited state follows: every row would differ.
pub fn same_log(view: &str, followed: &LogId, given: &LogId) -> Outcome {
    if followed == given {
        return Ok(());
    }
    let message = format!(
        "view {view}: its state follows the log {}, and this is the log {}: name the log that the state came from \
         with `--events`, or, if that was only renamed, add `--log-id {}`",
        followed.0, given.0, followed.0
    );
    Err(Failure::new(Exit::Data, message))
}

//! `trifold replay`.

use serde::Serialize;
use trifold_eventlog::parse_time;
use trifold_stream::kafka::{ReplayReport, ReplaySettings, replay};

use super::stream::{kafka, view_names};
use crate::args::Replay;
use crate::exit::{Exit, Failure, Outcome};
use crate::output;
use crate::world::World;

/// Feeds dead letters back.
pub fn run(world: &World, args: &Replay) -> Outcome {
    let settings = ReplaySettings {
        cluster: kafka::cluster(&world.config.kafka, &args.cluster, "replay"),
        views: view_names(&args.views)?,
        reasons: args.reasons.iter().cloned().collect(),
        written: time("--from", args.from.as_deref(), i64::MIN)?..time("--to", args.to.as_deref(), i64::MAX)?,
        dry_run: args.dry_run,
    };
    if settings.written.is_empty() {
        return Err(Failure::new(
            Exit::Usage,
            "`--from` is not before `--to`: no letter was written between them",
        ));
    }
    let stop = world.stop_signal();
    let report = replay(
        &settings,
        &mut |gone| {
            let (view, reason, partition, offset) = (gone.view, gone.reason, gone.partition, gone.offset);
            tracing::warn!(%view, reason, partition, offset, "the topic of events has deleted the record of a letter");
        },
        &|| *stop.borrow(),
    );
    let report = report.map_err(kafka::failure)?;
    output::print(world.format, &summary(&report, args.dry_run), text)?;
    if report.interrupted {
        let message = "interrupted: run it again to feed the other letters";
        return Err(Failure::new(Exit::Unavailable, message));
    }
    Ok(())
}

fn time(flag: &str, text: Option<&str>, default: i64) -> Outcome<i64> {
    let Some(text) = text else { return Ok(default) };
    let unknown = || Failure::new(Exit::Usage, format!("`{flag} {text}`: no time; write 2026-01-05T12:00:00Z"));
    parse_time(text).map(|time| time.0).ok_or_else(unknown)
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Summary {
    topic: String,
    dry_run: bool,
    interrupted: bool,
    letters: Vec<Letters>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Letters {
    view: String,
    reason: String,
    fed: u64,
    fed_before: u64,
    hopeless: u64,
    gone: u64,
}

fn summary(report: &ReplayReport, dry_run: bool) -> Summary {
    let letters = report.counts.iter().map(|((view, reason), counts)| Letters {
        view: view.to_string(),
        reason: reason.clone(),
        fed: counts.fed,
        fed_before: counts.fed_before,
        hopeless: counts.hopeless,
        gone: counts.gone,
    });
    let interrupted = report.interrupted;
    Summary { topic: report.topic.clone(), dry_run, interrupted, letters: letters.collect() }
}

fn text(summary: &Summary) -> String {
    if summary.letters.is_empty() {
        return "no dead letters\n".to_owned();
    }
    let fed = if summary.dry_run { "WOULD BE FED" } else { "FED" };
    let headings = ["VIEW", "REASON", fed, "FED BEFORE", "HOPELESS", "GONE"];
    let lines = summary.letters.iter().map(|letters| {
        let Letters { view, reason, fed, fed_before, hopeless, gone } = letters;
        let [fed, fed_before, hopeless, gone] = [fed, fed_before, hopeless, gone].map(ToString::to_string);
        [view.clone(), reason.clone(), fed, fed_before, hopeless, gone]
    });
    output::listing(headings, lines)
}

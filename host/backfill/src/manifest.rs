//! The parameters of a backfill, written beside its rows: what must be equal for a rerun to go on with them.

use std::fs;

use serde_json::{Map, Value, json};
use trifold_eventlog::Archive;
use trifold_model::{Cut, Positions};
use trifold_pipeline::emitted::Span;
use trifold_pipeline::{Ask, Canary, Entities};

use crate::error::BackfillError;
use crate::job::Job;
use crate::recording::Recording;
use crate::report::Plan;
use crate::spine::{Questioner, SpineFile};
use crate::{Backfill, OnDemandBackfill};

/// Raised when the rows of the same parameters would come out differently.
const FORMAT: u32 = 1;

/// The parameters, in the order in which differences are looked for.
pub(crate) fn parameters(
    backfill: &Backfill,
    recording: &Recording,
    spine: Option<&SpineFile>,
    plan: Plan,
) -> Result<Value, BackfillError> {
    let job = &backfill.job;
    let view = job.version.view();
    let (asked, cut) = match &job.ask {
        Ask::OwnPosition => ("every event at its own position", Value::Null),
        Ask::Emitted(_) => ("events whose rows the version computed", Value::Null),
        Ask::EveryEvent(cut) => ("every event at its own time", cut_value(cut)),
        Ask::Spine(cut) => ("spine", cut_value(cut)),
    };
    let spine = spine.map(spine_value);
    Ok(json!({
        "format": FORMAT,
        "view": view.name.as_str(),
        "component": job.version.digest().to_string(),
        "version": job.version.version,
        "asked": asked,
        "cut": cut,
        "before": job.before,
        "until": job.until.as_ref().map(positions),
        "emitted": emitted(&job.ask),
        "log": recording.log,
        "event-time": job.source.event_time,
        "event-id": job.source.event_id,
        "arrival": job.source.arrival,
        "arrivals": job.arrivals.name(),
        "check-keys": checks_keys(job),
        "sources": sources(recording)?,
        "spine": spine.transpose()?,
        "row-format": backfill.output.format.extension(),
        "digest": backfill.output.digest,
        "shards": backfill.resources.shards.max(1),
        "plan": plan.name(),
    }))
}

/// The parameters of an on-demand view's backfill, the recordings being those of the jobs that it reads.
pub(crate) fn on_demand_parameters(
    backfill: &OnDemandBackfill,
    recordings: &[Recording],
    spine: &SpineFile,
) -> Result<Value, BackfillError> {
    let view = backfill.version.view();
    let mut reads = Map::new();
    for (job, recording) in backfill.reads.iter().zip(recordings) {
        let cut = match &job.ask {
            Ask::Spine(cut) | Ask::EveryEvent(cut) => cut_value(cut),
            Ask::OwnPosition | Ask::Emitted(_) => Value::Null,
        };
        let read = json!({
            "component": job.version.digest().to_string(),
            "version": job.version.version,
            "cut": cut,
            "before": job.before,
            "until": job.until.as_ref().map(positions),
            "log": recording.log,
            "event-time": job.source.event_time,
            "event-id": job.source.event_id,
            "arrival": job.source.arrival,
            "arrivals": job.arrivals.name(),
            "check-keys": checks_keys(job),
            "sources": sources(recording)?,
        });
        reads.insert(job.version.view().name.to_string(), read);
    }
    Ok(json!({
        "format": FORMAT,
        "view": view.name.as_str(),
        "component": backfill.version.digest().to_string(),
        "version": backfill.version.version,
        "reads": reads,
        "spine": spine_value(spine)?,
        "row-format": backfill.output.format.extension(),
        "digest": backfill.output.digest,
        "shards": backfill.resources.shards.max(1),
        "plan": Plan::Joined.name(),
    }))
}

/// Only in an archive events have keys to check.
fn checks_keys(job: &Job) -> Option<bool> {
    Archive::is_at(&job.log).then_some(job.checks_keys)
}

fn spine_value(spine: &SpineFile) -> Result<Value, BackfillError> {
    let path = spine.spine().path.display().to_string();
    let (rows, bytes) = (spine.rows(), spine.bytes()?);
    Ok(json!({ "file": path, "rows": rows, "bytes": bytes, "as-of": spine.spine().as_of }))
}

fn cut_value(cut: &Cut) -> Value {
    match cut {
        Cut::All => json!("all"),
        Cut::Arrival => json!("arrival"),
        Cut::Position(until) => json!({ "position": positions(until) }),
    }
}

/// The events whose rows a version computed, by partition: from where up to where, and whose.
fn emitted(ask: &Ask) -> Option<Value> {
    let Ask::Emitted(emitted) = ask else { return None };
    let whose = |canary: Canary| format!("the canary of {} since release {}", canary.share, canary.rollout);
    let span = |Span { offsets, entities }: &Span| {
        let entities = match entities {
            Entities::All => "all".to_owned(),
            Entities::Taken(canary) => format!("those of {}", whose(*canary)),
            Entities::Left(canary) => format!("all but those of {}", whose(*canary)),
        };
        (format!("{}-{}", offsets.start, offsets.end), json!(entities))
    };
    let spans = |spans: &Vec<Span>| spans.iter().map(span).collect::<Map<_, _>>();
    let partitions = emitted.spans().iter().map(|(partition, of)| (partition.to_string(), json!(spans(of))));
    Some(partitions.collect::<Map<_, _>>().into())
}

fn positions(positions: &Positions) -> Value {
    positions.0.iter().map(|(partition, next)| (partition.to_string(), json!(next))).collect::<Map<_, _>>().into()
}

/// The files of the log with the rows that count, and the sizes of those that lie before the end: where the
/// backfill ends by position, the file there may grow.
fn sources(recording: &Recording) -> Result<Value, BackfillError> {
    let mut files: Map<String, Value> = Map::new();
    for unit in &recording.units {
        let name = unit.scan.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let before = files.get(&name).and_then(|file| file["rows"].as_u64()).unwrap_or(0);
        let size = || fs::metadata(&*unit.scan.file).map(|file| file.len());
        let bytes = unit.is_whole().then(size).transpose().map_err(BackfillError::io("read", &*unit.scan.file))?;
        files.insert(name, json!({ "rows": before + unit.rows, "bytes": bytes }));
    }
    Ok(files.into())
}

/// Where two sets of parameters first differ: the parameter, its value before and its value now.
pub(crate) fn first_difference(before: &Value, now: &Value) -> Option<(String, String, String)> {
    if before == now {
        return None;
    }
    let (Value::Object(old), Value::Object(new)) = (before, now) else {
        return Some((String::new(), shown(before), shown(now)));
    };
    let names = new.keys().chain(old.keys().filter(|name| !new.contains_key(*name)));
    names
        .filter_map(|name| {
            let value = |map: &Map<String, Value>| map.get(name).cloned().unwrap_or(Value::Null);
            first_difference(&value(old), &value(new)).map(|(path, before, now)| {
                let path = if path.is_empty() { name.clone() } else { format!("{name} {path}") };
                (path, before, now)
            })
        })
        .next()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "not set".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named_by_its_path() {
        let then = json!({"a": 1, "sources": {"x": {"rows": 3}}, "z": null});
        let difference = |now: Value| first_difference(&then, &now);
        assert_eq!(difference(then.clone()), None);
        let rows = json!({"a": 1, "sources": {"x": {"rows": 4}}, "z": 9});
        assert_eq!(difference(rows), Some(("sources x rows".to_owned(), "3".to_owned(), "4".to_owned())));
        let gone = json!({"a": 1, "sources": {}, "z": null});
        let expected = ("sources x".to_owned(), r#"{"rows":3}"#.to_owned(), "not set".to_owned());
        assert_eq!(difference(gone), Some(expected));
        let set = json!({"a": 1, "sources": {"x": {"rows": 3}}, "z": "now"});
        assert_eq!(difference(set), Some(("z".to_owned(), "not set".to_owned(), "now".to_owned())));
    }
}

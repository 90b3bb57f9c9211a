//! What is told of a value.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use serde::Serialize;
use serde_json::{Map, Value as Json};
use trifold_backfill::Explained;
use trifold_eventlog::{time_text, value_json};
use trifold_model::{Cut, EventTime, FeatureView, Positions, RowStatus, Window, decode_keys};
use trifold_pipeline::explain::{Behind, ExplainedEvent, ExplainedTile, ExplainedWindow, Verdict};
use trifold_pipeline::{LiveVersion, Outcome as Row, ReadView, Rows};

use crate::exit::{Exit, OrExit, Outcome};

/// What was asked.
pub(super) struct Asked {
    pub(super) as_of: EventTime,
    pub(super) cut: Cut,
    pub(super) before: bool,
}

/// A value of a row or window view, and what it is made of.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Report {
    #[serde(flatten)]
    pub(super) head: Head,
    pub(super) entity: Map<String, Json>,
    pub(super) log: String,
    /// How many rows the log has.
    pub(super) rows_read: u64,
    /// How many of them are events of the entity.
    pub(super) entity_events: u64,
    pub(super) value: Value,
    /// Of a row view: the event that decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) decided_by: Option<Event>,
    /// By how much the deciding event is older than the time to live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expired_by_micros: Option<i64>,
    /// Of a window view: its windows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) windows: Vec<WindowReport>,
    /// How many events of the entity came to what.
    pub(super) counts: BTreeMap<&'static str, u64>,
    /// The events that are listed, the latest first.
    pub(super) events: Vec<Event>,
}

/// What was computed, as of when.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Head {
    pub(super) view: String,
    pub(super) version: u64,
    pub(super) digest: String,
    pub(super) kind: &'static str,
    pub(super) as_of: String,
    pub(super) as_of_micros: i64,
    pub(super) cut: &'static str,
    /// The offset before which events count, where the cut is by position; of an archive those of its partitions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) position: Option<Json>,
    pub(super) before: bool,
}

/// A row of features.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Value {
    pub(super) status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
    /// The digest of the canonical row; none where it is unavailable.
    pub(super) row_digest: Option<String>,
    pub(super) features: Vec<Feature>,
}

/// A feature.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Feature {
    pub(super) name: String,
    pub(super) value: Json,
    pub(super) doc: String,
}

/// A window.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct WindowReport {
    pub(super) window: String,
    pub(super) hop: String,
    /// The first time that it covers; the last is the as-of time.
    pub(super) start: String,
    pub(super) start_micros: i64,
    pub(super) events: u64,
    pub(super) tiles: Vec<Tile>,
}

/// A tile of a window.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Tile {
    pub(super) start: String,
    pub(super) start_micros: i64,
    /// When the next tile begins.
    pub(super) end: String,
    pub(super) end_micros: i64,
    /// Whether the value is asked for before the tile ends.
    pub(super) partial: bool,
    pub(super) events: u64,
    pub(super) state_bytes: Option<usize>,
    /// The first eight bytes of the state's BLAKE3 hash.
    pub(super) state_digest: Option<String>,
    /// Why the state is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<String>,
}

/// An event.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Event {
    pub(super) partition: u32,
    pub(super) offset: u64,
    pub(super) event_time: Option<String>,
    pub(super) event_time_micros: Option<i64>,
    pub(super) event_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arrival: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arrival_micros: Option<i64>,
    /// Whether it counts, or why not: one of the words of `counts`.
    pub(super) verdict: &'static str,
    /// The same in words, where more is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<String>,
    /// The event of which it is a copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first_offset: Option<u64>,
    /// The windows in which it counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) windows: Vec<String>,
    /// The inputs; the row as it was read where they cannot be decoded.
    pub(super) inputs: Json,
}

/// A value of an on-demand view, and what it reads.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Request {
    #[serde(flatten)]
    pub(super) head: Head,
    pub(super) request: Map<String, Json>,
    pub(super) value: Value,
    pub(super) reads: Vec<Read>,
}

/// A view that is read.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Read {
    /// Which of its features is which input.
    pub(super) inputs: Vec<Input>,
    #[serde(flatten)]
    pub(super) explained: Report,
}

/// An input that is a feature.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Input {
    pub(super) input: String,
    pub(super) feature: String,
    pub(super) value: Json,
}

impl Report {
    pub(super) fn new(explained: &Explained, asked: &Asked) -> Outcome<Self> {
        let (view, explanation) = (explained.version.view(), &explained.explanation);
        let keys = decode_keys(view.key_fields(), [&explained.key]).or_exit(Exit::Internal)?;
        let windows: Vec<Window> = view.windows().map(|spec| spec.windows.clone()).unwrap_or_default();
        let event = |event: &ExplainedEvent| Event::new(event, &windows);
        let (decided_by, in_windows) = match &explanation.behind {
            Behind::Latest(latest) => (latest.as_ref(), &[][..]),
            Behind::Windows(windows) => (None, &windows[..]),
        };
        let is_expired = explanation.rows.outcomes().first() == Some(&Row::Known(RowStatus::Expired));
        let age = decided_by.and_then(|event| Some(asked.as_of.micros_since(event.time?)));
        let expired_by = age.zip(view.ttl).map(|(age, ttl)| age - ttl.micros()).filter(|_| is_expired);
        Ok(Report {
            head: Head::new(&explained.version, asked),
            entity: columns(&keys)?,
            log: explained.log.clone(),
            rows_read: explained.rows_read,
            entity_events: explanation.counts.values().sum(),
            value: Value::new(view, &explanation.rows)?,
            decided_by: decided_by.map(event).transpose()?,
            expired_by_micros: expired_by,
            windows: in_windows.iter().map(WindowReport::new).collect(),
            counts: explanation.counts.clone(),
            events: explanation.events.iter().map(event).collect::<Outcome<_>>()?,
        })
    }
}

impl Head {
    fn new(version: &LiveVersion, asked: &Asked) -> Self {
        let (cut, position) = match &asked.cut {
            Cut::All => ("all", None),
            Cut::Arrival => ("arrival", None),
            Cut::Position(positions) => ("position", Some(position(positions))),
        };
        Head {
            view: version.view().name.to_string(),
            version: version.version,
            digest: version.digest().to_string(),
            kind: version.view().kind.name(),
            as_of: time_text(asked.as_of),
            as_of_micros: asked.as_of.0,
            cut,
            position,
            before: asked.before,
        }
    }
}

impl Value {
    /// The one row of some rows.
    pub(super) fn new(view: &FeatureView, rows: &Rows) -> Outcome<Self> {
        let (status, error_code, message) = match rows.outcomes().first() {
            Some(Row::Known(RowStatus::Error(code))) => ("error", Some(code.0), rows.message(0)),
            Some(Row::Known(status)) => (status.name(), None, None),
            Some(Row::Unavailable(reason)) => ("unavailable", None, Some(reason.as_str())),
            None => ("unavailable", None, None),
        };
        let digest = rows.digests().or_exit(Exit::Internal)?.into_iter().flatten().next();
        let features = view.outputs.iter().zip(rows.outputs().columns()).map(|(output, column)| {
            let value = value_json(column, 0).or_exit(Exit::Data)?;
            Ok(Feature { name: output.name.to_string(), value, doc: output.doc.replace('\n', " ") })
        });
        Ok(Value {
            status,
            error_code,
            message: message.map(str::to_owned),
            row_digest: digest.map(|digest| digest.to_string()),
            features: features.collect::<Outcome<_>>()?,
        })
    }
}

impl WindowReport {
    fn new(window: &ExplainedWindow) -> Self {
        WindowReport {
            window: window.window.length.to_string(),
            hop: window.window.hop.to_string(),
            start: time_text(window.start),
            start_micros: window.start.0,
            events: window.events(),
            tiles: window.tiles.iter().map(Tile::new).collect(),
        }
    }
}

impl Tile {
    fn new(tile: &ExplainedTile) -> Self {
        Tile {
            start: time_text(tile.start),
            start_micros: tile.start.0,
            end: time_text(tile.end),
            end_micros: tile.end.0,
            partial: tile.is_partial,
            events: tile.events,
            state_bytes: tile.state.as_ref().ok().map(|state| state.len()),
            state_digest: tile.digest().map(hex::encode),
            failure: tile.state.as_ref().err().map(ToString::to_string),
        }
    }
}

fn position(positions: &Positions) -> Json {
    match positions.0.iter().next() {
        Some((0, next)) if positions.0.len() == 1 => Json::from(*next),
        _ => positions.0.iter().map(|(partition, next)| (partition.to_string(), Json::from(*next))).collect(),
    }
}

impl Event {
    fn new(event: &ExplainedEvent, windows: &[Window]) -> Outcome<Self> {
        let (detail, first_offset) = match &event.verdict {
            Verdict::Aside(_, detail) => (Some(detail.clone()), None),
            Verdict::Duplicate { of: first } | Verdict::Conflict { with: first } => (None, Some(*first)),
            _ => (None, None),
        };
        let places = match &event.verdict {
            Verdict::Counts(places) => &places[..],
            _ => &[],
        };
        let arrival = event.arrival.map(|arrival| EventTime(arrival.0));
        Ok(Event {
            partition: event.partition,
            offset: event.offset,
            event_time: event.time.map(time_text),
            event_time_micros: event.time.map(|time| time.0),
            event_id: event.id.clone(),
            arrival: arrival.map(time_text),
            arrival_micros: arrival.map(|time| time.0),
            verdict: event.verdict.name(),
            detail,
            first_offset,
            windows: places.iter().map(|&place| windows[place].length.to_string()).collect(),
            inputs: serde_json::from_str(&event.inputs).or_exit(Exit::Internal)?,
        })
    }
}

impl Request {
    pub(super) fn new(
        version: &LiveVersion,
        request: &RecordBatch,
        asked: &Asked,
        value: Value,
        reads: Vec<Read>,
    ) -> Outcome<Self> {
        Ok(Request { head: Head::new(version, asked), request: columns(request)?, value, reads })
    }
}

impl Read {
    pub(super) fn new(
        version: &LiveVersion,
        taken: &ReadView,
        explained: &Explained,
        asked: &Asked,
    ) -> Outcome<Self> {
        let explained = Report::new(explained, asked)?;
        let mut features = taken.features.clone();
        features.sort();
        let inputs = features.into_iter().map(|(input, output)| {
            let feature = &explained.value.features[output];
            Input {
                input: version.view().inputs[input].name.to_string(),
                feature: feature.name.clone(),
                value: feature.value.clone(),
            }
        });
        Ok(Read { inputs: inputs.collect(), explained })
    }
}

/// The values of the one row of a batch, by name.
fn columns(batch: &RecordBatch) -> Outcome<Map<String, Json>> {
    let schema = batch.schema();
    let named = schema.fields().iter().zip(batch.columns());
    let values =
        named.map(|(field, column)| Ok((field.name().clone(), value_json(column, 0).or_exit(Exit::Data)?)));
    values.collect()
}

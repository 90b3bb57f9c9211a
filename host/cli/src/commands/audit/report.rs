//! What an audit found.

use std::collections::BTreeMap;

use serde::Serialize;
use trifold_eventlog::time_text;
use trifold_model::{EntityKey, ErrorCode, EventTime, FeatureView, RowStatus, decode_keys, first_difference};
use trifold_pipeline::row_table::column;

use crate::exit::Exit;
use crate::output;

/// What an audit found.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Report {
    /// The view.
    pub view: String,
    /// What was audited.
    pub audited: &'static str,
    /// Rows whose canonical bytes were compared with the backfill's.
    pub compared: u64,
    /// The rows compared, by the status that was audited: an expired row or an empty one proves little.
    pub statuses: BTreeMap<&'static str, u64>,
    /// Rows that differed.
    pub differing: u64,
    /// Rows that the backfill has and the other side does not.
    pub missing: u64,
    /// Rows that the backfill does not have.
    pub extra: u64,
    /// Rows without an answer on either side, which are not compared.
    pub unavailable: u64,
    /// The components that computed the rows, with the number of rows of each.
    pub components: Vec<ComponentRows>,
    /// The first mismatches.
    pub mismatches: Vec<Mismatch>,
    #[serde(skip)]
    pub(super) show: usize,
}

/// The rows of one component.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ComponentRows {
    /// The component.
    pub digest: String,
    /// How many rows it computed.
    pub rows: u64,
    /// Of an on-demand view: the states that they were made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<ReadState>,
}

/// The state of a view that an on-demand view read.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ReadState {
    /// The view.
    pub view: String,
    /// The version that was read.
    pub version: u64,
    /// Its component.
    pub digest: String,
    /// The next offset of each partition.
    pub next_offsets: BTreeMap<String, u64>,
}

/// One row that does not agree.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Mismatch {
    /// The offset of the event; for a lookup the number of the entity, or of the row of the spine.
    pub number: u64,
    /// The entity, or the fields of the request.
    pub key: String,
    /// The as-of time.
    pub as_of_micros: i64,
    /// The first field that differs, or what else does.
    pub field: String,
    /// What was audited.
    pub audited: String,
    /// What the backfill gives.
    pub backfill: String,
}

impl Report {
    /// An empty report that will keep so many mismatches.
    pub(super) fn new(view: &FeatureView, audited: &'static str, show: usize) -> Self {
        Report { view: view.name.to_string(), audited, show, ..Report::default() }
    }

    /// Why the audit is not passed: something differed, or something could not be compared.
    pub(super) fn refusal(&self) -> Option<Exit> {
        match self.differing + self.missing + self.extra {
            0 if self.compared > 0 && self.unavailable == 0 => None,
            0 => Some(Exit::Unavailable),
            _ => Some(Exit::Refused),
        }
    }

    /// The verdict in a sentence.
    pub(super) fn verdict(&self) -> String {
        if self.compared == 0 && self.missing + self.extra == 0 {
            return format!(
                "view {}: nothing was compared, {} rows were unavailable",
                self.view, self.unavailable
            );
        }
        let first = self.mismatches.first().map_or_else(String::new, |mismatch| {
            format!(
                "; first {} ({}): field {}: {} against {} in the backfill",
                mismatch.number, mismatch.key, mismatch.field, mismatch.audited, mismatch.backfill
            )
        });
        format!(
            "view {}: {} of {} rows differ, {} are missing, {} too many and {} unavailable{first}",
            self.view, self.differing, self.compared, self.missing, self.extra, self.unavailable
        )
    }

    /// Compares the canonical bytes of one row. Whether they are equal.
    pub(super) fn compare(
        &mut self,
        view: &FeatureView,
        place: &Place<'_>,
        audited: &[u8],
        backfill: &[u8],
    ) -> bool {
        self.compared += 1;
        *self.statuses.entry(status_name(audited)).or_default() += 1;
        let Some(difference) = first_difference(&view.outputs, audited, backfill) else { return true };
        self.differing += 1;
        self.note(view, place, difference.field, difference.left, difference.right);
        false
    }

    /// Keeps a mismatch if there is room.
    pub(super) fn note(
        &mut self,
        view: &FeatureView,
        place: &Place<'_>,
        field: String,
        audited: String,
        backfill: String,
    ) {
        if self.mismatches.len() < self.show {
            self.mismatches.push(Mismatch {
                number: place.number,
                key: key_text(view, place.key),
                as_of_micros: place.as_of.0,
                field,
                audited,
                backfill,
            });
        }
    }
}

/// The status of a row in canonical bytes.
fn status_name(canonical: &[u8]) -> &'static str {
    let named = [RowStatus::Value, RowStatus::Empty, RowStatus::Expired, RowStatus::Error(ErrorCode(0))];
    let status = named.into_iter().find(|status| canonical.first() == Some(&status.byte()));
    status.map_or("unknown", RowStatus::name)
}

/// Where a row stands.
pub(super) struct Place<'a> {
    /// The offset of the event, or the number of the lookup.
    pub number: u64,
    /// The entity, or the fields of the request.
    pub key: &'a EntityKey,
    /// The as-of time.
    pub as_of: EventTime,
}

/// An entity key for people: `carrier=UA,flight=1545`.
fn key_text(view: &FeatureView, key: &EntityKey) -> String {
    let parts = key_parts(view, key).map(|parts| {
        let parts = parts.into_iter().map(|(field, value)| format!("{field}={value}"));
        parts.collect::<Vec<_>>().join(",")
    });
    parts.unwrap_or_else(|| key.to_string())
}

/// The first key column in which two keys differ, and both sides of it.
pub(super) fn key_difference(
    view: &FeatureView,
    audited: &EntityKey,
    backfill: &EntityKey,
) -> (String, String, String) {
    let (left, right) = (key_parts(view, audited), key_parts(view, backfill));
    let mut pairs = left.into_iter().flatten().zip(right.into_iter().flatten());
    match pairs.find(|(left, right)| left != right) {
        Some(((field, left), (_, right))) => (format!("{}{field}", column::KEY_PREFIX), left, right),
        None => ("_key".to_owned(), audited.to_string(), backfill.to_string()),
    }
}

/// The fields of a key, or of a request, and their values as text.
fn key_parts(view: &FeatureView, key: &EntityKey) -> Option<Vec<(String, String)>> {
    let fields: Vec<_> = view.key_fields().iter().chain(view.request_fields()).cloned().collect();
    let columns = decode_keys(&fields, [key]).ok()?;
    let parts = fields.iter().zip(columns.columns()).map(|(field, values)| {
        let value = trifold_eventlog::value_json(values, 0).map(|value| match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        });
        (field.name.to_string(), value.unwrap_or_default())
    });
    Some(parts.collect())
}

/// The report as text.
pub(super) fn text(report: &Report) -> String {
    let rows = [
        ("compared", report.compared),
        ("differing", report.differing),
        ("missing", report.missing),
        ("too many", report.extra),
        ("unavailable", report.unavailable),
    ];
    let mut text = format!("audit of {}: {}\n", report.view, report.audited);
    text.push_str(&output::table(&rows.map(|(name, count)| vec![format!("  {name}"), count.to_string()])));
    for (status, count) in &report.statuses {
        text.push_str(&format!("  {count} rows with status {status}\n"));
    }
    for component in &report.components {
        text.push_str(&format!("  {} rows by component {}\n", component.rows, &component.digest[..12]));
        for ReadState { view, version, digest, next_offsets } in &component.reads {
            let next: Vec<_> = next_offsets.values().map(u64::to_string).collect();
            let next = next.join(", ");
            text.push_str(&format!("    read {view}@{version} ({}) up to offset {next}\n", &digest[..12]));
        }
    }
    for mismatch in &report.mismatches {
        text.push_str(&format!(
            "\n{} {} at {}\n  field {}\n  audited   {}\n  backfill  {}\n",
            mismatch.number,
            mismatch.key,
            time_text(EventTime(mismatch.as_of_micros)),
            mismatch.field,
            mismatch.audited,
            mismatch.backfill
        ));
    }
    text
}

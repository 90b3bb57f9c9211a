//! Events in hand, from JSON to the columns of each view that they are for.

use std::collections::BTreeSet;
use std::path::Path;

use arrow_array::{Array, ArrayRef, RecordBatch};
use trifold_eventlog::{RawBatch, RawRows, SourceConfig, decode_columns, value_json};
use trifold_model::view::{EVENT_ID, EVENT_TIME};
use trifold_model::{Field, FieldType};
use trifold_server::api::View;
use trifold_server::client::InHand;

use super::keys::{known_fields, view_named};
use crate::args::{Get, Source};
use crate::commands::stream::log_failure;
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::world::World;

/// The events of `--event`, for every row and window view that the lookup is made of. `keys` are the lookup's columns.
pub(super) fn events(world: &World, args: &Get, views: &[View], keys: &RecordBatch) -> Outcome<Vec<InHand>> {
    if args.events.is_empty() {
        return Ok(Vec::new());
    }
    if args.events.len() != args.keys.len() {
        let (events, keys) = (args.events.len(), args.keys.len());
        let message =
            format!("there are {events} events and {keys} keys: give one `--event` for each `--key`, in order");
        return Err(Failure::new(Exit::Usage, message));
    }
    // Each stands in a line of its own, as in a log.
    let lines: Vec<_> = args.events.iter().map(|event| event.replace(['\n', '\r'], " ")).collect();
    let raw = RawBatch {
        partition: 0,
        first_offset: 0,
        places: None,
        file: Path::new("--event").into(),
        rows: RawRows::Lines(lines.join("\n").as_str().into()),
    };
    let source = world.source(&Source::default());
    let named = stored(&args.features, views)?;
    named.into_iter().map(|view| Reader { raw: &raw, source: &source, view, keys }.events()).collect()
}

/// The row and window views among those that are asked for or read.
fn stored<'a>(features: &[String], views: &'a [View]) -> Outcome<Vec<&'a View>> {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for feature in features {
        let view = view_named(feature.split('.').next().unwrap_or_default(), views)?;
        match view.kind.as_str() {
            "on-demand" => names.extend(view.reads.iter().map(String::as_str)),
            _ => drop(names.insert(&view.name)),
        }
    }
    names.into_iter().map(|name| view_named(name, views)).collect()
}

/// Reads the events of one view.
struct Reader<'a> {
    raw: &'a RawBatch,
    source: &'a SourceConfig,
    view: &'a View,
    keys: &'a RecordBatch,
}

impl Reader<'_> {
    fn events(&self) -> Outcome<InHand> {
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            (EVENT_TIME, self.required(EVENT_TIME, &self.source.event_time, FieldType::Timestamp)?),
            (EVENT_ID, self.required(EVENT_ID, &self.source.event_id, FieldType::Utf8)?),
        ];
        let fields = known_fields(self.view, &self.view.event)?;
        for field in fields.iter().filter(|field| ![EVENT_TIME, EVENT_ID].contains(&field.name.as_str())) {
            let name = field.name.as_str();
            match self.view.entity.iter().any(|key| key.name == name) {
                true => self.check_key(field)?,
                false if field.nullable => columns.push((name, self.column(self.source.column(name), field.ty)?)),
                false => columns.push((name, self.required(name, self.source.column(name), field.ty)?)),
            }
        }
        let columns = columns.into_iter().map(|(name, array)| (name, array, true));
        let events = RecordBatch::try_from_iter_with_nullable(columns).or_exit(Exit::Internal)?;
        Ok(InHand { view: self.view.name.clone(), events })
    }

    /// The key fields are those that are asked for; an event may repeat them.
    fn check_key(&self, field: &Field) -> Outcome {
        let name = field.name.as_str();
        let found = self.column(name, field.ty)?;
        let asked = self.keys.column_by_name(name);
        for row in (0..found.len()).filter(|&row| found.is_valid(row)) {
            let text = |array: &ArrayRef| value_json(array, row).or_exit(Exit::Internal);
            let (found, asked) = (text(&found)?, asked.map(text).transpose()?);
            if asked.as_ref() != Some(&found) {
                let asked = asked.unwrap_or_default();
                let message = format!("`--event` is about {name} {found}, and `--key` asks for {asked}");
                return Err(Failure::new(Exit::Usage, message));
            }
        }
        Ok(())
    }

    fn required(&self, name: &str, column: &str, ty: FieldType) -> Outcome<ArrayRef> {
        let array = self.column(column, ty)?;
        match array.null_count() {
            0 => Ok(array),
            _ => Err(self.failure(format!("it needs `{column}` for the event field {name}"))),
        }
    }

    fn column(&self, column: &str, ty: FieldType) -> Outcome<ArrayRef> {
        let decoded = decode_columns(self.raw, &[(column, ty)]).map_err(log_failure)?;
        let decoded = decoded.into_iter().next().ok_or_else(|| self.failure(format!("no column {column}")))?;
        match decoded.bad.first() {
            None => Ok(decoded.array),
            Some((_, problem)) => Err(self.failure(format!("{column}: {problem}"))),
        }
    }

    fn failure(&self, problem: String) -> Failure {
        Failure::new(Exit::Usage, format!("`--event` is no event of view {}: {problem}", self.view.name))
    }
}

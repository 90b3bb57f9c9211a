//! From raw rows to the inputs of a view.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::ArrowError;
use arrow_select::filter::{FilterBuilder, FilterPredicate};
use trifold_model::view::{EVENT_ID, EVENT_TIME};
use trifold_model::{ArrivalTime, EventNumber, EventTime, FeatureView, FieldType};

use crate::arrival::{self, ArrivalClock};
use crate::convert::Converted;
use crate::keys::{entity_key, names_entity};
use crate::table::{Table, event_json};
use crate::time::YEARS_1_TO_9999;
use crate::{Aside, AsideReason, LogError, RawBatch, SourceConfig};

/// The decoded rows of one batch for one view, in offset order, and the rows that could not be decoded.
#[derive(Debug, Clone)]
pub struct Events {
    /// The partition of the log.
    pub partition: u32,
    /// The offset of each event.
    pub offsets: Vec<u64>,
    /// The time of each event.
    pub times: Vec<EventTime>,
    /// The id of each event, none null.
    pub ids: StringArray,
    /// The arrival of each event, where the source records arrivals.
    pub arrivals: Option<Vec<ArrivalTime>>,
    /// The view's inputs, with the view's input schema; NaNs are canonical and nulls stand over zeros.
    pub inputs: RecordBatch,
    /// The rows that were set aside, in offset order.
    pub aside: Vec<Aside>,
}

impl Events {
    /// The number of an event, by which it is told apart from all others of the log.
    pub fn number(&self, row: usize) -> u64 {
        EventNumber::new(self.partition, self.offsets[row]).0
    }

    /// The row of the event that has a number, if it is one of these.
    pub fn row_of(&self, number: u64) -> Option<usize> {
        let number = EventNumber(number);
        let is_here = number.partition() == self.partition;
        is_here.then(|| self.offsets.binary_search(&number.offset()).ok()).flatten()
    }
}

/// Converts a batch to the inputs of a view, row by row: a bad row is set aside and loses nothing else. A column
/// that is missing, or whose type has no conversion, is an error of the whole segment. Lateness is not judged.
///
/// A row with several problems is set aside for the first of: the line, the event time, the event id, the
/// arrival, the entity key, the other inputs in declared order. After an error the clock stands where it stood, and
/// arrivals that are [carried](crate::Carried) do not move it.
pub fn decode(
    raw: &RawBatch,
    source: &SourceConfig,
    view: &FeatureView,
    arrivals: &mut ArrivalClock,
) -> Result<Events, LogError> {
    let table = Table::new(raw, names(source, view));
    let columns = Columns::read(&table, source, view)?;
    let mut verdicts = columns.verdicts(&table, source, view);
    columns.check_keys(raw, view, &mut verdicts);
    let mut clock = *arrivals;
    // A row without an arrival is set aside, so that what stands here for it is never seen.
    let clocked = columns.arrivals.as_ref().map(|recorded| match raw.carried() {
        Some(carried) => carried.arrivals.iter().map(|at| ArrivalTime(at.unwrap_or(0))).collect::<Vec<_>>(),
        None => {
            let advanced = arrival::readable(recorded).map(|at| at.map_or(ArrivalTime(0), |at| clock.advance(at)));
            advanced.collect()
        }
    });
    let kept = Kept::new(raw.rows(), &verdicts);
    let failed = |source| LogError::Column { file: raw.file.to_path_buf(), column: "(all)".to_owned(), source };
    let times = kept.array(&columns.times.array).map_err(failed)?;
    let ids = kept.array(&columns.ids.array).map_err(failed)?;
    let inputs = columns.inputs.iter().map(|input| kept.array(columns.array(input)));
    let inputs = inputs.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let options = RecordBatchOptions::new().with_row_count(Some(kept.rows));
    let inputs =
        RecordBatch::try_new_with_options(view.input_schema().clone(), inputs, &options).map_err(failed)?;
    *arrivals = clock;
    Ok(Events {
        partition: raw.partition,
        offsets: kept.each((0..raw.rows()).map(|row| raw.offset(row))),
        times: times.as_primitive::<TimestampMicrosecondType>().values().iter().map(|at| EventTime(*at)).collect(),
        ids: ids.as_string().clone(),
        arrivals: clocked.map(|at| kept.each(at)),
        inputs,
        aside: aside(raw, &table, verdicts),
    })
}

/// The columns that decoding needs.
fn names<'a>(source: &'a SourceConfig, view: &'a FeatureView) -> BTreeSet<&'a str> {
    let own = [&source.event_time, &source.event_id].into_iter().chain(&source.arrival).map(String::as_str);
    own.chain(view.inputs.iter().map(|input| source.column(input.name.as_str()))).collect()
}

/// All that is needed of a batch, converted.
struct Columns {
    times: Converted,
    ids: Converted,
    arrivals: Option<Converted>,
    inputs: Vec<Input>,
}

enum Input {
    EventTime,
    EventId,
    Payload(Converted),
}

impl Columns {
    fn read(table: &Table<'_>, source: &SourceConfig, view: &FeatureView) -> Result<Self, LogError> {
        let input = |field: &trifold_model::Field| match field.name.as_str() {
            EVENT_TIME => Ok(Input::EventTime),
            EVENT_ID => Ok(Input::EventId),
            name => table.column(name, field.ty, &format!("input {name} of {}", view.name)).map(Input::Payload),
        };
        Ok(Columns {
            times: table.column(&source.event_time, FieldType::Timestamp, "the event time")?,
            ids: table.column(&source.event_id, FieldType::Utf8, "the event id")?,
            arrivals: source.arrival.as_deref().map(|column| arrival::recorded(table, column)).transpose()?,
            inputs: view.inputs.iter().map(input).collect::<Result<_, _>>()?,
        })
    }

    /// An event under another key than its entity's may stand in another partition than the entity's other events.
    fn check_keys(&self, raw: &RawBatch, view: &FeatureView, verdicts: &mut Verdicts) {
        let Some(keys) = raw.keys() else { return };
        let columns = view.key_columns().iter();
        let fields: Vec<_> =
            columns.map(|&at| (view.inputs[at].name.as_str(), self.array(&self.inputs[at]))).collect();
        for (row, key) in keys.iter().enumerate() {
            if key.as_ref().is_some_and(|key| names_entity(key, &fields, row)) {
                continue;
            }
            verdicts.judge(row, AsideReason::OtherKey, || {
                let arrays: Vec<_> = fields.iter().map(|(_, array)| *array).collect();
                let entity = String::from_utf8_lossy(&entity_key(&arrays, row)).into_owned();
                match key {
                    None => format!("the record has no key, and its entity is {entity}"),
                    Some(key) => {
                        let key = String::from_utf8_lossy(&key[..key.len().min(64)]).into_owned();
                        format!("the record's key is {key}, and its entity is {entity}")
                    }
                }
            });
        }
    }

    fn array<'a>(&'a self, input: &'a Input) -> &'a ArrayRef {
        match input {
            Input::EventTime => &self.times.array,
            Input::EventId => &self.ids.array,
            Input::Payload(converted) => &converted.array,
        }
    }

    fn verdicts(&self, table: &Table<'_>, source: &SourceConfig, view: &FeatureView) -> Verdicts {
        let mut verdicts = Verdicts::default();
        for (row, problem) in table.bad_rows() {
            verdicts.judge(*row, AsideReason::Decode, || problem.clone());
        }
        let own = |column, option| Origin { table, column, option: Some(option) };
        let origin = own(&source.event_time, "--event-time");
        verdicts.required(&self.times, "event time", AsideReason::NullTime, &origin);
        verdicts.within_years(&self.times, "event time");
        let origin = own(&source.event_id, "--event-id");
        verdicts.required(&self.ids, "event id", AsideReason::NullInput, &origin);
        if let (Some(arrivals), Some(column)) = (&self.arrivals, &source.arrival) {
            verdicts.required(arrivals, "arrival time", AsideReason::Decode, &own(column, "--arrival"));
            verdicts.within_years(arrivals, "arrival time");
        }
        let others = (0..view.inputs.len()).filter(|input| !view.key_columns().contains(input));
        for index in view.key_columns().iter().copied().chain(others) {
            let Input::Payload(converted) = &self.inputs[index] else {
                continue;
            };
            let field = &view.inputs[index];
            let label = format!("input {}", field.name);
            let origin = Origin { table, column: source.column(field.name.as_str()), option: None };
            match field.nullable {
                true => verdicts.convertible(converted, &label),
                false if view.key_columns().contains(&index) => {
                    verdicts.required(converted, &label, AsideReason::NullKey, &origin);
                }
                false => verdicts.required(converted, &label, AsideReason::NullInput, &origin),
            }
        }
        verdicts
    }
}

/// Where the values of a field are read from.
struct Origin<'a> {
    table: &'a Table<'a>,
    column: &'a str,
    /// The option that names another column, for what every event has.
    option: Option<&'a str>,
}

impl Origin<'_> {
    /// What is said of a value that is not there.
    fn absence(&self, row: usize) -> String {
        match self.option {
            _ if !self.table.lacks(self.column, row) => "is null".to_owned(),
            None => "is missing".to_owned(),
            Some(option) => {
                format!("is missing: the line has no `{}`, `{option}` names another column", self.column)
            }
        }
    }
}

/// The rows to set aside, each for the first problem found.
#[derive(Default)]
struct Verdicts(BTreeMap<usize, (AsideReason, String)>);

impl Verdicts {
    fn judge(&mut self, row: usize, reason: AsideReason, detail: impl FnOnce() -> String) {
        self.0.entry(row).or_insert_with(|| (reason, detail()));
    }

    fn convertible(&mut self, column: &Converted, label: &str) {
        for bad in &column.bad {
            self.judge(bad.row, AsideReason::Decode, || format!("{label}: {}", bad.problem));
        }
    }

    fn required(&mut self, column: &Converted, label: &str, reason: AsideReason, origin: &Origin<'_>) {
        self.convertible(column, label);
        if let Some(nulls) = column.array.nulls().filter(|nulls| nulls.null_count() > 0) {
            for row in (0..nulls.len()).filter(|row| nulls.is_null(*row)) {
                self.judge(row, reason, || format!("{label} {}", origin.absence(row)));
            }
        }
    }

    fn within_years(&mut self, column: &Converted, label: &str) {
        let times = column.array.as_primitive::<TimestampMicrosecondType>();
        for (row, at) in times.values().iter().enumerate() {
            if !YEARS_1_TO_9999.contains(at) {
                self.judge(row, AsideReason::Decode, || {
                    format!("{label}: {at} microseconds lie outside the years 1 to 9999")
                });
            }
        }
    }
}

/// The rows that are not set aside.
struct Kept {
    rows: usize,
    /// Absent when all are kept, and nothing needs to be copied.
    chosen: Option<(BooleanArray, FilterPredicate)>,
}

impl Kept {
    fn new(rows: usize, verdicts: &Verdicts) -> Self {
        if verdicts.0.is_empty() {
            return Kept { rows, chosen: None };
        }
        let mask: BooleanArray = (0..rows).map(|row| Some(!verdicts.0.contains_key(&row))).collect();
        let filter = FilterBuilder::new(&mask).optimize().build();
        Kept { rows: rows - verdicts.0.len(), chosen: Some((mask, filter)) }
    }

    fn array(&self, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        match &self.chosen {
            Some((_, filter)) => filter.filter(array),
            None => Ok(array.clone()),
        }
    }

    fn each<T>(&self, values: impl IntoIterator<Item = T>) -> Vec<T> {
        let values = values.into_iter();
        match &self.chosen {
            Some((mask, _)) => {
                let kept = mask.values().iter();
                values.zip(kept).filter_map(|(value, kept)| kept.then_some(value)).collect()
            }
            None => values.collect(),
        }
    }
}

fn aside(raw: &RawBatch, table: &Table<'_>, verdicts: Verdicts) -> Vec<Aside> {
    let is_object = |row: usize| table.bad_rows().binary_search_by_key(&row, |(bad, _)| *bad).is_err();
    let aside = |(row, (reason, detail))| Aside {
        partition: raw.partition,
        offset: raw.offset(row),
        reason,
        detail,
        event: event_json(raw, row, is_object(row)),
    };
    verdicts.0.into_iter().map(aside).collect()
}

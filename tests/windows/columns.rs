//! Events of the oracle as columns.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use trifold_eventlog::Events;
use trifold_model::canonical::canonical_nans;
use trifold_model::{ArrivalTime, EntityKey, EventTime, FeatureView};
use trifold_oracle::{Event, Value, coded};

/// The column of arrivals in a log's files.
pub(crate) const ARRIVAL: &str = "arrived";

/// A field of an event, among them those of its key.
fn value(event: &Event, keys: &[&str], name: &str) -> Value {
    match keys.iter().position(|key| *key == name) {
        Some(place) => event.entity[place].clone(),
        None if name == ARRIVAL => event.arrival.into(),
        None => event.get(name).clone(),
    }
}

fn column(events: &[Event], keys: &[&str], field: &Field) -> ArrayRef {
    let values = || events.iter().map(|event| value(event, keys, field.name()));
    let int = |value| if let Value::Int(value) = value { Some(value) } else { None };
    let float = |value| if let Value::Float(value) = value { Some(value) } else { None };
    let bool = |value| if let Value::Bool(value) = value { Some(value) } else { None };
    let text = |value| if let Value::Text(value) = value { Some(value) } else { None };
    match field.data_type() {
        DataType::Int64 => Arc::new(values().map(int).collect::<Int64Array>()),
        DataType::Float64 => Arc::new(values().map(float).collect::<Float64Array>()),
        DataType::Boolean => Arc::new(values().map(bool).collect::<BooleanArray>()),
        DataType::Utf8 => Arc::new(values().map(text).collect::<StringArray>()),
        DataType::Timestamp(..) => {
            Arc::new(values().map(int).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        }
        other => panic!("no event has a column of type {other}"),
    }
}

/// The events as the decoders give them: neighbours of one partition.
pub(crate) fn decoded(view: &FeatureView, keys: &[&str], all: &[Event], rows: std::ops::Range<usize>) -> Events {
    let events = &all[rows.clone()];
    let columns = view.input_schema().fields().iter().map(|field| canonical_nans(column(events, keys, field)));
    // An arrival is no earlier than those before it.
    let arrival = |row: usize| all[..=row].iter().map(|event| event.arrival).max().flatten();
    let arrivals: Vec<_> = rows.filter_map(arrival).map(ArrivalTime).collect();
    Events {
        partition: 0,
        offsets: events.iter().map(|event| event.offset).collect(),
        times: events.iter().map(|event| EventTime(event.time)).collect(),
        ids: events.iter().map(|event| Some(event.id.as_str())).collect(),
        arrivals: (arrivals.len() == events.len()).then_some(arrivals),
        inputs: RecordBatch::try_new(view.input_schema().clone(), columns.collect()).unwrap(),
        aside: Vec::new(),
    }
}

/// The events as the rows of a log's file.
pub(crate) fn rows(view: &FeatureView, keys: &[&str], events: &[Event]) -> RecordBatch {
    let own = view.input_schema().fields().iter();
    let time = DataType::Timestamp(arrow_schema::TimeUnit::Microsecond, Some("UTC".into()));
    let of_all = [("event_time", time.clone()), ("event_id", DataType::Utf8), (ARRIVAL, time)];
    let missing = of_all.into_iter().filter(|(name, _)| view.input_schema().index_of(name).is_err());
    let missing = missing.map(|(name, ty)| Arc::new(Field::new(name, ty, true)));
    let fields: Vec<FieldRef> = own.cloned().chain(missing).collect();
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let columns = schema.fields().iter().map(|field| column(events, keys, field)).collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

/// The key of an entity.
pub(crate) fn key(entity: &[Value]) -> EntityKey {
    EntityKey(coded(entity).into())
}

//! A store with the latest departure of 100,000 flight numbers.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use trifold_eventlog::Events;
use trifold_model::types::UTC;
use trifold_model::{EventTime, LogId, Positions};
use trifold_pipeline::{Changes, Ingest, LiveVersion};
use trifold_sandbox::Budget;
use trifold_server::api::column::Values;
use trifold_server::api::{Column, GetFeaturesRequest, Int64s, Texts};
use trifold_store::{Commit, EmbeddedStore, Holder, Marker, StateStore};

use crate::online::NOW;
use crate::random::Random;

pub(crate) const ENTITIES: u64 = 100_000;
const CARRIERS: u64 = 16;

/// Opens a store and puts what the stream worker would: one record for each entity, with its value or without.
pub(crate) async fn fill(
    directory: &Path,
    version: &LiveVersion,
    keep_outputs: bool,
) -> anyhow::Result<EmbeddedStore> {
    let holder = Holder { pid: std::process::id(), command: "bench".to_owned(), since: NOW };
    let store = EmbeddedStore::open(&directory.join("online.redb"), &holder)?;
    let inputs = departures(version)?;
    let events = Events {
        partition: 0,
        offsets: (0..ENTITIES).collect(),
        times: (0..ENTITIES).map(|row| EventTime(NOW.0 - row as i64)).collect(),
        ids: StringArray::from_iter_values((0..ENTITIES).map(|row| format!("event {row}"))),
        arrivals: None,
        inputs,
        aside: Vec::new(),
    };
    let ingest = Ingest::new(version.view(), events)?;
    let records = vec![None; ingest.entities().len()];
    let ingested = ingest.fold(&records, version, keep_outputs, &mut Budget::unlimited())?;
    let Changes::Records(puts) = ingested.changes else { anyhow::bail!("the view keeps no records") };
    let marker = Marker {
        incarnation: 1,
        log: LogId("bench".into()),
        source: String::new(),
        positions: Positions([(0, ENTITIES)].into()),
        consumed: Vec::new(),
        release: Some(2),
        arrivals: Default::default(),
    };
    let commit = Commit { state: version.state_id(), marker, puts, slots: Vec::new(), switches: Vec::new() };
    store.commit(vec![commit]).await?;
    Ok(store)
}

fn carrier(entity: u64) -> String {
    format!("C{}", entity % CARRIERS)
}

fn flight(entity: u64) -> i64 {
    (entity / CARRIERS) as i64
}

/// The inputs of the view of flights, one row for each entity; a departure in thirty is cancelled.
pub(crate) fn departures(version: &LiveVersion) -> anyhow::Result<RecordBatch> {
    const AIRPORTS: [&str; 8] = ["ATL", "BOS", "EWR", "JFK", "LAX", "LGA", "ORD", "SFO"];
    let mut random = Random::new(3);
    let cancelled: Vec<bool> = (0..ENTITIES).map(|_| random.below(30) == 0).collect();
    let columns = version.view().inputs.iter().map(|input| -> anyhow::Result<ArrayRef> {
        let mut minutes = |end: f64| -> ArrayRef {
            let values = cancelled.iter().map(|cancelled| (!cancelled).then(|| random.float(end).round()));
            Arc::new(values.collect::<Float64Array>())
        };
        Ok(match input.name.as_str() {
            "carrier" => Arc::new(StringArray::from_iter_values((0..ENTITIES).map(carrier))),
            "flight" => Arc::new(Int64Array::from_iter_values((0..ENTITIES).map(flight))),
            "event_time" | "scheduled_time" => {
                let times =
                    TimestampMicrosecondArray::from_iter_values((0..ENTITIES).map(|row| NOW.0 - row as i64));
                Arc::new(times.with_timezone(UTC))
            }
            "origin" | "dest" => {
                Arc::new(StringArray::from_iter_values((0..ENTITIES).map(|_| random.pick(&AIRPORTS))))
            }
            "cancelled" => Arc::new(BooleanArray::from(cancelled.clone())),
            "dep_delay" | "arr_delay" => minutes(90.0),
            "air_time" => minutes(400.0),
            "distance" => Arc::new(Float64Array::from_iter_values(
                (0..ENTITIES).map(|_| 100.0 + random.float(2500.0).round()),
            )),
            other => anyhow::bail!("the view of flights reads {other}, of which the benchmark knows nothing"),
        })
    });
    let columns = columns.collect::<anyhow::Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(version.view().input_schema().clone(), columns)?)
}

/// A request for all features of one entity.
pub(crate) fn request(entity: u64) -> GetFeaturesRequest {
    let column =
        |name: &str, values| Column { name: name.to_owned(), null_rows: Vec::new(), values: Some(values) };
    GetFeaturesRequest {
        features: vec!["flight_profile".to_owned()],
        entities: vec![
            column("carrier", Values::Texts(Texts { values: vec![carrier(entity)] })),
            column("flight", Values::Int64s(Int64s { values: vec![flight(entity)] })),
        ],
        as_of_micros: None,
        row_digests: false,
        in_hand: Vec::new(),
    }
}

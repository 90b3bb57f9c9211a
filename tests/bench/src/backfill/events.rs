//! A log of departures from a seed.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use trifold_model::FieldType;
use trifold_model::types::UTC;

use crate::random::Random;

const ENTITIES: u64 = 100_000;
const CARRIERS: u64 = 16;
const AIRPORTS: [&str; 8] = ["ATL", "BOS", "EWR", "JFK", "LAX", "LGA", "ORD", "SFO"];
const FIRST_TIME: i64 = 1_300_000_000_000_000;
const STEP_MICROS: u64 = 1_000_000;
/// How much later than others an event may come in the order of arrival: an hour.
const DELAY_MICROS: u64 = 3_600_000_000;
const SEGMENT_ROWS: u64 = 1_000_000;
const BATCH_ROWS: u64 = 8192;

/// The order in which events stand in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// By event time.
    Time,
    /// By arrival, which is up to an hour after the event time.
    Arrival,
}

/// Writes a log of so many events as Parquet segments.
pub(crate) fn generate(log: &Path, rows: u64, order: Order) -> anyhow::Result<()> {
    fs::create_dir_all(log)?;
    let mut random = Random::new(4);
    let mut clock = FIRST_TIME;
    for first in (0..rows).step_by(SEGMENT_ROWS as usize) {
        let file = File::create(log.join(format!("{first:012}.parquet")))?;
        let mut writer = ArrowWriter::try_new(file, Arc::new(schema()), Some(properties()))?;
        let end = rows.min(first + SEGMENT_ROWS);
        for start in (first..end).step_by(BATCH_ROWS as usize) {
            let batch_rows = BATCH_ROWS.min(end - start);
            writer.write(&batch(start..start + batch_rows, order, &mut clock, &mut random)?)?;
        }
        writer.close()?;
    }
    Ok(())
}

/// What row files are written with.
pub(crate) fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(131_072))
        .build()
}

fn schema() -> Schema {
    let fields = [
        ("event_time", FieldType::Timestamp.to_arrow(), false),
        ("event_id", DataType::Utf8, false),
        ("carrier", DataType::Utf8, false),
        ("flight", DataType::Int64, false),
        ("scheduled_time", FieldType::Timestamp.to_arrow(), false),
        ("origin", DataType::Utf8, false),
        ("dest", DataType::Utf8, false),
        ("cancelled", DataType::Boolean, false),
        ("dep_delay", DataType::Float64, true),
        ("arr_delay", DataType::Float64, true),
        ("air_time", DataType::Float64, true),
        ("distance", DataType::Float64, false),
    ];
    Schema::new(fields.map(|(name, ty, nullable)| Field::new(name, ty, nullable)).to_vec())
}

fn batch(
    rows: std::ops::Range<u64>,
    order: Order,
    clock: &mut i64,
    random: &mut Random,
) -> anyhow::Result<RecordBatch> {
    let count = (rows.end - rows.start) as usize;
    let times: Vec<i64> = (0..count).map(|_| time(order, clock, random)).collect();
    let entities: Vec<u64> = (0..count).map(|_| random.below(ENTITIES)).collect();
    let cancelled: Vec<bool> = (0..count).map(|_| random.below(30) == 0).collect();
    let timestamps =
        |times: Vec<i64>| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(times).with_timezone(UTC)) };
    let mut airports =
        || -> ArrayRef { Arc::new(StringArray::from_iter_values((0..count).map(|_| random.pick(&AIRPORTS)))) };
    let (origins, dests) = (airports(), airports());
    let mut minutes = |end: f64| -> ArrayRef {
        let values = cancelled.iter().map(|cancelled| (!cancelled).then(|| random.float(end).round() - 10.0));
        Arc::new(values.collect::<Float64Array>())
    };
    let (departure_delays, arrival_delays, air_times) = (minutes(90.0), minutes(90.0), minutes(400.0));
    let distances = (0..count).map(|_| 100.0 + random.float(2500.0).round());
    let columns: Vec<ArrayRef> = vec![
        timestamps(times.clone()),
        Arc::new(StringArray::from_iter_values(rows.map(|row| format!("{row:010}")))),
        Arc::new(StringArray::from_iter_values(entities.iter().map(|entity| format!("C{}", entity % CARRIERS)))),
        Arc::new(Int64Array::from_iter_values(entities.iter().map(|entity| (entity / CARRIERS) as i64))),
        timestamps(times.iter().map(|time| time - time.rem_euclid(60_000_000)).collect()),
        origins,
        dests,
        Arc::new(BooleanArray::from(cancelled.clone())),
        departure_delays,
        arrival_delays,
        air_times,
        Arc::new(Float64Array::from_iter_values(distances)),
    ];
    Ok(RecordBatch::try_new(Arc::new(schema()), columns)?)
}

fn time(order: Order, clock: &mut i64, random: &mut Random) -> i64 {
    *clock += random.below(STEP_MICROS) as i64;
    match order {
        Order::Time => *clock,
        Order::Arrival => *clock - random.below(DELAY_MICROS) as i64,
    }
}

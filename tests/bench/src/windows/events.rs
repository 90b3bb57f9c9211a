//! A log of payments from a seed.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema};
use trifold_eventlog::{RowFileWriter, RowFormat};
use trifold_model::FieldType;
use trifold_model::types::UTC;

use crate::random::Random;

/// The column of arrivals.
pub(crate) const ARRIVAL: &str = "arrived_at";
/// When the first payment arrives.
pub(crate) const FIRST_TIME: i64 = 1_300_000_000_000_000;
const CARDS: u64 = 100_000;
/// The most time between two payments: a million of them take some three hours.
const STEP_MICROS: u64 = 20_000;
/// The most time that a payment out of order takes to arrive: half of what the views allow.
const DELAY_MICROS: u64 = 1_800_000_000;
const BATCH_ROWS: u64 = 8192;

/// How many payments come out of order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disorder {
    hundredths: u64,
}

impl Disorder {
    pub(crate) fn hundredths(hundredths: u64) -> Self {
        Disorder { hundredths }
    }
}

/// Writes a log of so many payments in the order of their arrival.
pub(crate) fn generate(log: &Path, count: u64, disorder: Disorder) -> anyhow::Result<()> {
    let timestamp = FieldType::Timestamp.to_arrow();
    let fields = [
        ("event_time", timestamp.clone()),
        (ARRIVAL, timestamp),
        ("event_id", DataType::Utf8),
        ("card", DataType::Int64),
        ("amount", DataType::Float64),
    ];
    let schema = Arc::new(Schema::new(fields.map(|(name, ty)| Field::new(name, ty, false)).to_vec()));
    let mut writer = RowFileWriter::create(&log.join("payments.parquet"), schema.clone(), RowFormat::Parquet)?;
    let (mut random, mut clock) = (Random::new(5), FIRST_TIME);
    for first in (0..count).step_by(BATCH_ROWS as usize) {
        let rows = first..count.min(first + BATCH_ROWS);
        let (mut times, mut arrivals, mut cards, mut amounts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in rows.clone() {
            clock += random.below(STEP_MICROS) as i64;
            let delay = random.below(DELAY_MICROS) as i64;
            let is_late = random.below(100) < disorder.hundredths;
            arrivals.push(clock);
            times.push(if is_late { clock - delay } else { clock });
            cards.push(random.below(CARDS) as i64);
            amounts.push(random.below(100_000) as f64 / 100.0);
        }
        let timestamps =
            |times| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(times).with_timezone(UTC)) };
        let columns: Vec<ArrayRef> = vec![
            timestamps(times),
            timestamps(arrivals),
            Arc::new(StringArray::from_iter_values(rows.map(|row| format!("{row:010}")))),
            Arc::new(Int64Array::from(cards)),
            Arc::new(Float64Array::from(amounts)),
        ];
        writer.write(&RecordBatch::try_new(schema.clone(), columns)?)?;
    }
    writer.finish()?;
    Ok(())
}

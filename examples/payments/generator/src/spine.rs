//! Moments at which to ask, with labels, as for training.

use std::sync::Arc;

use arrow_array::{BooleanArray, Float64Array, RecordBatch};
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef};

use crate::columns::{field, numbered, texts, times, timestamp};
use crate::config::{Config, START};
use crate::error::GeneratorError;
use crate::payment::{Purchase, euros};
use crate::random::SplitMix64;

/// So that the spine is not drawn from the numbers of the payments.
const SALT: u64 = 0x0053_5049_4e45;
const SECOND: i64 = 1_000_000;
const BATCH_ROWS: u64 = 65_536;

/// A purchase that is about to be made, at a time within those of the payments: the key of the views `card_spend`,
/// `card_recent` and `card_profile`, the request fields of `payment_risk`, and a label.
#[derive(Debug, Clone)]
pub struct SpineBatches {
    config: Config,
    random: SplitMix64,
    schema: SchemaRef,
    left: u64,
}

impl SpineBatches {
    /// A spine of so many rows for the payments of a generator.
    pub fn new(config: Config, rows: u64) -> Result<Self, GeneratorError> {
        config.check()?;
        let schema = Schema::new(vec![
            field("card", DataType::Utf8, false),
            field("as_of", timestamp(), false),
            field("amount", DataType::Float64, false),
            field("country", DataType::Utf8, true),
            field("is_fraud", DataType::Boolean, false),
        ]);
        let random = SplitMix64(config.seed ^ SALT);
        Ok(SpineBatches { config, random, schema: Arc::new(schema), left: rows })
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn row(&mut self) -> (Purchase, i64, bool) {
        let purchase = Purchase::new(&mut self.random, self.config.cards, self.config.merchants);
        let seconds = self.config.events * self.config.gap() / SECOND.unsigned_abs();
        let as_of = START + self.random.between(0, seconds + 1) as i64 * SECOND;
        (purchase, as_of, self.random.between(0, 50) == 0)
    }
}

impl Iterator for SpineBatches {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let count = self.left.min(BATCH_ROWS);
        self.left -= count;
        let rows: Vec<_> = (0..count).map(|_| self.row()).collect();
        (!rows.is_empty()).then(|| {
            let columns = vec![
                numbered('c', rows.iter().map(|(purchase, ..)| Some(purchase.card)))?,
                times(rows.iter().map(|(_, as_of, _)| *as_of)),
                Arc::new(Float64Array::from_iter_values(rows.iter().map(|(purchase, ..)| euros(purchase.cents)))),
                texts(rows.iter().map(|(purchase, ..)| purchase.country)),
                Arc::new(rows.iter().map(|(.., label)| Some(*label)).collect::<BooleanArray>()),
            ];
            RecordBatch::try_new(self.schema.clone(), columns)
        })
    }
}

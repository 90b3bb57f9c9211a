//! Payments as Arrow columns.

use std::fmt::Write;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, BooleanArray, Float64Array, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::generator::{Account, Generator};
use crate::payment::Payment;

const UTC: &str = "UTC";

/// A column of a table.
pub(crate) fn field(name: &str, ty: DataType, is_nullable: bool) -> Field {
    Field::new(name, ty, is_nullable)
}

/// The type of times.
pub(crate) fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))
}

/// Times as a column.
pub(crate) fn times(times: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone(UTC))
}

/// Numbers as texts, each after a prefix.
pub(crate) fn numbered(
    prefix: char,
    numbers: impl ExactSizeIterator<Item = Option<u64>>,
) -> Result<ArrayRef, ArrowError> {
    let mut texts = StringBuilder::with_capacity(numbers.len(), numbers.len() * 10);
    for number in numbers {
        match number {
            None => texts.append_null(),
            Some(number) => {
                let written = write!(texts, "{prefix}-{number}");
                written.map_err(|error| ArrowError::InvalidArgumentError(error.to_string()))?;
                texts.append_value("");
            }
        }
    }
    Ok(Arc::new(texts.finish()))
}

/// Texts as a column.
pub(crate) fn texts(texts: impl Iterator<Item = Option<&'static str>>) -> ArrayRef {
    let mut column = StringBuilder::new();
    texts.for_each(|text| column.append_option(text));
    Arc::new(column.finish())
}

/// The columns of payments.
pub fn payment_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        field("event_id", DataType::Utf8, false),
        field("event_time", timestamp(), false),
        field("arrived_at", timestamp(), false),
        field("card", DataType::Utf8, false),
        field("merchant", DataType::Utf8, true),
        field("country", DataType::Utf8, true),
        field("channel", DataType::Utf8, false),
        field("amount", DataType::Float64, false),
        field("declined", DataType::Boolean, false),
    ]))
}

/// Payments as columns of [`payment_schema`].
pub fn payment_batch(schema: &SchemaRef, payments: &[Payment]) -> Result<RecordBatch, ArrowError> {
    let all = || payments.iter();
    let columns = vec![
        numbered('p', all().map(|payment| Some(payment.number)))?,
        times(all().map(|payment| payment.event_time)),
        times(all().map(|payment| payment.arrived_at)),
        numbered('c', all().map(|payment| Some(payment.card)))?,
        numbered('m', all().map(|payment| payment.merchant))?,
        texts(all().map(|payment| payment.country)),
        texts(all().map(|payment| Some(payment.channel))),
        Arc::new(Float64Array::from_iter_values(all().map(Payment::amount))),
        Arc::new(all().map(|payment| Some(payment.declined)).collect::<BooleanArray>()),
    ];
    RecordBatch::try_new(schema.clone(), columns)
}

/// The payments of a generator, so many rows in a batch; the last one may have fewer.
#[derive(Debug)]
pub struct Batches {
    generator: Generator,
    schema: SchemaRef,
    rows: usize,
    payments: Vec<Payment>,
}

impl Batches {
    /// Batches of `rows` rows, at least one.
    pub fn new(generator: Generator, rows: usize) -> Self {
        Batches { generator, schema: payment_schema(), rows: rows.max(1), payments: Vec::new() }
    }

    /// What came out so far.
    pub fn account(&self) -> Account {
        self.generator.account()
    }

    /// The next batch, with so many rows at most; `None` at the end.
    pub fn next_rows(&mut self, rows: usize) -> Option<Result<RecordBatch, ArrowError>> {
        self.payments.clear();
        self.payments.extend(self.generator.by_ref().take(rows.min(self.rows)));
        (!self.payments.is_empty()).then(|| payment_batch(&self.schema, &self.payments))
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_rows(self.rows)
    }
}

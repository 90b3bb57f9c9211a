//! Sample rows for the publish gate.

use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Float32Builder, Float64Builder, Int64Builder, ListBuilder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::ArrowError;
use trifold_model::types::UTC;
use trifold_model::{FeatureView, FieldType, ItemType};

/// Rows of a view's inputs made from a seed: ordinary values, nulls, and the corners of every type. The same
/// view, seed and count give the same rows on every machine.
pub fn synthetic_samples(view: &FeatureView, seed: u64, rows: usize) -> Result<RecordBatch, ArrowError> {
    let mut random = SplitMix64(seed);
    let columns = view.inputs.iter().map(|input| column(input.ty, input.nullable, rows, &mut random)).collect();
    RecordBatch::try_new(view.input_schema().clone(), columns)
}

/// Sebastiano Vigna's SplitMix64 (2015).
pub(crate) struct SplitMix64(pub(crate) u64);

impl SplitMix64 {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn int64(&mut self) -> i64 {
        match self.below(8) {
            0 => self.choose(&[0, 1, -1, i64::MIN, i64::MAX, 1 << 53]),
            _ => (self.next() % 20_000) as i64 - 10_000,
        }
    }

    fn float64(&mut self) -> f64 {
        match self.below(8) {
            0 => {
                self.choose(&[0.0, -0.0, 1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE / 2.0])
            }
            _ => (self.next() % 2_000_001) as f64 / 1000.0 - 1000.0,
        }
    }

    /// A time between 2000 and 2032.
    fn timestamp(&mut self) -> i64 {
        946_684_800_000_000 + (self.next() % 1_009_843_200_000_000) as i64
    }

    fn text(&mut self) -> String {
        const WORDS: [&str; 10] = ["", "a", "JFK", "EWR-LAX", "N14228", "étude", "漢字", "two words", "0", "-1.5"];
        self.choose(&WORDS).to_owned()
    }

    fn length(&mut self) -> usize {
        self.below(5)
    }
}

fn column(ty: FieldType, nullable: bool, rows: usize, random: &mut SplitMix64) -> ArrayRef {
    let mut present = Vec::with_capacity(rows);
    present.extend((0..rows).map(|_| !nullable || random.below(6) != 0));
    macro_rules! fill {
        ($builder:expr, $value:expr) => {{
            let mut builder = $builder;
            for present in present {
                builder.append_option(present.then(|| $value));
            }
            Arc::new(builder.finish())
        }};
    }
    macro_rules! fill_list {
        ($items:expr, $item:expr, $value:expr) => {{
            let field = arrow_schema::Field::new("item", $item.to_arrow(), false);
            let mut builder = ListBuilder::new($items).with_field(field);
            for present in present {
                for _ in 0..if present { random.length() } else { 0 } {
                    builder.values().append_value($value);
                }
                builder.append(present);
            }
            Arc::new(builder.finish())
        }};
    }
    match ty {
        FieldType::Bool => fill!(BooleanBuilder::new(), random.below(2) == 1),
        FieldType::Int64 => fill!(Int64Builder::new(), random.int64()),
        FieldType::Float64 => fill!(Float64Builder::new(), random.float64()),
        FieldType::Float32 => fill!(Float32Builder::new(), random.float64() as f32),
        FieldType::Utf8 => fill!(StringBuilder::new(), random.text()),
        FieldType::Binary => fill!(BinaryBuilder::new(), random.text().into_bytes()),
        FieldType::Timestamp => {
            fill!(TimestampMicrosecondBuilder::new().with_timezone(UTC), random.timestamp())
        }
        FieldType::List(ItemType::Float32) => {
            fill_list!(Float32Builder::new(), ItemType::Float32, random.float64() as f32)
        }
        FieldType::List(ItemType::Float64) => {
            fill_list!(Float64Builder::new(), ItemType::Float64, random.float64())
        }
        FieldType::List(ItemType::Int64) => fill_list!(Int64Builder::new(), ItemType::Int64, random.int64()),
        FieldType::List(ItemType::Utf8) => fill_list!(StringBuilder::new(), ItemType::Utf8, random.text()),
    }
}

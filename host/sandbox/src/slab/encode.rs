//! From Arrow columns to words.

use std::borrow::Cow;
use std::ops::Range;
use std::{iter, mem};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use trifold_model::canonical::{NAN_32, NAN_64, is_arrow_type};
use trifold_model::{Field, FieldType, ItemType};

use super::{WORD_BITS, WORD_BYTES, bitmap_words};

/// Inputs that are not those of the view.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InputError {
    #[error("the batch has {found} columns, the view reads {expected}")]
    Columns { found: usize, expected: usize },
    #[error("input {name} has type {found}, the view reads {expected}")]
    Type { name: String, found: String, expected: FieldType },
    #[error("input {name} has nulls, and the view requires a value")]
    Null { name: String },
}

/// Checks that a batch holds what the fields say.
pub(crate) fn check_inputs(fields: &[Field], batch: &RecordBatch) -> Result<(), InputError> {
    if batch.num_columns() != fields.len() {
        return Err(InputError::Columns { found: batch.num_columns(), expected: fields.len() });
    }
    for (field, column) in fields.iter().zip(batch.columns()) {
        if !is_arrow_type(field.ty, column.data_type()) {
            return Err(InputError::Type {
                name: field.name.to_string(),
                found: column.data_type().to_string(),
                expected: field.ty,
            });
        }
        if !field.nullable && column.null_count() > 0 {
            return Err(InputError::Null { name: field.name.to_string() });
        }
    }
    Ok(())
}

/// Some rows of a batch, as words that are not written yet: what a guest gets (`wit/README.md`).
pub struct Slab<'a> {
    fields: &'a [Field],
    columns: Cow<'a, [ArrayRef]>,
    words: usize,
}

impl<'a> Slab<'a> {
    /// Some rows of a batch that has the columns of these fields.
    ///
    /// # Panics
    ///
    /// If it has columns of other types.
    pub fn new(fields: &'a [Field], batch: &'a RecordBatch, rows: Range<usize>) -> Self {
        let columns = if rows == (0..batch.num_rows()) {
            Cow::Borrowed(batch.columns())
        } else {
            batch.columns().iter().map(|column| column.slice(rows.start, rows.len())).collect()
        };
        let words = fields.iter().zip(columns.iter()).map(|(field, column)| column_words(field, column)).sum();
        Slab { fields, columns, words }
    }

    /// The number of words.
    pub fn words(&self) -> usize {
        self.words
    }

    /// Writes every one of the words, whatever stands there.
    ///
    /// # Panics
    ///
    /// If the place has another number of words.
    pub fn write(&self, words: &mut [u64]) {
        let mut place = Place(words);
        for (field, column) in self.fields.iter().zip(self.columns.iter()) {
            put_column(field, column, &mut place);
        }
        assert!(place.0.is_empty(), "the words were counted wrong");
    }
}

fn column_words(field: &Field, column: &ArrayRef) -> usize {
    let rows = column.len();
    let nulls = some_nulls(column);
    let validity = if field.nullable { bitmap_words(rows) } else { 0 };
    validity
        + match field.ty {
            FieldType::Bool => bitmap_words(rows),
            FieldType::Int64 | FieldType::Timestamp | FieldType::Float64 => rows,
            FieldType::Float32 => padded(rows * size_of::<f32>()),
            FieldType::Utf8 => {
                let offsets = column.as_string::<i32>().value_offsets();
                offset_words(rows) + padded(filled(offsets, nulls))
            }
            FieldType::Binary => {
                let offsets = column.as_binary::<i32>().value_offsets();
                offset_words(rows) + padded(filled(offsets, nulls))
            }
            FieldType::List(item) => {
                let column = column.as_list::<i32>();
                let runs = runs(column.value_offsets(), nulls);
                offset_words(rows) + item_words(item, column.values(), &runs)
            }
        }
}

fn item_words(item: ItemType, values: &ArrayRef, runs: &[Range<usize>]) -> usize {
    let items = runs.iter().map(Range::len).sum();
    match item {
        ItemType::Int64 | ItemType::Float64 => items,
        ItemType::Float32 => padded(items * size_of::<f32>()),
        ItemType::Utf8 => {
            let offsets = values.as_string::<i32>().value_offsets();
            let bytes = runs.iter().map(|run| span(offsets, run.start, run.end).len()).sum();
            offset_words(items) + padded(bytes)
        }
    }
}

/// The words of so many bytes.
fn padded(bytes: usize) -> usize {
    bytes.div_ceil(WORD_BYTES)
}

fn offset_words(slots: usize) -> usize {
    padded((slots + 1) * size_of::<i32>())
}

/// The nulls of a column that has any.
fn some_nulls(column: &ArrayRef) -> Option<&NullBuffer> {
    column.nulls().filter(|nulls| nulls.null_count() > 0)
}

/// How much the slots that are present hold.
fn filled(offsets: &[i32], nulls: Option<&NullBuffer>) -> usize {
    match nulls {
        None => span(offsets, 0, offsets.len() - 1).len(),
        Some(nulls) => nulls.valid_slices().map(|(from, to)| span(offsets, from, to).len()).sum(),
    }
}

/// Where the items of lists that are present stand.
fn runs(offsets: &[i32], nulls: Option<&NullBuffer>) -> Vec<Range<usize>> {
    match nulls {
        None => vec![span(offsets, 0, offsets.len() - 1)],
        Some(nulls) => nulls.valid_slices().map(|(from, to)| span(offsets, from, to)).collect(),
    }
}

/// What is still to be written.
struct Place<'a>(&'a mut [u64]);

impl<'a> Place<'a> {
    fn words(&mut self, count: usize) -> &'a mut [u64] {
        let (here, rest) = mem::take(&mut self.0).split_at_mut(count);
        self.0 = rest;
        here
    }

    /// So many bytes, with zeros behind them up to the next word.
    fn bytes(&mut self, count: usize) -> &'a mut [u8] {
        let words = self.words(padded(count));
        if let Some(last) = words.last_mut() {
            *last = 0;
        }
        &mut bytemuck::cast_slice_mut(words)[..count]
    }
}

fn put_column(field: &Field, column: &ArrayRef, place: &mut Place<'_>) {
    let nulls = some_nulls(column);
    if field.nullable {
        put_validity(nulls, column.len(), place);
    }
    match field.ty {
        FieldType::Bool => put_bits(column.as_boolean().values(), nulls, place),
        FieldType::Int64 => put_64(column.as_primitive::<Int64Type>().values(), |v| *v as u64, nulls, place),
        FieldType::Timestamp => {
            put_64(column.as_primitive::<TimestampMicrosecondType>().values(), |v| *v as u64, nulls, place);
        }
        FieldType::Float64 => put_64(column.as_primitive::<Float64Type>().values(), bits_64, nulls, place),
        FieldType::Float32 => put_32(column.as_primitive::<Float32Type>().values(), nulls, place),
        FieldType::Utf8 => {
            let column = column.as_string::<i32>();
            put_var(column.value_offsets(), column.value_data(), nulls, place);
        }
        FieldType::Binary => {
            let column = column.as_binary::<i32>();
            put_var(column.value_offsets(), column.value_data(), nulls, place);
        }
        FieldType::List(item) => {
            let column = column.as_list::<i32>();
            put_offsets(column.value_offsets(), nulls, place);
            put_items(item, column.values(), &runs(column.value_offsets(), nulls), place);
        }
    }
}

fn put_validity(nulls: Option<&NullBuffer>, rows: usize, place: &mut Place<'_>) {
    match nulls {
        Some(nulls) => put_bits(nulls.inner(), None, place),
        None => {
            let words = place.words(bitmap_words(rows));
            words.fill(u64::MAX);
            if let Some(last) = words.last_mut().filter(|_| !rows.is_multiple_of(WORD_BITS)) {
                *last = (1 << (rows % WORD_BITS)) - 1;
            }
        }
    }
}

/// A bit under a null is zero.
fn put_bits(bits: &BooleanBuffer, nulls: Option<&NullBuffer>, place: &mut Place<'_>) {
    let words = place.words(bitmap_words(bits.len()));
    let padded = bits.bit_chunks();
    words.iter_mut().zip(padded.iter_padded()).for_each(|(word, bits)| *word = bits);
    if let Some(nulls) = nulls {
        let present = nulls.inner().bit_chunks();
        words.iter_mut().zip(present.iter_padded()).for_each(|(word, present)| *word &= present);
    }
}

fn put_64<T>(values: &[T], bits: impl Fn(&T) -> u64, nulls: Option<&NullBuffer>, place: &mut Place<'_>) {
    let words = place.words(values.len());
    words.iter_mut().zip(values).for_each(|(word, value)| *word = bits(value));
    if let Some(nulls) = nulls {
        for (word, present) in words.iter_mut().zip(nulls) {
            if !present {
                *word = 0;
            }
        }
    }
}

fn put_32(values: &[f32], nulls: Option<&NullBuffer>, place: &mut Place<'_>) {
    let bytes = place.bytes(size_of_val(values));
    for (row, (value, place)) in values.iter().zip(bytes.as_chunks_mut::<4>().0).enumerate() {
        let is_present = nulls.is_none_or(|nulls| nulls.is_valid(row));
        *place = if is_present { bits_32(*value).to_le_bytes() } else { [0; 4] };
    }
}

fn bits_64(value: &f64) -> u64 {
    if value.is_nan() { NAN_64 } else { value.to_bits() }
}

fn bits_32(value: f32) -> u32 {
    if value.is_nan() { NAN_32 } else { value.to_bits() }
}

/// Texts and bytes: offsets from zero, then the data. A null slot is empty.
fn put_var(offsets: &[i32], data: &[u8], nulls: Option<&NullBuffer>, place: &mut Place<'_>) {
    put_offsets(offsets, nulls, place);
    let mut bytes = place.bytes(filled(offsets, nulls));
    match nulls {
        None => bytes.copy_from_slice(&data[span(offsets, 0, offsets.len() - 1)]),
        Some(nulls) => {
            nulls.valid_slices().for_each(|(from, to)| put_part(&data[span(offsets, from, to)], &mut bytes));
        }
    }
}

fn put_items(item: ItemType, values: &ArrayRef, runs: &[Range<usize>], place: &mut Place<'_>) {
    match item {
        ItemType::Int64 => {
            let values = values.as_primitive::<Int64Type>().values();
            runs.iter().for_each(|run| put_64(&values[run.clone()], |v| *v as u64, None, place));
        }
        ItemType::Float64 => {
            let values = values.as_primitive::<Float64Type>().values();
            runs.iter().for_each(|run| put_64(&values[run.clone()], bits_64, None, place));
        }
        ItemType::Float32 => {
            let values = values.as_primitive::<Float32Type>().values();
            match runs {
                [run] => put_32(&values[run.clone()], None, place),
                // Two items share a word, so runs are joined first.
                _ => {
                    let joined: Vec<f32> = runs.iter().flat_map(|run| &values[run.clone()]).copied().collect();
                    put_32(&joined, None, place);
                }
            }
        }
        ItemType::Utf8 => {
            let items = values.as_string::<i32>();
            put_text_items(items.value_offsets(), items.value_data(), runs, place);
        }
    }
}

fn put_text_items(offsets: &[i32], data: &[u8], runs: &[Range<usize>], place: &mut Place<'_>) {
    let items: usize = runs.iter().map(Range::len).sum();
    let lengths = runs.iter().flat_map(|run| run.clone()).map(|item| offsets[item + 1] - offsets[item]);
    let ends = lengths.scan(0, |end, length| {
        *end += length;
        Some(*end)
    });
    put_i32s(items + 1, iter::once(0).chain(ends), place);
    let parts = runs.iter().map(|run| &data[span(offsets, run.start, run.end)]);
    let mut bytes = place.bytes(parts.clone().map(<[u8]>::len).sum());
    parts.for_each(|part| put_part(part, &mut bytes));
}

fn put_offsets(offsets: &[i32], nulls: Option<&NullBuffer>, place: &mut Place<'_>) {
    match nulls {
        None => put_i32s(offsets.len(), offsets.iter().map(|offset| offset - offsets[0]), place),
        Some(nulls) => {
            let ends = nulls.iter().zip(offsets.windows(2)).scan(0, |end, (present, pair)| {
                *end += if present { pair[1] - pair[0] } else { 0 };
                Some(*end)
            });
            put_i32s(offsets.len(), iter::once(0).chain(ends), place);
        }
    }
}

fn put_i32s(count: usize, values: impl Iterator<Item = i32>, place: &mut Place<'_>) {
    let bytes = place.bytes(count * size_of::<i32>());
    for (place, value) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(values) {
        *place = value.to_le_bytes();
    }
}

/// Fills the front of a place.
fn put_part(part: &[u8], place: &mut &mut [u8]) {
    let (here, rest) = mem::take(place).split_at_mut(part.len());
    here.copy_from_slice(part);
    *place = rest;
}

/// Where the bytes or items of some slots stand. Arrow has checked that offsets are ordered and not negative.
fn span(offsets: &[i32], from: usize, to: usize) -> Range<usize> {
    offsets[from] as usize..offsets[to] as usize
}

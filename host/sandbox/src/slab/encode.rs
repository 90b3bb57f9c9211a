//! From Arrow columns to words.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use trifold_model::canonical::{NAN_32, NAN_64, is_arrow_type};
use trifold_model::{Field, FieldType, ItemType};

use super::{WORD_BYTES, bitmap_words};

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

/// Replaces `words` by some rows of a batch that `check_inputs` found right.
pub(crate) fn encode(fields: &[Field], batch: &RecordBatch, rows: Range<usize>, words: &mut Vec<u64>) {
    words.clear();
    // Exact for numbers; what texts and lists need beyond it is added as it comes.
    words.reserve(rows.len() * fields.len());
    let whole = rows == (0..batch.num_rows());
    for (field, column) in fields.iter().zip(batch.columns()) {
        if whole {
            push_column(field, column, words);
        } else {
            push_column(field, &column.slice(rows.start, rows.len()), words);
        }
    }
}

fn push_column(field: &Field, column: &ArrayRef, words: &mut Vec<u64>) {
    let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0);
    if field.nullable {
        push_validity(nulls, column.len(), words);
    }
    match field.ty {
        FieldType::Bool => push_bits(column.as_boolean().values(), nulls, words),
        FieldType::Int64 => push_64(column.as_primitive::<Int64Type>().values(), |v| *v as u64, nulls, words),
        FieldType::Timestamp => {
            push_64(column.as_primitive::<TimestampMicrosecondType>().values(), |v| *v as u64, nulls, words);
        }
        FieldType::Float64 => push_64(column.as_primitive::<Float64Type>().values(), bits_64, nulls, words),
        FieldType::Float32 => push_32(column.as_primitive::<Float32Type>().values(), nulls, words),
        FieldType::Utf8 => {
            let column = column.as_string::<i32>();
            push_var(column.value_offsets(), column.value_data(), nulls, words);
        }
        FieldType::Binary => {
            let column = column.as_binary::<i32>();
            push_var(column.value_offsets(), column.value_data(), nulls, words);
        }
        FieldType::List(item) => {
            let column = column.as_list::<i32>();
            push_list(column.value_offsets(), column.values(), item, nulls, words);
        }
    }
}

fn push_validity(nulls: Option<&NullBuffer>, rows: usize, words: &mut Vec<u64>) {
    match nulls {
        Some(nulls) => push_bits(nulls.inner(), None, words),
        None => {
            words.resize(words.len() + rows / 64, u64::MAX);
            if !rows.is_multiple_of(64) {
                words.push((1 << (rows % 64)) - 1);
            }
        }
    }
}

/// A bit under a null is zero.
fn push_bits(bits: &BooleanBuffer, nulls: Option<&NullBuffer>, words: &mut Vec<u64>) {
    let count = bitmap_words(bits.len());
    let padded = bits.bit_chunks();
    match nulls {
        None => words.extend(padded.iter_padded().take(count)),
        Some(nulls) => {
            let present = nulls.inner().bit_chunks();
            let masked = padded.iter_padded().zip(present.iter_padded()).map(|(bit, present)| bit & present);
            words.extend(masked.take(count));
        }
    }
}

fn push_64<T>(values: &[T], bits: impl Fn(&T) -> u64, nulls: Option<&NullBuffer>, words: &mut Vec<u64>) {
    let first = words.len();
    words.extend(values.iter().map(bits));
    if let Some(nulls) = nulls {
        for (row, word) in words[first..].iter_mut().enumerate() {
            if nulls.is_null(row) {
                *word = 0;
            }
        }
    }
}

fn push_32(values: &[f32], nulls: Option<&NullBuffer>, words: &mut Vec<u64>) {
    let bytes = append(words, size_of_val(values));
    for (row, (value, place)) in values.iter().zip(bytes.as_chunks_mut::<4>().0).enumerate() {
        if nulls.is_none_or(|nulls| nulls.is_valid(row)) {
            *place = bits_32(*value).to_le_bytes();
        }
    }
}

fn bits_64(value: &f64) -> u64 {
    if value.is_nan() { NAN_64 } else { value.to_bits() }
}

fn bits_32(value: f32) -> u32 {
    if value.is_nan() { NAN_32 } else { value.to_bits() }
}

/// Texts and bytes: offsets from zero, then the data. A null slot is empty.
fn push_var(offsets: &[i32], data: &[u8], nulls: Option<&NullBuffer>, words: &mut Vec<u64>) {
    push_offsets(offsets, nulls, words);
    match nulls {
        None => push_bytes(&data[span(offsets, 0, offsets.len() - 1)], words),
        Some(nulls) => {
            let present = nulls.valid_slices().map(|(from, to)| &data[span(offsets, from, to)]);
            push_parts(&present.collect::<Vec<_>>(), words);
        }
    }
}

fn push_list(
    offsets: &[i32],
    values: &ArrayRef,
    item: ItemType,
    nulls: Option<&NullBuffer>,
    words: &mut Vec<u64>,
) {
    push_offsets(offsets, nulls, words);
    // Where the items of lists that are present stand.
    let runs = match nulls {
        None => vec![span(offsets, 0, offsets.len() - 1)],
        Some(nulls) => nulls.valid_slices().map(|(from, to)| span(offsets, from, to)).collect(),
    };
    match item {
        ItemType::Int64 => {
            let values = values.as_primitive::<Int64Type>().values();
            runs.into_iter().for_each(|run| push_64(&values[run], |v| *v as u64, None, words));
        }
        ItemType::Float64 => {
            let values = values.as_primitive::<Float64Type>().values();
            runs.into_iter().for_each(|run| push_64(&values[run], bits_64, None, words));
        }
        ItemType::Float32 => {
            let values = values.as_primitive::<Float32Type>().values();
            match runs.as_slice() {
                [run] => push_32(&values[run.clone()], None, words),
                // Two items share a word, so runs are joined first.
                _ => {
                    let joined: Vec<f32> = runs.into_iter().flat_map(|run| &values[run]).copied().collect();
                    push_32(&joined, None, words);
                }
            }
        }
        ItemType::Utf8 => {
            let items = values.as_string::<i32>();
            let (offsets, data) = (items.value_offsets(), items.value_data());
            push_text_items(offsets, data, &runs, words);
        }
    }
}

fn push_text_items(offsets: &[i32], data: &[u8], runs: &[Range<usize>], words: &mut Vec<u64>) {
    let items: usize = runs.iter().map(Range::len).sum();
    let mut end = 0;
    let lengths = runs.iter().flat_map(|run| run.clone()).map(|item| offsets[item + 1] - offsets[item]);
    let ends = lengths.map(|length| {
        end += length;
        end
    });
    push_i32s(items + 1, std::iter::once(0).chain(ends), words);
    let parts: Vec<_> = runs.iter().map(|run| &data[span(offsets, run.start, run.end)]).collect();
    push_parts(&parts, words);
}

fn push_offsets(offsets: &[i32], nulls: Option<&NullBuffer>, words: &mut Vec<u64>) {
    match nulls {
        None => push_i32s(offsets.len(), offsets.iter().map(|offset| offset - offsets[0]), words),
        Some(nulls) => {
            let mut end = 0;
            let ends = (0..nulls.len()).map(|row| {
                if nulls.is_valid(row) {
                    end += offsets[row + 1] - offsets[row];
                }
                end
            });
            push_i32s(offsets.len(), std::iter::once(0).chain(ends), words);
        }
    }
}

fn push_i32s(count: usize, values: impl Iterator<Item = i32>, words: &mut Vec<u64>) {
    let bytes = append(words, count * size_of::<i32>());
    for (place, value) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(values) {
        *place = value.to_le_bytes();
    }
}

fn push_bytes(data: &[u8], words: &mut Vec<u64>) {
    append(words, data.len()).copy_from_slice(data);
}

fn push_parts(parts: &[&[u8]], words: &mut Vec<u64>) {
    let mut place = append(words, parts.iter().map(|part| part.len()).sum());
    for part in parts {
        let (here, rest) = place.split_at_mut(part.len());
        here.copy_from_slice(part);
        place = rest;
    }
}

/// Where the bytes or items of some slots stand. Arrow has checked that offsets are ordered and not negative.
fn span(offsets: &[i32], from: usize, to: usize) -> Range<usize> {
    offsets[from] as usize..offsets[to] as usize
}

/// Adds zeroed words for `bytes` bytes and returns them as bytes.
fn append(words: &mut Vec<u64>, bytes: usize) -> &mut [u8] {
    let first = words.len();
    words.resize(first + bytes.div_ceil(WORD_BYTES), 0);
    &mut bytemuck::cast_slice_mut(&mut words[first..])[..bytes]
}

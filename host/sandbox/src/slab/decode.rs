//! From the words of an answer to Arrow columns. Nothing in them is trusted.
//!
//! Fixed-width values, offsets and bytes stay where the answer has them: the arrays share its one allocation.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, ListArray, PrimitiveArray, StringArray,
    types::{ArrowPrimitiveType, Float32Type, Float64Type, Int64Type, TimestampMicrosecondType},
};
use arrow_buffer::{BooleanBuffer, Buffer, MutableBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, FieldRef, Schema};
use trifold_model::{Field, FieldType, ItemType, canonical_nans};

use super::{WORD_BITS, WORD_BYTES, bitmap_words, item_type, value_bytes};

/// How an answer breaks the contract.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AnswerError {
    #[error("it has {found} rows for {expected} rows of input")]
    Rows { found: u32, expected: usize },
    #[error("it ends inside output {column}: the {part} need {needed} bytes, {left} are left")]
    Short { column: String, part: &'static str, needed: usize, left: usize },
    #[error("it goes on for {words} words after its last column")]
    Long { words: usize },
    #[error("output {column}: the {part} begin at {found} instead of 0")]
    FirstOffset { column: String, part: &'static str, found: i32 },
    #[error("output {column}: the {part} fall from {from} to {to} at {slot}")]
    FallingOffset { column: String, part: &'static str, slot: usize, from: i32, to: i32 },
    #[error("output {column}: the text of row {row} is not valid UTF-8")]
    Utf8 { column: String, row: usize },
    #[error("output {column}: {message}")]
    Arrow { column: String, message: String },
    #[error("rejection {index} names row {row} of {rows}")]
    RejectedRow { index: usize, row: u32, rows: usize },
    #[error("rejection {index} names row {row} after row {previous}; they must ascend")]
    RejectionOrder { index: usize, row: u32, previous: u32 },
    #[error("row {row} is rejected with code {code}, which is not one of 1 to 65279")]
    RejectionCode { row: u32, code: u16 },
}

/// The columns of an answer. Rejected rows, which must ascend, are null in all of them.
pub(crate) fn decode(
    fields: &[Field],
    schema: &Schema,
    rows: usize,
    words: Vec<u64>,
    rejected: &[usize],
) -> Result<Vec<ArrayRef>, AnswerError> {
    let mut cursor = Cursor { buffer: Buffer::from_vec(words), at: 0 };
    let mut columns = Vec::with_capacity(fields.len());
    for (field, arrow) in fields.iter().zip(schema.fields()) {
        let column = Column { name: field.name.as_str(), rows };
        let nulls = column.nulls(field.nullable, rejected, &mut cursor)?;
        columns.push(column.read(field.ty, arrow.data_type(), nulls, &mut cursor)?);
    }
    match cursor.left() / WORD_BYTES {
        0 => Ok(columns),
        words => Err(AnswerError::Long { words }),
    }
}

struct Cursor {
    buffer: Buffer,
    at: usize,
}

impl Cursor {
    fn left(&self) -> usize {
        self.buffer.len() - self.at
    }

    fn take(&mut self, bytes: usize) -> Option<Buffer> {
        let padded = bytes.checked_next_multiple_of(WORD_BYTES)?;
        if padded > self.left() {
            return None;
        }
        let taken = self.buffer.slice_with_length(self.at, bytes);
        self.at += padded;
        Some(taken)
    }
}

#[derive(Clone, Copy)]
struct Column<'a> {
    name: &'a str,
    rows: usize,
}

impl Column<'_> {
    fn take(self, part: &'static str, bytes: usize, cursor: &mut Cursor) -> Result<Buffer, AnswerError> {
        let left = cursor.left();
        let short = || AnswerError::Short { column: self.name.to_owned(), part, needed: bytes, left };
        cursor.take(bytes).ok_or_else(short)
    }

    fn nulls(
        self,
        nullable: bool,
        rejected: &[usize],
        cursor: &mut Cursor,
    ) -> Result<Option<NullBuffer>, AnswerError> {
        let given = match nullable {
            true => Some(self.take("validity bits", bitmap_words(self.rows) * WORD_BYTES, cursor)?),
            false => None,
        };
        let given = given.as_ref().map(|buffer| buffer.typed_data::<u64>());
        if rejected.is_empty() && given.is_none_or(|words| all_present(words, self.rows)) {
            return Ok(None);
        }
        let mut words = given.map_or_else(|| vec![u64::MAX; bitmap_words(self.rows)], <[u64]>::to_vec);
        for &row in rejected {
            words[row / WORD_BITS] &= !(1 << (row % WORD_BITS));
        }
        let present = BooleanBuffer::new(Buffer::from_vec(words), 0, self.rows);
        Ok(Some(NullBuffer::new(present)))
    }

    fn read(
        self,
        ty: FieldType,
        arrow: &DataType,
        nulls: Option<NullBuffer>,
        cursor: &mut Cursor,
    ) -> Result<ArrayRef, AnswerError> {
        if let Some(bytes) = value_bytes(ty) {
            let values = self.take("values", self.rows * bytes, cursor)?;
            return Ok(fixed(ty, arrow, values, nulls));
        }
        match ty {
            FieldType::Utf8 => {
                let (offsets, data) = self.var(self.rows, "offsets", nulls.as_ref(), cursor)?;
                self.text(offsets, data, nulls).map(|array| Arc::new(array) as ArrayRef)
            }
            FieldType::Binary => {
                let (offsets, data) = self.var(self.rows, "offsets", nulls.as_ref(), cursor)?;
                Ok(Arc::new(BinaryArray::try_new(offsets, data, nulls).map_err(|e| self.arrow(&e))?))
            }
            FieldType::List(item) => self.list(item, arrow, nulls, cursor),
            // Everything of a fixed width is read above.
            _ => {
                let bits = self.take("values", bitmap_words(self.rows) * WORD_BYTES, cursor)?;
                let values = BooleanBuffer::new(bits, 0, self.rows);
                let values = nulls.as_ref().map_or_else(|| values.clone(), |nulls| &values & nulls.inner());
                Ok(Arc::new(BooleanArray::new(values, nulls)))
            }
        }
    }

    /// Offsets from zero that never fall.
    fn offsets(
        self,
        slots: usize,
        part: &'static str,
        cursor: &mut Cursor,
    ) -> Result<ScalarBuffer<i32>, AnswerError> {
        let buffer = self.take(part, (slots + 1) * size_of::<i32>(), cursor)?;
        let offsets = ScalarBuffer::<i32>::new(buffer, 0, slots + 1);
        if offsets[0] != 0 {
            return Err(AnswerError::FirstOffset { column: self.name.to_owned(), part, found: offsets[0] });
        }
        if let Some(slot) = offsets.windows(2).position(|pair| pair[0] > pair[1]) {
            let (from, to) = (offsets[slot], offsets[slot + 1]);
            return Err(AnswerError::FallingOffset { column: self.name.to_owned(), part, slot, from, to });
        }
        Ok(offsets)
    }

    /// Offsets and bytes, with null slots made empty.
    fn var(
        self,
        slots: usize,
        part: &'static str,
        nulls: Option<&NullBuffer>,
        cursor: &mut Cursor,
    ) -> Result<(OffsetBuffer<i32>, Buffer), AnswerError> {
        let offsets = self.offsets(slots, part, cursor)?;
        let data = self.take("bytes", length(&offsets), cursor)?;
        Ok(match nulls.filter(|nulls| any_null_holds(&offsets, nulls)) {
            None => (OffsetBuffer::new(offsets), data),
            Some(nulls) => {
                let runs = present_runs(&offsets, nulls);
                (without_nulls(&offsets, nulls), pick(&data, &runs, 1))
            }
        })
    }

    fn text(
        self,
        offsets: OffsetBuffer<i32>,
        data: Buffer,
        nulls: Option<NullBuffer>,
    ) -> Result<StringArray, AnswerError> {
        StringArray::try_new(offsets.clone(), data.clone(), nulls).map_err(|error| {
            let slots = offsets.windows(2);
            let slot = |pair: &[i32]| &data[pair[0] as usize..pair[1] as usize];
            let invalid = slots.map(slot).position(|bytes| std::str::from_utf8(bytes).is_err());
            match invalid {
                Some(row) => AnswerError::Utf8 { column: self.name.to_owned(), row },
                None => self.arrow(&error),
            }
        })
    }

    fn list(
        self,
        item: ItemType,
        arrow: &DataType,
        nulls: Option<NullBuffer>,
        cursor: &mut Cursor,
    ) -> Result<ArrayRef, AnswerError> {
        let offsets = self.offsets(self.rows, "list offsets", cursor)?;
        let items = length(&offsets);
        let filled = nulls.as_ref().filter(|nulls| any_null_holds(&offsets, nulls));
        let runs = filled.map(|nulls| present_runs(&offsets, nulls));
        let values = self.items(item, items, runs.as_deref(), cursor)?;
        let offsets = match filled {
            None => OffsetBuffer::new(offsets),
            Some(nulls) => without_nulls(&offsets, nulls),
        };
        let list = ListArray::try_new(item_field(arrow, item), offsets, values, nulls);
        Ok(Arc::new(list.map_err(|error| self.arrow(&error))?))
    }

    /// The items of all lists, or of some runs of them.
    fn items(
        self,
        item: ItemType,
        items: usize,
        runs: Option<&[Range<usize>]>,
        cursor: &mut Cursor,
    ) -> Result<ArrayRef, AnswerError> {
        let ty = item_type(item);
        if let Some(bytes) = value_bytes(ty) {
            let mut values = self.take("items", items.saturating_mul(bytes), cursor)?;
            if let Some(runs) = runs {
                values = pick(&values, runs, bytes);
            }
            return Ok(fixed(ty, &item.to_arrow(), values, None));
        }
        let (mut offsets, mut data) = self.var(items, "item offsets", None, cursor)?;
        if let Some(runs) = runs {
            let bytes: Vec<_> = runs.iter().map(|run| slots(&offsets, run.clone())).collect();
            data = pick(&data, &bytes, 1);
            let lengths = runs.iter().flat_map(|run| run.clone()).map(|at| slots(&offsets, at..at + 1).len());
            offsets = OffsetBuffer::from_lengths(lengths);
        }
        let text = self.text(offsets.clone(), data, None);
        text.map(|array| Arc::new(array) as ArrayRef).map_err(|error| match error {
            // The caller's rows are lists; which of them the item belongs to is not known here.
            AnswerError::Utf8 { column, row } => {
                AnswerError::Arrow { column, message: format!("the text of list item {row} is not valid UTF-8") }
            }
            error => error,
        })
    }

    fn arrow(self, error: &ArrowError) -> AnswerError {
        AnswerError::Arrow { column: self.name.to_owned(), message: error.to_string() }
    }
}

fn all_present(words: &[u64], rows: usize) -> bool {
    let (whole, rest) = words.split_at(rows / WORD_BITS);
    let mask = (1 << (rows % WORD_BITS)) - 1;
    whole.iter().all(|word| *word == u64::MAX) && rest.iter().all(|word| word & mask == mask)
}

fn fixed(ty: FieldType, arrow: &DataType, values: Buffer, nulls: Option<NullBuffer>) -> ArrayRef {
    match ty {
        FieldType::Float64 => canonical_nans(Arc::new(primitive::<Float64Type>(values, nulls))),
        FieldType::Float32 => canonical_nans(Arc::new(primitive::<Float32Type>(values, nulls))),
        // The type that stands for all timestamps has no time zone.
        FieldType::Timestamp => {
            let array = primitive::<TimestampMicrosecondType>(values, nulls);
            Arc::new(array.with_data_type(arrow.clone()))
        }
        _ => Arc::new(primitive::<Int64Type>(values, nulls)),
    }
}

/// What a guest leaves under a null becomes zero.
fn primitive<T: ArrowPrimitiveType>(values: Buffer, nulls: Option<NullBuffer>) -> PrimitiveArray<T> {
    let mut values = ScalarBuffer::<T::Native>::from(values);
    if let Some(nulls) = &nulls {
        let zero = T::Native::default();
        values = values.iter().zip(nulls).map(|(value, present)| if present { *value } else { zero }).collect();
    }
    PrimitiveArray::new(values, nulls)
}

fn item_field(arrow: &DataType, item: ItemType) -> FieldRef {
    match arrow {
        DataType::List(field) => field.clone(),
        _ => Arc::new(arrow_schema::Field::new("item", item.to_arrow(), false)),
    }
}

fn length(offsets: &ScalarBuffer<i32>) -> usize {
    offsets.last().map_or(0, |last| *last as usize)
}

/// Where the contents of some slots stand. The offsets have been checked.
fn slots(offsets: &[i32], slots: Range<usize>) -> Range<usize> {
    offsets[slots.start] as usize..offsets[slots.end] as usize
}

fn any_null_holds(offsets: &[i32], nulls: &NullBuffer) -> bool {
    nulls.iter().zip(offsets.windows(2)).any(|(present, pair)| !present && pair[0] != pair[1])
}

fn present_runs(offsets: &[i32], nulls: &NullBuffer) -> Vec<Range<usize>> {
    nulls.valid_slices().map(|(from, to)| slots(offsets, from..to)).collect()
}

fn without_nulls(offsets: &[i32], nulls: &NullBuffer) -> OffsetBuffer<i32> {
    let length = |row| if nulls.is_valid(row) { slots(offsets, row..row + 1).len() } else { 0 };
    OffsetBuffer::from_lengths((0..nulls.len()).map(length))
}

fn pick(data: &[u8], runs: &[Range<usize>], item_bytes: usize) -> Buffer {
    // Arrow's own buffers are aligned for items of every size.
    let mut picked = MutableBuffer::with_capacity(runs.iter().map(Range::len).sum::<usize>() * item_bytes);
    for run in runs {
        picked.extend_from_slice(&data[run.start * item_bytes..run.end * item_bytes]);
    }
    picked.into()
}

//! The word slab: how the columns of a batch cross the boundary of the guest (`wit/README.md`).
//!
//! Columns stand in describe's order; each is its Arrow buffers, padded with zeros to words of eight bytes. The
//! words are little-endian memory, so on a little-endian host the guest's bytes are Arrow's bytes.

mod decode;
mod encode;
mod lower;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

use trifold_model::{FieldType, ItemType};

pub(crate) use decode::{AnswerError, decode};
pub use encode::Slab;
pub(crate) use encode::check_inputs;

#[cfg(target_endian = "big")]
compile_error!("the slab's words are copied as they are, which needs a little-endian host");

const WORD_BYTES: usize = size_of::<u64>();
const WORD_BITS: usize = u64::BITS as usize;

/// The words that hold a bitmap of `rows` bits.
fn bitmap_words(rows: usize) -> usize {
    rows.div_ceil(WORD_BITS)
}

/// The bytes of one value, or `None` where values have a length of their own or are bits.
fn value_bytes(ty: FieldType) -> Option<usize> {
    match ty {
        FieldType::Int64 | FieldType::Timestamp | FieldType::Float64 => Some(8),
        FieldType::Float32 => Some(4),
        FieldType::Bool | FieldType::Utf8 | FieldType::Binary | FieldType::List(_) => None,
    }
}

/// The type whose layout the items of a list have.
fn item_type(item: ItemType) -> FieldType {
    match item {
        ItemType::Float32 => FieldType::Float32,
        ItemType::Float64 => FieldType::Float64,
        ItemType::Int64 => FieldType::Int64,
        ItemType::Utf8 => FieldType::Utf8,
    }
}

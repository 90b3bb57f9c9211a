//! The largest event that counts.
//!
//! An online store bounds its records, and an event that no store can hold must not count in a backfill either.
//! So the bound is judged per event, before anything is stored, alike in every runner.

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use trifold_eventlog::Events;
use trifold_model::canonical::ForeignType;
use trifold_model::{CanonicalRows, FeatureView};
use trifold_store::{KEY_BYTES_MAX, RECORD_BYTES_MAX};

/// The longest event id, in bytes.
pub const ID_BYTES_MAX: usize = 4 << 10;
/// The largest event, in bytes of its inputs in the canonical coding: what a store's record holds, less the id and
/// room for what a store adds of its own.
pub const FIELDS_BYTES_MAX: usize = RECORD_BYTES_MAX - ID_BYTES_MAX - 1024;

/// Why each event that is too large is, by row, ascending.
pub(crate) fn oversized(view: &FeatureView, events: &Events) -> Result<Vec<(usize, String)>, ForeignType> {
    let columns: Vec<usize> = events.inputs.columns().iter().map(|column| longest(column)).collect();
    let keys = view.key_columns().iter().map(|&column| columns[column]).sum::<usize>();
    let ids = longest_item(events.ids.value_offsets());
    if columns.iter().sum::<usize>() <= FIELDS_BYTES_MAX && keys <= KEY_BYTES_MAX && ids <= ID_BYTES_MAX {
        return Ok(Vec::new());
    }
    let key_columns = || view.key_columns().iter().copied();
    let parts = [
        (
            "its event id",
            ID_BYTES_MAX,
            (0..events.ids.len()).map(|row| events.ids.value_length(row) as usize).collect(),
        ),
        ("its entity key", KEY_BYTES_MAX, lengths(&events.inputs, key_columns())?),
        ("its inputs", FIELDS_BYTES_MAX, lengths(&events.inputs, 0..events.inputs.num_columns())?),
    ];
    let too_large = (0..events.offsets.len()).filter_map(|row| {
        let (what, most, lengths): &(_, _, Vec<usize>) =
            parts.iter().find(|(_, most, lengths)| lengths[row] > *most)?;
        Some((row, format!("{what} takes {} bytes, the most is {most}", lengths[row])))
    });
    Ok(too_large.collect())
}

/// The exact canonical length of some columns of each row.
fn lengths(inputs: &RecordBatch, columns: impl IntoIterator<Item = usize>) -> Result<Vec<usize>, ForeignType> {
    let rows = CanonicalRows::of_columns(inputs, columns)?;
    let mut scratch = Vec::new();
    let length = |row| {
        scratch.clear();
        rows.write_fields(row, &mut scratch);
        scratch.len()
    };
    Ok((0..inputs.num_rows()).map(length).collect())
}

/// No value of the column takes more bytes than this in the canonical coding.
fn longest(column: &dyn Array) -> usize {
    const PRESENCE_AND_LENGTH: usize = 5;
    match column.data_type() {
        DataType::Utf8 => PRESENCE_AND_LENGTH + longest_item(column.as_string::<i32>().value_offsets()),
        DataType::Binary => PRESENCE_AND_LENGTH + longest_item(column.as_binary::<i32>().value_offsets()),
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            let items = longest_item(list.value_offsets());
            let bytes_of_all_items =
                list.values().as_string_opt::<i32>().map_or(0, |texts| texts.value_data().len());
            PRESENCE_AND_LENGTH + 8 * items + bytes_of_all_items
        }
        _ => 9,
    }
}

fn longest_item(offsets: &[i32]) -> usize {
    offsets.windows(2).map(|pair| (pair[1] - pair[0]) as usize).max().unwrap_or(0)
}

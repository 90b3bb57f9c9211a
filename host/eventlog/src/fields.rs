//! Single columns of raw rows, or of values by themselves, for readers to whom they are no events.

use arrow_array::ArrayRef;
use trifold_model::FieldType;

use crate::convert::json;
use crate::table::Table;
use crate::{LogError, RawBatch};

/// A column as values of a contract type.
#[derive(Debug, Clone)]
pub struct DecodedColumn {
    /// One value for each row of the batch.
    pub array: ArrayRef,
    /// The rows without a value because there is no lossless conversion, ascending, each with what is wrong; the
    /// array has a null there.
    pub bad: Vec<(usize, String)>,
}

/// Converts some columns of a batch, as [`crate::decode()`] converts inputs. A row that cannot be read at all is
/// bad in every column.
pub fn decode_columns(raw: &RawBatch, wanted: &[(&str, FieldType)]) -> Result<Vec<DecodedColumn>, LogError> {
    let table = Table::new(raw, wanted.iter().map(|(name, _)| *name).collect());
    let column = |(name, ty): &(&str, FieldType)| {
        let converted = table.column(name, *ty, &format!("the {ty} column {name}"))?;
        let mut bad = table.bad_rows().to_vec();
        bad.extend(converted.bad.into_iter().map(|bad| (bad.row, bad.problem)));
        bad.sort_by_key(|(row, _)| *row);
        Ok(DecodedColumn { array: converted.array, bad })
    };
    wanted.iter().map(column).collect()
}

/// Converts values that are given as JSON texts, in the words of JSON lines; the text `null` is null.
pub fn decode_json(values: &[&str], ty: FieldType) -> DecodedColumn {
    let cells: Vec<_> = values.iter().map(|value| Some(*value)).collect();
    let converted = json::convert(&cells, ty);
    let bad = converted.bad.into_iter().map(|bad| (bad.row, bad.problem));
    DecodedColumn { array: converted.array, bad: bad.collect() }
}

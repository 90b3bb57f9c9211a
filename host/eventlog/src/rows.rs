//! Files of rows: what runners write, and what is read back.
//!
//! A row file stands under its name only when it is complete and durable. The same batches in the same order
//! give the same bytes. `CONVERSIONS.md` says how JSON lines carry each type.

mod read;
pub(crate) mod write;

use std::path::{Path, PathBuf};

use arrow_schema::{DataType, Field, SchemaRef};
use trifold_model::FieldType;
use trifold_model::canonical::is_arrow_type;

pub use read::{RowFiles, read_row_files};
pub use write::RowFileWriter;

use crate::LogError;

/// The format of a row file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowFormat {
    /// Parquet, compressed with zstd.
    Parquet,
    /// One JSON object per line.
    JsonLines,
}

impl RowFormat {
    /// What the names of such files end in.
    pub fn extension(self) -> &'static str {
        match self {
            RowFormat::Parquet => "parquet",
            RowFormat::JsonLines => "jsonl",
        }
    }
}

/// A finished row file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFile {
    /// Where it stands.
    pub path: PathBuf,
    /// The rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
}

/// How JSON lines carry a column: as a contract type, or as an integer of another width.
enum JsonType {
    Contract(FieldType),
    Integer,
}

impl JsonType {
    fn of(ty: &DataType) -> Option<JsonType> {
        let contract = FieldType::ALL.into_iter().find(|contract| is_arrow_type(*contract, ty));
        contract.map(JsonType::Contract).or_else(|| ty.is_integer().then_some(JsonType::Integer))
    }
}

/// Fails on the first column that JSON lines cannot carry there and back.
fn check_json_types(file: &Path, schema: &SchemaRef) -> Result<(), LogError> {
    let foreign = schema.fields().iter().find(|field| JsonType::of(field.data_type()).is_none());
    let problem = |field: &Field| LogError::RowType {
        file: file.to_owned(),
        column: field.name().clone(),
        ty: field.data_type().clone(),
    };
    foreign.map_or(Ok(()), |field| Err(problem(field)))
}

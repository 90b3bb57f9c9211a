//! Rows as they stand in a segment, before any view has a say.

use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

/// The longest line that is read. A longer one is cut there, and set aside when it is decoded.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// Consecutive rows of one segment.
#[derive(Debug, Clone)]
pub struct RawBatch {
    /// The partition of the log; a file log has one, 0.
    pub partition: u32,
    /// The offset of the first row.
    pub first_offset: u64,
    /// The file that holds the rows, for messages.
    pub file: Arc<Path>,
    /// The rows.
    pub rows: RawRows,
}

/// The rows of a [`RawBatch`], in the shape of their segment.
#[derive(Debug, Clone)]
pub enum RawRows {
    /// Columns of a Parquet segment.
    Columns {
        /// The columns that were read. Strings stand as bytes: whether they are UTF-8 is judged row by row.
        batch: RecordBatch,
        /// All columns of the file, with the types it gives them.
        file_schema: SchemaRef,
    },
    /// Lines of a JSON-lines segment.
    Lines(JsonLines),
}

/// Lines of text, one JSON object each if all is well.
#[derive(Debug, Clone, Default)]
pub struct JsonLines {
    bytes: Arc<Vec<u8>>,
    /// Where each line begins in `bytes`, and where the last one ends.
    bounds: Vec<usize>,
}

impl RawBatch {
    /// The number of rows.
    pub fn rows(&self) -> usize {
        match &self.rows {
            RawRows::Columns { batch, .. } => batch.num_rows(),
            RawRows::Lines(lines) => lines.len(),
        }
    }

    /// The offset after the last row.
    pub fn next_offset(&self) -> u64 {
        self.first_offset + self.rows() as u64
    }

    /// The first `rows` rows, or all when there are fewer. Copies no values.
    pub fn head(&self, rows: usize) -> RawBatch {
        let rows = match &self.rows {
            RawRows::Columns { batch, file_schema } => RawRows::Columns {
                batch: batch.slice(0, rows.min(batch.num_rows())),
                file_schema: file_schema.clone(),
            },
            RawRows::Lines(lines) => RawRows::Lines(lines.head(rows)),
        };
        RawBatch { rows, ..self.clone() }
    }
}

impl JsonLines {
    /// Lines from their bytes without line ends, and where each begins and the last one ends.
    pub(crate) fn new(bytes: Vec<u8>, bounds: Vec<usize>) -> Self {
        JsonLines { bytes: Arc::new(bytes), bounds }
    }

    /// The number of lines.
    pub fn len(&self) -> usize {
        self.bounds.len().saturating_sub(1)
    }

    /// Whether there are no lines.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The lines, without their line ends.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.bounds.windows(2).map(|bounds| &self.bytes[bounds[0]..bounds[1]])
    }

    /// One line, without its line end.
    pub(crate) fn line(&self, row: usize) -> &[u8] {
        &self.bytes[self.bounds[row]..self.bounds[row + 1]]
    }

    fn head(&self, lines: usize) -> Self {
        let bounds = self.bounds[..(lines + 1).min(self.bounds.len())].to_vec();
        JsonLines { bytes: self.bytes.clone(), bounds }
    }
}

/// Lines of text; a line end after the last one makes no further line.
impl From<&str> for JsonLines {
    fn from(text: &str) -> Self {
        let (mut bytes, mut bounds) = (Vec::new(), vec![0]);
        for line in text.split_terminator('\n') {
            bytes.extend_from_slice(line.as_bytes());
            bounds.push(bytes.len());
        }
        JsonLines::new(bytes, bounds)
    }
}

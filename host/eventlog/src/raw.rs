//! Rows as they stand in a segment, before any view has a say.

use std::collections::BTreeMap;
use std::ops::Range;
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
    /// Where the batch begins: the offset of the first row, unless offsets before it are skipped.
    pub first_offset: u64,
    /// What the log says of its rows beside what stands in them; `None` where a row's number is its offset.
    pub places: Option<Places>,
    /// The file that holds the rows, for messages.
    pub file: Arc<Path>,
    /// The rows.
    pub rows: RawRows,
}

/// Where rows stand in a log whose offsets may skip some, and when the log took them in.
#[derive(Debug, Clone)]
pub struct Places {
    /// The offset of each row, ascending.
    pub offsets: Vec<u64>,
    /// When the log appended each row, in microseconds, where it says so: what the column [`APPEND_TIME`] holds.
    pub append_times: Vec<Option<i64>>,
    /// The key of each row, where it must be that of the row's entity.
    pub keys: Option<Vec<Option<Vec<u8>>>>,
    /// The rows whose values could not be read before they came here, ascending, each with what is wrong.
    pub bad: Vec<(usize, String)>,
    /// What the rows carry from the log in which they stood first, if that is another.
    pub carried: Option<Carried>,
    /// The offset after the batch, skipped ones included.
    pub next_offset: u64,
}

/// What a log that was partitioned anew says of the one in which its rows stood first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// When the first log received each row, in microseconds, never decreasing within a partition of it; `None` where that
    /// could not be read.
    pub arrivals: Vec<Option<i64>>,
    /// The partition and the offset at which each row stood there, if that is known.
    pub places: Vec<Option<(u32, u64)>>,
    /// How far the arrivals of the first log's partitions are: an offset of this log, a partition of that one, and the
    /// latest arrival there; ascending by offset.
    pub clocks: Vec<(u64, u32, i64)>,
    /// How many partitions the first log has.
    pub partition_count: u32,
}

impl Carried {
    /// Moves the clocks of the first log's partitions past the batch.
    pub fn advance(&self, clocks: &mut BTreeMap<u32, i64>) {
        for &(_, partition, at) in &self.clocks {
            let latest = clocks.entry(partition).or_insert(at);
            *latest = at.max(*latest);
        }
    }

    /// The earliest arrival that an event to come can have. `None` until every partition of the first log told of one.
    pub fn earliest(&self, clocks: &BTreeMap<u32, i64>) -> Option<i64> {
        (0..self.partition_count).map(|partition| clocks.get(&partition).copied()).min().flatten()
    }
}

/// The name under which the time of a log's own append is read like a column. No field can have it, since names of
/// fields do not begin so.
pub const APPEND_TIME: &str = "_append_time";

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
    /// A batch without rows, which says that there are none at these offsets.
    pub fn nothing(partition: u32, offsets: Range<u64>, file: Arc<Path>) -> Self {
        let places = Places {
            offsets: Vec::new(),
            append_times: Vec::new(),
            keys: Some(Vec::new()),
            bad: Vec::new(),
            carried: None,
            next_offset: offsets.end,
        };
        let rows = RawRows::Lines(JsonLines::default());
        RawBatch { partition, first_offset: offsets.start, places: Some(places), file, rows }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        match &self.rows {
            RawRows::Columns { batch, .. } => batch.num_rows(),
            RawRows::Lines(lines) => lines.len(),
        }
    }

    /// The offset after the batch.
    pub fn next_offset(&self) -> u64 {
        self.places.as_ref().map_or_else(|| self.first_offset + self.rows() as u64, |places| places.next_offset)
    }

    /// The offset of a row.
    pub fn offset(&self, row: usize) -> u64 {
        self.places.as_ref().map_or_else(|| self.first_offset + row as u64, |places| places.offsets[row])
    }

    /// The rows whose values could not be read before they came here.
    pub(crate) fn bad(&self) -> &[(usize, String)] {
        self.places.as_ref().map_or(&[], |places| &places.bad)
    }

    /// When the log appended each row, if it says so.
    pub(crate) fn append_times(&self) -> Option<&[Option<i64>]> {
        self.places.as_ref().map(|places| places.append_times.as_slice())
    }

    /// The key of each row, where it must be that of the row's entity.
    pub(crate) fn keys(&self) -> Option<&[Option<Vec<u8>>]> {
        self.places.as_ref()?.keys.as_deref()
    }

    /// Where the row at an offset stood in the log that had it first, if that is another.
    pub fn first_place(&self, offset: u64) -> Option<(u32, u64)> {
        let places = self.places.as_ref()?;
        places.carried.as_ref()?.places[places.offsets.binary_search(&offset).ok()?]
    }

    /// What the rows carry from the log in which they stood first.
    pub fn carried(&self) -> Option<&Carried> {
        self.places.as_ref()?.carried.as_ref()
    }

    /// The rows before an offset.
    pub fn before(&self, offset: u64) -> RawBatch {
        self.head((0..self.rows()).take_while(|row| self.offset(*row) < offset).count())
    }

    /// The row that has an offset, if one has.
    pub fn row_of(&self, offset: u64) -> Option<usize> {
        match &self.places {
            Some(places) => places.offsets.binary_search(&offset).ok(),
            None => usize::try_from(offset.checked_sub(self.first_offset)?).ok().filter(|row| *row < self.rows()),
        }
    }

    /// The rows before an offset, of a batch that knows of all from another one on.
    pub(crate) fn within(&self, from: u64, end: u64) -> RawBatch {
        let mut batch = self.before(end);
        batch.first_offset = from;
        if let Some(places) = &mut batch.places {
            places.next_offset = places.next_offset.min(end);
        }
        batch
    }

    /// The first `rows` rows, or all when there are fewer. Copies no values.
    pub fn head(&self, rows: usize) -> RawBatch {
        let rows = rows.min(self.rows());
        let places = self.places.as_ref().map(|places| places.head(rows));
        let rows = match &self.rows {
            RawRows::Columns { batch, file_schema } => {
                RawRows::Columns { batch: batch.slice(0, rows), file_schema: file_schema.clone() }
            }
            RawRows::Lines(lines) => RawRows::Lines(lines.head(rows)),
        };
        RawBatch { rows, places, ..self.clone() }
    }
}

impl Places {
    fn head(&self, rows: usize) -> Self {
        let next_offset = self.offsets.get(rows).copied().unwrap_or(self.next_offset);
        let carried = self.carried.as_ref().map(|carried| Carried {
            arrivals: carried.arrivals[..rows].to_vec(),
            places: carried.places[..rows].to_vec(),
            clocks: carried.clocks.iter().filter(|(offset, ..)| *offset < next_offset).copied().collect(),
            partition_count: carried.partition_count,
        });
        Places {
            carried,
            offsets: self.offsets[..rows].to_vec(),
            append_times: self.append_times[..rows].to_vec(),
            keys: self.keys.as_ref().map(|keys| keys[..rows].to_vec()),
            bad: self.bad.iter().filter(|(row, _)| *row < rows).cloned().collect(),
            next_offset,
        }
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

/// Values of a log that knows no lines: a line end within one is as good as a blank.
impl<'a> FromIterator<&'a [u8]> for JsonLines {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(values: I) -> Self {
        let (mut bytes, mut bounds) = (Vec::new(), vec![0]);
        for value in values {
            bytes.extend_from_slice(value);
            bounds.push(bytes.len());
        }
        JsonLines::new(bytes, bounds)
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

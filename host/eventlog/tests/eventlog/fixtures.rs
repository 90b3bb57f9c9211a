//! Views, logs and seeded numbers for the tests.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use trifold_eventlog::{ArrivalClock, Events, LogError, RawBatch, RawRows, SourceConfig, decode};
use trifold_model::{FeatureView, FieldType, RowLimits, ViewKind, ViewSpec};

pub(crate) fn field(name: &str, ty: FieldType, nullable: bool) -> trifold_model::Field {
    trifold_model::Field { name: name.parse().unwrap(), ty, nullable, doc: String::new() }
}

/// A row view with the entity `k` and more inputs.
pub(crate) fn view(inputs: Vec<trifold_model::Field>) -> FeatureView {
    let mut all = vec![field("k", FieldType::Utf8, false)];
    all.extend(inputs);
    FeatureView::new(ViewSpec {
        name: "v".parse().unwrap(),
        kind: ViewKind::Row,
        doc: String::new(),
        entity: vec!["k".parse().unwrap()],
        inputs: all,
        outputs: vec![field("out", FieldType::Int64, true)],
        ttl: None,
        lateness: None,
        max_early: None,
        state_version: 1,
        limits: RowLimits::default(),
    })
    .unwrap()
}

/// Rows of a Parquet segment: the columns given, and key, time and id.
pub(crate) fn columns(columns: Vec<(&str, ArrayRef)>) -> RawBatch {
    let rows = columns.first().map_or(0, |(_, array)| array.len());
    let own: [(&str, ArrayRef); 3] = [
        ("k", Arc::new(StringArray::from(vec!["key"; rows]))),
        ("event_time", Arc::new(TimestampMicrosecondArray::from_iter_values(0..rows as i64).with_timezone("UTC"))),
        ("event_id", Arc::new(StringArray::from_iter_values((0..rows).map(|row| row.to_string())))),
    ];
    let own = own.into_iter().filter(|(name, _)| columns.iter().all(|(given, _)| given != name));
    let all: Vec<(&str, ArrayRef)> = own.chain(columns.iter().cloned()).collect();
    let schema = Schema::new(
        all.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect::<Vec<_>>(),
    );
    let arrays = all.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(Arc::new(schema), arrays).unwrap();
    let rows = RawRows::Columns { file_schema: batch.schema(), batch };
    RawBatch { partition: 0, first_offset: 0, places: None, file: Path::new("a.parquet").into(), rows }
}

/// Rows of a JSON-lines segment.
pub(crate) fn lines(text: &str) -> RawBatch {
    RawBatch {
        partition: 0,
        first_offset: 0,
        places: None,
        file: Path::new("a.jsonl").into(),
        rows: RawRows::Lines(text.into()),
    }
}

pub(crate) fn decoded(raw: &RawBatch, view: &FeatureView) -> Result<Events, LogError> {
    decode(raw, &SourceConfig::default(), view, &mut ArrivalClock::default())
}

/// What each row's input `x` became: the canonical bytes of the value as text, or the detail of the aside.
pub(crate) fn outcomes(raw: &RawBatch, ty: FieldType) -> Result<Vec<Result<String, String>>, LogError> {
    let events = decoded(raw, &view(vec![field("x", ty, true)]))?;
    assert_eq!(events.offsets.len() + events.aside.len(), raw.rows());
    let mut outcomes = vec![Err(String::new()); raw.rows()];
    for (row, offset) in events.offsets.iter().enumerate() {
        outcomes[*offset as usize] = Ok(shown(events.inputs.column_by_name("x").unwrap(), row));
    }
    for aside in events.aside {
        outcomes[aside.offset as usize] = Err(format!("{}: {}", aside.reason, aside.detail));
    }
    Ok(outcomes)
}

/// A value of a contract type as text that tells every two values apart.
pub(crate) fn shown(array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) {
        return "null".to_owned();
    }
    match array.data_type() {
        DataType::Float64 => format!("{:?}", array.as_primitive::<arrow_array::types::Float64Type>().value(row)),
        DataType::Float32 => format!("{:?}", array.as_primitive::<arrow_array::types::Float32Type>().value(row)),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Timestamp(..) => {
            array.as_primitive::<arrow_array::types::TimestampMicrosecondType>().value(row).to_string()
        }
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Utf8 => format!("{:?}", array.as_string::<i32>().value(row)),
        DataType::Binary => format!("{:02x?}", array.as_binary::<i32>().value(row)),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            let shown: Vec<_> = (0..items.len()).map(|item| shown(&items, item)).collect();
            format!("[{}]", shown.join(", "))
        }
        other => panic!("{other} is no contract type"),
    }
}

/// Writes numbered events as a Parquet segment with small row groups. `n` is the event's number.
pub(crate) fn write_parquet(path: &Path, numbers: std::ops::Range<i64>, group_rows: usize) {
    let raw = columns(vec![
        ("n", Arc::new(Int64Array::from_iter_values(numbers.clone()))),
        ("event_id", Arc::new(StringArray::from_iter_values(numbers.clone().map(|n| format!("e{n}"))))),
        ("unused", Arc::new(StringArray::from_iter_values(numbers.map(|n| "x".repeat(n as usize % 50))))),
    ]);
    let RawRows::Columns { batch, .. } = raw.rows else { unreachable!() };
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group_rows)).build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Numbered events as JSON lines.
pub(crate) fn json_lines(numbers: std::ops::Range<i64>) -> String {
    numbers
        .map(|n| format!("{{\"k\":\"key\",\"event_time\":{n},\"event_id\":\"e{n}\",\"n\":{n},\"unused\":null}}\n"))
        .collect()
}

pub(crate) fn write_lines(path: &Path, numbers: std::ops::Range<i64>) {
    fs::write(path, json_lines(numbers)).unwrap();
}

/// The numbers of a raw batch's events, which must be their offsets too.
pub(crate) fn numbers(raw: &RawBatch) -> Vec<i64> {
    let events = decoded(raw, &view(vec![field("n", FieldType::Int64, false)])).unwrap();
    assert_eq!(events.aside, []);
    let numbers = events.inputs.column_by_name("n").unwrap().as_primitive::<Int64Type>().values().to_vec();
    assert!(numbers.iter().zip(&events.offsets).all(|(n, offset)| *n == *offset as i64));
    numbers
}

/// The splitmix64 sequence of a seed.
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

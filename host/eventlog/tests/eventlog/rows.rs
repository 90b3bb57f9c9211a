//! Row files: what is written is read back.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, Float32Builder, Float64Builder, Int64Builder, ListBuilder, StringBuilder,
};
use arrow_array::types::Int64Type;
use arrow_array::*;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use trifold_eventlog::{LogError, RowFileWriter, RowFormat, read_row_files};
use trifold_model::{FieldType, ItemType};

const FORMATS: [RowFormat; 2] = [RowFormat::Parquet, RowFormat::JsonLines];

fn schema() -> SchemaRef {
    let mut fields: Vec<Field> =
        FieldType::ALL.iter().map(|ty| Field::new(format!("{ty}"), ty.to_arrow(), true)).collect();
    for ty in [DataType::UInt8, DataType::UInt32, DataType::UInt64, DataType::Int32, DataType::Int8] {
        fields.push(Field::new(ty.to_string(), ty, false));
    }
    Arc::new(Schema::new(fields))
}

fn item(ty: ItemType) -> Field {
    Field::new("item", ty.to_arrow(), false)
}

/// Rows that try every type's edges, and one of nulls.
fn rows() -> RecordBatch {
    let mut bytes = BinaryBuilder::new();
    bytes.append_value(b"\x00\xff");
    bytes.append_value(b"");
    bytes.append_null();
    let mut singles = ListBuilder::new(Float32Builder::new()).with_field(item(ItemType::Float32));
    singles.append_value([Some(0.1), Some(f32::NAN), Some(f32::MIN_POSITIVE / 3.0)]);
    singles.append_value([]);
    singles.append_null();
    let mut doubles = ListBuilder::new(Float64Builder::new()).with_field(item(ItemType::Float64));
    doubles.append_value([Some(-0.0), Some(f64::MAX)]);
    doubles.append_value([Some(f64::NEG_INFINITY)]);
    doubles.append_null();
    let mut integers = ListBuilder::new(Int64Builder::new()).with_field(item(ItemType::Int64));
    integers.append_value([Some(i64::MIN), Some(i64::MAX)]);
    integers.append_value([]);
    integers.append_null();
    let mut texts = ListBuilder::new(StringBuilder::new()).with_field(item(ItemType::Utf8));
    texts.append_value([Some("\"\\\n\u{1}é"), Some("")]);
    texts.append_value([None::<&str>; 0]);
    texts.append_null();
    let times = vec![Some(1_357_035_300_000_001), Some(i64::MIN), None];
    let columns: Vec<ArrayRef> = vec![
        Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        Arc::new(Int64Array::from(vec![Some(i64::MIN), Some((1 << 53) + 1), None])),
        Arc::new(Float64Array::from(vec![Some(0.1), Some(1e16), None])),
        Arc::new(Float32Array::from(vec![Some(0.1), Some(f32::INFINITY), None])),
        Arc::new(StringArray::from(vec![Some("a\u{7f}\t\u{2028}"), Some(""), None])),
        Arc::new(bytes.finish()),
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
        Arc::new(singles.finish()),
        Arc::new(doubles.finish()),
        Arc::new(integers.finish()),
        Arc::new(texts.finish()),
        Arc::new(UInt8Array::from(vec![0, 1, u8::MAX])),
        Arc::new(UInt32Array::from(vec![0, 1, u32::MAX])),
        Arc::new(UInt64Array::from(vec![0, 1, u64::MAX])),
        Arc::new(Int32Array::from(vec![0, 1, i32::MIN])),
        Arc::new(Int8Array::from(vec![0, 1, i8::MIN])),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn write(path: &Path, batches: &[RecordBatch], format: RowFormat) -> Vec<u8> {
    let mut writer = RowFileWriter::create(path, batches[0].schema(), format).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(writer.rows(), rows as u64);
    let file = writer.finish().unwrap();
    let bytes = fs::read(path).unwrap();
    assert_eq!((file.rows, file.bytes, file.path.as_path()), (rows as u64, bytes.len() as u64, path));
    bytes
}

#[test]
fn every_type_is_read_back_as_it_was_written() {
    let directory = tempfile::tempdir().unwrap();
    for format in FORMATS {
        let path = directory.path().join("deep/er").join(format!("rows.{}", format.extension()));
        let bytes = write(&path, &[rows(), rows().slice(1, 1)], format);
        let back: Vec<RecordBatch> = read_row_files(&path, Some(schema())).unwrap().map(Result::unwrap).collect();
        let back = arrow_select::concat::concat_batches(&schema(), &back).unwrap();
        let expected = arrow_select::concat::concat_batches(&schema(), &[rows(), rows().slice(1, 1)]).unwrap();
        assert_eq!(format!("{back:?}"), format!("{expected:?}"), "{format:?}");
        assert_eq!(write(&path, &[rows(), rows().slice(1, 1)], format), bytes, "the same bytes again");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1 + usize::from(format == FORMATS[1]));
    }
}

#[test]
fn json_lines_are_what_the_table_says() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rows.jsonl");
    let text = String::from_utf8(write(&path, &[rows()], RowFormat::JsonLines)).unwrap();
    let first = text.lines().next().unwrap();
    for part in [
        r#"{"bool":true,"int64":-9223372036854775808,"float64":0.1,"float32":0.1,"#,
        "\"utf8\":\"a\u{7f}\\t\u{2028}\",",
        r#""binary":"AP8=","timestamp":"2013-01-01T10:15:00.000001Z","#,
        r#""list<float64>":[-0.0,1.7976931348623157e308]"#,
        r#""list<utf8>":["\"\\\n\u0001é",""],"UInt8":0"#,
    ] {
        assert!(first.contains(part), "{first} lacks {part}");
    }
    let second = text.lines().nth(1).unwrap();
    assert!(
        second.contains(r#""float64":1e16,"float32":"Infinity""#)
            && second.contains(r#""timestamp":-9223372036854775808"#)
    );
    assert!(text.lines().nth(2).unwrap().starts_with(r#"{"bool":null,"int64":null,"#));
}

fn numbers(values: std::ops::Range<i64>) -> RecordBatch {
    let array: ArrayRef = Arc::new(Int64Array::from_iter_values(values));
    RecordBatch::try_from_iter([("n", array)]).unwrap()
}

#[test]
fn a_directory_is_read_in_name_order_and_unfinished_files_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    write(&path("2.jsonl"), &[numbers(10_000..20_000)], RowFormat::JsonLines);
    write(&path("1.parquet"), &[numbers(0..10_000)], RowFormat::Parquet);
    write(&path("3.parquet"), &[numbers(20_000..20_001)], RowFormat::Parquet);
    let schema = numbers(0..0).schema();
    let mut writer = RowFileWriter::create(&path("0.parquet"), schema.clone(), RowFormat::Parquet).unwrap();
    writer.write(&numbers(7..9)).unwrap();
    let read = || {
        let batches = read_row_files(directory.path(), Some(schema.clone())).unwrap().map(Result::unwrap);
        batches
            .flat_map(|batch| cast::as_primitive_array::<Int64Type>(batch.column(0)).values().to_vec())
            .collect()
    };
    let all: Vec<i64> = read();
    assert!(all.iter().copied().eq(0..20_001));
    drop(writer);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3, "nothing is left of the unfinished file");
    assert!(read_row_files(&path("1.parquet"), None).unwrap().all(|batch| batch.is_ok()));
}

#[test]
fn what_cannot_be_written_or_read_back_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rows.jsonl");
    let foreign = Arc::new(Schema::new(vec![Field::new("d", DataType::Date32, true)]));
    let error = RowFileWriter::create(&path, foreign, RowFormat::JsonLines).err().unwrap();
    assert!(matches!(&error, LogError::RowType { column, .. } if column == "d"), "{error}");
    let mut writer = RowFileWriter::create(&path, numbers(0..0).schema(), RowFormat::JsonLines).unwrap();
    assert!(matches!(writer.write(&rows()), Err(LogError::RowSchema { .. })));
    drop(writer);

    let failed = |text: &str, schema: Option<SchemaRef>| {
        fs::write(&path, text).unwrap();
        let mut files = read_row_files(&path, schema).unwrap();
        let error = files.next().unwrap().unwrap_err();
        assert!(files.next().is_none());
        error.to_string()
    };
    let schema = || Some(numbers(0..0).schema());
    assert!(failed("{\"n\":1}\n", None).contains("can only be read with the schema"));
    assert!(failed("{\"n\":1}\nx\n", schema()).contains("line 2 of "));
    assert!(failed("{\"n\":1}\n{\"n\":1.5}\n", schema()).contains("column n: 1.5 is no whole number"));
    assert!(failed("{\"n\":null}\n", schema()).contains("null"));
    let parquet = directory.path().join("rows.parquet");
    write(&parquet, &[rows()], RowFormat::Parquet);
    let error = read_row_files(&parquet, schema()).unwrap().next().unwrap().unwrap_err();
    assert!(matches!(error, LogError::RowSchema { .. }), "{error}");
}

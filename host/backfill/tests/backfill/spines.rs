//! The rows of spines.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{
    Array, ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use trifold_backfill::{BackfillError, Spine};
use trifold_eventlog::{RowFileWriter, RowFormat, read_row_files};
use trifold_model::Cut;
use trifold_pipeline::Ask;

use crate::cuts::{assert_rows, position};
use crate::fixture::{Limits, Random, Scene, echo, random_events, run};
use crate::oracle::{Oracle, Question};

/// Random questions, some of them of entities that no event has.
fn questions(random: &mut Random, count: usize) -> Vec<(i64, i64)> {
    (0..count).map(|_| (random.below(7) as i64, random.below(90) as i64)).collect()
}

/// A spine whose columns are none of the contract's types, with two of its own, one without a value in every
/// third row.
fn write_parquet(scene: &Scene, questions: &[(i64, i64)]) -> Spine {
    let labels = |row: usize| (!row.is_multiple_of(3)).then_some(row as f64 / 4.0);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("label", Arc::new((0..questions.len()).map(labels).collect::<Float64Array>())),
        ("key", Arc::new(Int32Array::from_iter_values(questions.iter().map(|(key, _)| *key as i32)))),
        ("at", Arc::new(TimestampMillisecondArray::from_iter_values(questions.iter().map(|(_, at)| at * 1000)))),
        ("moment", Arc::new(StringArray::from_iter_values((0..questions.len()).map(|row| format!("row {row}"))))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let path = scene.out.with_file_name("spine.parquet");
    let mut file = RowFileWriter::create(&path, batch.schema(), RowFormat::Parquet).unwrap();
    file.write(&batch).unwrap();
    file.finish().unwrap();
    Spine { path, as_of: "at".to_owned() }
}

fn write_lines(scene: &Scene, questions: &[(i64, i64)]) -> Spine {
    let path = scene.out.with_file_name("spine.jsonl");
    let line = |(row, (key, at)): (usize, &(i64, i64))| {
        let at = format!("1970-01-01T00:{:02}:{:02}Z", at / 60, at % 60);
        let label = if row.is_multiple_of(3) { "null".to_owned() } else { (row as f64 / 4.0).to_string() };
        format!("{{\"key\":{key},\"as_of\":\"{at}\",\"label\":{label},\"moment\":\"row {row}\"}}\n")
    };
    fs::write(&path, questions.iter().enumerate().map(line).collect::<String>()).unwrap();
    Spine::new(path)
}

#[test]
fn a_spine_is_answered_as_of_its_times() {
    let seed = 0x5EED_0021;
    let mut random = Random(seed);
    let limits = Limits { ttl: Some(10), lateness: Some(7), max_early: None };
    let version = echo(limits, false);
    for shards in [1, 2, 7] {
        let events = random_events(&mut random, 250);
        let questions = questions(&mut random, 180);
        let scene = Scene::new(&events, 3);
        let cut = random.below(251);
        for cut in [Cut::All, Cut::Arrival, Cut::Position(position(cut))] {
            for (before, lines) in [(false, false), (true, true)] {
                let ask = Ask::Spine(cut.clone());
                let what = format!("seed {seed:#x}, shards {shards}, {ask:?}, before {before}");
                let mut backfill = scene.backfill(scene.job(&version, ask.clone(), before, true), shards);
                let spine =
                    if lines { write_lines(&scene, &questions) } else { write_parquet(&scene, &questions) };
                backfill.spine = Some(spine);
                let (_, rows) = run(&backfill).unwrap_or_else(|error| panic!("{what}: {error}"));
                let oracle = Oracle::new(&events, true, limits, before);
                let expected: BTreeMap<_, _> = (0..)
                    .zip(&questions)
                    .map(|(row, &(key, as_of))| (row, oracle.answer(Question::Spine { key, as_of }, &ask)))
                    .collect();
                assert_rows(&rows, &expected, &what);
                assert_carried(&backfill.output.dir, &what);
            }
        }
    }
}

/// A spine's own columns come out beside the answers of their rows.
fn assert_carried(out: &std::path::Path, what: &str) {
    for batch in read_row_files(out, None).unwrap() {
        let batch = batch.unwrap();
        let column =
            |name: &str| batch.column_by_name(name).unwrap_or_else(|| panic!("{what}: no {name}")).clone();
        let numbers = column("_spine_row");
        let numbers = numbers.as_primitive::<arrow_array::types::UInt64Type>();
        let (labels, moments) = (column("label"), column("moment"));
        for row in 0..batch.num_rows() {
            let number = numbers.value(row);
            assert_eq!(moments.as_string::<i32>().value(row), format!("row {number}"), "{what}");
            let labels = labels.as_primitive::<Float64Type>();
            let label = labels.is_valid(row).then(|| labels.value(row));
            assert_eq!(
                label,
                (!number.is_multiple_of(3)).then_some(number as f64 / 4.0),
                "{what}: label of row {number}"
            );
        }
    }
}

#[test]
fn json_lines_without_one_kind_of_value_are_carried_as_their_text() {
    let events = random_events(&mut Random(0x5EED_0022), 20);
    let scene = Scene::new(&events, 1);
    let path = scene.out.with_file_name("spine.jsonl");
    let lines = [
        r#"{"key":1,"as_of":"1970-01-01T00:00:09Z","n":1,"mix":"x","list":[1,2]}"#,
        r#"{"key":1,"as_of":"1970-01-01T00:00:09Z","n":1.5,"mix":true,"extra":7}"#,
    ];
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    let version = echo(Limits::default(), false);
    let mut backfill = scene.backfill(scene.job(&version, Ask::Spine(Cut::All), false, true), 1);
    backfill.spine = Some(Spine::new(path));
    backfill.run().unwrap();
    let batch = read_row_files(&scene.out, None).unwrap().next().unwrap().unwrap();
    let texts = |name: &str| -> Vec<_> {
        let column = batch.column_by_name(name).unwrap().as_string::<i32>();
        column.iter().map(|text| text.map(str::to_owned)).collect()
    };
    assert_eq!(batch.column_by_name("n").unwrap().as_primitive::<Float64Type>().values(), &[1.0, 1.5]);
    assert_eq!(texts("mix"), [Some("\"x\"".to_owned()), Some("true".to_owned())]);
    assert_eq!(texts("list"), [Some("[1,2]".to_owned()), None]);
    let extra = batch.column_by_name("extra").unwrap().as_primitive::<arrow_array::types::Int64Type>();
    assert_eq!(extra.iter().collect::<Vec<_>>(), [None, Some(7)]);
}

#[track_caller]
fn refusal(text: &str) -> BackfillError {
    let scene = Scene::new(&random_events(&mut Random(1), 20), 1);
    let path = scene.out.with_file_name("spine.jsonl");
    fs::write(&path, text).unwrap();
    let version = echo(Limits::default(), false);
    let mut backfill = scene.backfill(scene.job(&version, Ask::Spine(Cut::All), false, true), 2);
    backfill.spine = Some(Spine::new(path));
    backfill.run().unwrap_err()
}

#[test]
fn a_row_that_asks_nothing_is_named() {
    let good = r#"{"key":1,"as_of":"1970-01-01T00:00:09Z"}"#;
    let cases = [
        (format!("{good}\n{{\"key\":null,\"as_of\":\"1970-01-01T00:00:09Z\"}}\n"), 1, "key", "is missing or null"),
        (format!("{good}\n{good}\n{{\"key\":3}}\n"), 2, "as_of", "is missing or null; `--as-of-column`"),
        ("{\"key\":2.5,\"as_of\":\"1970-01-01T00:00:09Z\"}\n".to_owned(), 0, "key", "2.5"),
        (format!("{good}\n{{\"key\":4,\"as_of\":\"yesterday\"}}\n"), 1, "as_of", "yesterday"),
        (format!("{good}\nnot json\n"), 1, "key", ""),
    ];
    for (text, row, column, problem) in cases {
        let error = refusal(&text);
        let BackfillError::SpineRow { row: at, column: of, problem: what, file } = &error else {
            panic!("{text}: {error}")
        };
        assert_eq!((*at, of.as_str()), (row, column), "{error}");
        assert!(what.contains(problem) && file.ends_with("spine.jsonl"), "{error}");
    }
}

#[test]
fn a_column_that_would_clash_is_refused() {
    for (column, problem) in [("value", "output"), ("_mine", "underscore")] {
        let text = format!("{{\"key\":1,\"as_of\":\"1970-01-01T00:00:09Z\",\"{column}\":1}}\n");
        let error = refusal(&text).to_string();
        assert!(error.contains(column) && error.contains(problem), "{error}");
    }
}

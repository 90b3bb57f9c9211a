//! The SDK for Rust against the published slabs and the schema.

use serde_json::Value;
use trifold_model::{FieldType, ItemType};
use trifold_sdk::prelude::*;
use trifold_sdk::rt::{Batch, Guest, InputValue, OutputColumn, OutputValue, Places, Reader, join};

use crate::describe::Schema;
use crate::read_json;
use crate::values::fields;

#[track_caller]
fn cases() -> Vec<Value> {
    read_json("vectors/slab.json")["cases"].as_array().unwrap().clone()
}

#[track_caller]
fn batch(case: &Value) -> Batch {
    let word = |word: &Value| u64::from_str_radix(word.as_str().unwrap(), 16).unwrap();
    let words = case["words"].as_array().unwrap().iter().map(word).collect();
    Batch { rows: case["rows"].as_u64().unwrap().try_into().unwrap(), words }
}

/// Reads a column of `T`, or of `Option<T>`, and writes it again.
fn echo<'a, T>(nullable: bool, rows: usize, reader: &mut Reader<'a>) -> Vec<u64>
where
    T: InputValue<'a> + OutputValue,
    Option<T>: InputValue<'a> + OutputValue,
{
    if nullable { column::<Option<T>>(rows, reader) } else { column::<T>(rows, reader) }
}

fn column<'a, T: InputValue<'a> + OutputValue>(rows: usize, reader: &mut Reader<'a>) -> Vec<u64> {
    let values = <T as InputValue>::read(reader).unwrap();
    let mut words = vec![0; <T as OutputValue>::Column::words(rows)];
    let mut out = <T as OutputValue>::Column::new(&mut Places::new(rows, &mut words));
    (0..rows).for_each(|row| out.set(row, T::get(&values, row)));
    let mut tails = Vec::new();
    out.tails(&mut tails);
    join(words, tails)
}

#[test]
fn every_slab_is_written_as_it_was_read() {
    for case in cases() {
        let batch = batch(&case);
        let rows = batch.rows as usize;
        let (mut reader, mut written) = (Reader::new(rows, &batch.words), Vec::new());
        for field in fields(&case["fields"]) {
            let echo = match field.ty {
                FieldType::Bool => echo::<bool>,
                FieldType::Int64 => echo::<i64>,
                FieldType::Float64 => echo::<f64>,
                FieldType::Float32 => echo::<f32>,
                FieldType::Utf8 => echo::<String>,
                FieldType::Binary => echo::<Vec<u8>>,
                FieldType::Timestamp => echo::<Timestamp>,
                FieldType::List(ItemType::Float32) => echo::<Vec<f32>>,
                FieldType::List(ItemType::Float64) => echo::<Vec<f64>>,
                FieldType::List(ItemType::Int64) => echo::<Vec<i64>>,
                FieldType::List(ItemType::Utf8) => echo::<Vec<String>>,
            };
            written.extend(echo(field.nullable, rows, &mut reader));
        }
        reader.finish().unwrap();
        assert_eq!(written, batch.words, "{}", case["name"]);
    }
}

#[derive(Input)]
struct Example {
    #[entity]
    carrier: String,
    delay: Option<f64>,
    late: Option<bool>,
    legs: Vec<i64>,
}

#[derive(Output)]
struct Features {
    legs: i64,
}

#[test]
fn the_worked_example_is_read_as_the_text_says() {
    let batch = batch(&cases()[0]);
    let seen = std::cell::RefCell::new(Vec::new());
    let answer = trifold_sdk::rt::apply(&batch, |row: Example| -> Features {
        let legs = row.legs.len() as i64;
        seen.borrow_mut().push((row.carrier, row.delay.map(f64::to_bits), row.late, row.legs));
        Features { legs }
    });
    assert_eq!(answer.unwrap().rows.words, [2, 0, 1]);
    let expected = [
        ("UA".to_owned(), Some(2.5_f64.to_bits()), Some(true), vec![1545, 1714]),
        ("B6".to_owned(), None, None, vec![]),
        ("é".to_owned(), Some((-0.0_f64).to_bits()), Some(false), vec![725]),
    ];
    assert_eq!(seen.into_inner(), expected);
}

/// One departure, with a "quoted" word.
#[derive(Input)]
struct Departure {
    /// Airline.
    #[entity]
    carrier: String,
    event_time: Timestamp,
    dep_delay: Option<f64>,
}

/// A view with everything that an author may say.
#[row_view(
    name = "punctuality",
    ttl = "30d",
    lateness = "2h",
    max_early = "5m",
    state_version = 2,
    fuel = 1_000_000,
    memory = "8MiB"
)]
fn punctuality(departure: Departure) -> Result<Features, RowError> {
    let Departure { carrier, event_time, dep_delay } = departure;
    match dep_delay {
        Some(_) => Ok(Features { legs: event_time.micros() }),
        None => Err(RowError::new(7, format!("{carrier} has cancelled it"))),
    }
}

#[test]
fn the_description_that_the_sdk_writes_is_valid() {
    let description = serde_json::from_str(&TrifoldComponent::describe()).unwrap();
    Schema::load().check(&description).unwrap();
}

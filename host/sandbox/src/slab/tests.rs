//! Round trips of every type, and answers that are wrong in every way.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::Schema;
use trifold_model::view::arrow_schema;
use trifold_model::{CanonicalRows, Field, FieldType, ItemType, decode_rows};

use super::{AnswerError, Slab, check_inputs, decode};

/// The generator of Steele, Lea and Flood.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

fn field(ty: FieldType, nullable: bool) -> Field {
    Field { name: "c".parse().unwrap(), ty, nullable, doc: String::new() }
}

fn every_field() -> Vec<Field> {
    let name = |index: usize| format!("c{index}").parse().unwrap();
    let both = [true, false].into_iter().flat_map(|nullable| FieldType::ALL.map(|ty| field(ty, nullable)));
    both.enumerate().map(|(index, field)| Field { name: name(index), ..field }).collect()
}

fn nullable_schema(fields: &[Field]) -> Schema {
    let fields: Vec<_> = fields.iter().map(|field| Field { nullable: true, ..field.clone() }).collect();
    arrow_schema(&fields).as_ref().clone()
}

/// The words of some rows, written where something else stood.
pub(super) fn encode(fields: &[Field], batch: &RecordBatch, rows: Range<usize>) -> Vec<u64> {
    let slab = Slab::new(fields, batch, rows);
    let mut words = vec![u64::MAX; slab.words()];
    slab.write(&mut words);
    words
}

/// The canonical bytes of one value.
fn random_value(ty: FieldType, random: &mut SplitMix, out: &mut Vec<u8>) {
    let mut bytes = |random: &mut SplitMix| {
        let text = ["", "a", "Tromsø", "日本", "a longer text than the others"][random.below(5)];
        out.extend((text.len() as u32).to_le_bytes());
        out.extend(text.as_bytes());
    };
    match ty {
        FieldType::Bool => out.push(random.below(2) as u8),
        FieldType::Utf8 | FieldType::Binary => bytes(random),
        FieldType::List(ItemType::Utf8) => {
            let items = random.below(4);
            out.extend((items as u32).to_le_bytes());
            (0..items).for_each(|_| random_value(FieldType::Utf8, random, out));
        }
        FieldType::List(ItemType::Float32) => {
            let items = random.below(4);
            out.extend((items as u32).to_le_bytes());
            (0..items).for_each(|_| random_value(FieldType::Float32, random, out));
        }
        FieldType::List(_) => {
            let items = random.below(4);
            out.extend((items as u32).to_le_bytes());
            (0..items).for_each(|_| random_value(FieldType::Int64, random, out));
        }
        FieldType::Float32 => out.extend((random.below(1 << 20) as f32).to_le_bytes()),
        // Small numbers, which are doubles too, but never NaNs.
        FieldType::Int64 | FieldType::Timestamp | FieldType::Float64 => {
            out.extend((random.next() >> 12).to_le_bytes());
        }
    }
}

fn random_batch(fields: &[Field], rows: usize, random: &mut SplitMix) -> RecordBatch {
    let rows: Vec<Vec<u8>> = (0..rows)
        .map(|_| {
            let mut bytes = Vec::new();
            for field in fields {
                let present = !field.nullable || random.below(3) > 0;
                bytes.push(present.into());
                if present {
                    random_value(field.ty, random, &mut bytes);
                }
            }
            bytes
        })
        .collect();
    decode_rows(fields, rows.iter().map(Vec::as_slice)).unwrap()
}

fn canonical(batch: &RecordBatch) -> Vec<Vec<u8>> {
    let rows = CanonicalRows::new(batch).unwrap();
    let row = |row| {
        let mut bytes = Vec::new();
        rows.write_fields(row, &mut bytes);
        bytes
    };
    (0..batch.num_rows()).map(row).collect()
}

fn read(fields: &[Field], rows: usize, words: &[u64], rejected: &[usize]) -> Result<RecordBatch, AnswerError> {
    let schema = nullable_schema(fields);
    let columns = decode(fields, &schema, rows, words.to_vec(), rejected)?;
    Ok(RecordBatch::try_new(Arc::new(schema), columns).unwrap())
}

#[test]
#[expect(clippy::print_stdout, reason = "a failing test shows its seed")]
fn what_is_written_is_read_back() {
    let fields = every_field();
    for seed in 0..40 {
        println!("seed {seed}");
        let mut random = SplitMix(seed);
        let rows = 1 + random.below(150);
        let batch = random_batch(&fields, rows, &mut random);
        check_inputs(&fields, &batch).unwrap();
        let from = random.below(rows);
        let to = from + 1 + random.below(rows - from);
        let words = encode(&fields, &batch, from..to);
        let read = read(&fields, to - from, &words, &[]).unwrap();
        assert_eq!(canonical(&read), canonical(&batch.slice(from, to - from)), "rows {from} to {to} of {rows}");
    }
}

#[test]
fn words_do_not_depend_on_what_lies_under_a_null() {
    let fields = [field(FieldType::Int64, true)];
    let schema = arrow_schema(&fields);
    let words = |under: i64| {
        let nulls = arrow_buffer::NullBuffer::from(vec![true, false]);
        let column = arrow_array::Int64Array::new(vec![1, under].into(), Some(nulls));
        let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(column)]).unwrap();
        encode(&fields, &batch, 0..2)
    };
    assert_eq!(words(7), [1, 1, 0]);
    assert_eq!(words(7), words(-7));
}

#[test]
fn rejected_rows_are_null_in_every_column() {
    let fields = every_field();
    let mut random = SplitMix(7);
    let batch = random_batch(&fields, 100, &mut random);
    let words = encode(&fields, &batch, 0..100);
    let rejected = [0, 1, 50, 63, 64, 99];
    let read = read(&fields, 100, &words, &rejected).unwrap();
    for column in read.columns() {
        assert!(rejected.iter().all(|row| column.is_null(*row)));
    }
    let mut expected = canonical(&batch);
    rejected.iter().for_each(|row| expected[*row] = vec![0; fields.len()]);
    assert_eq!(canonical(&read), expected);
}

#[test]
#[expect(clippy::print_stdout, reason = "a failing test shows its seed")]
fn no_words_make_the_host_panic() {
    let fields = every_field();
    for seed in 0..400 {
        println!("seed {seed}");
        let mut random = SplitMix(seed);
        let rows = 1 + random.below(70);
        let batch = random_batch(&fields, rows, &mut random);
        let words = encode(&fields, &batch, 0..rows);
        for _ in 0..20 {
            let mut damaged = words.clone();
            match random.below(4) {
                0 => damaged.truncate(random.below(words.len())),
                1 => damaged.push(random.next()),
                2 => damaged[random.below(words.len())] = random.next(),
                _ => damaged[random.below(words.len())] ^= 1 << random.below(64),
            }
            let rejected: Vec<_> = (0..rows).filter(|_| random.below(10) == 0).collect();
            if let Ok(batch) = read(&fields, rows, &damaged, &rejected) {
                batch.columns().iter().for_each(|column| column.to_data().validate_full().unwrap());
            }
        }
    }
}

/// Two offsets in one word.
fn pair(first: i32, second: i32) -> u64 {
    u64::from(first as u32) | u64::from(second as u32) << 32
}

#[track_caller]
fn refused(ty: FieldType, rows: usize, words: &[u64]) -> String {
    read(&[field(ty, false)], rows, words, &[]).unwrap_err().to_string()
}

#[test]
fn wrong_lengths_are_refused() {
    let short = "it ends inside output c: the values need 16 bytes, 8 are left";
    assert_eq!(refused(FieldType::Int64, 2, &[1]), short);
    assert_eq!(
        refused(FieldType::Float32, 1, &[]),
        "it ends inside output c: the values need 4 bytes, 0 are left"
    );
    assert_eq!(
        refused(FieldType::Bool, 65, &[0]),
        "it ends inside output c: the values need 16 bytes, 8 are left"
    );
    assert_eq!(refused(FieldType::Int64, 1, &[1, 2, 3]), "it goes on for 2 words after its last column");
    let validity = read(&[field(FieldType::Bool, true)], 1, &[], &[]).unwrap_err();
    assert_eq!(validity.to_string(), "it ends inside output c: the validity bits need 8 bytes, 0 are left");
}

#[test]
fn wrong_offsets_are_refused() {
    let list = FieldType::List(ItemType::Int64);
    assert_eq!(refused(FieldType::Utf8, 1, &[pair(1, 1)]), "output c: the offsets begin at 1 instead of 0");
    assert_eq!(refused(list, 1, &[pair(-1, 1), 0]), "output c: the list offsets begin at -1 instead of 0");
    let falls = "output c: the offsets fall from 3 to 2 at 1";
    assert_eq!(refused(FieldType::Binary, 3, &[pair(0, 3), pair(2, 5), 0]), falls);
    let negative = "output c: the offsets fall from 0 to -2147483648 at 0";
    assert_eq!(refused(FieldType::Utf8, 1, &[pair(0, i32::MIN)]), negative);
    let beyond = "it ends inside output c: the items need 17179869176 bytes, 0 are left";
    assert_eq!(refused(list, 1, &[pair(0, i32::MAX)]), beyond);
    let items = "output c: the item offsets fall from 4 to 0 at 1";
    assert_eq!(refused(FieldType::List(ItemType::Utf8), 1, &[pair(0, 2), pair(0, 4), 0, 0]), items);
}

#[test]
fn text_that_is_not_utf8_is_refused_with_its_row() {
    let text = u64::from_le_bytes(*b"ok\xff\0\0\0\0\0");
    let words = [pair(0, 2), pair(3, 0), text];
    assert_eq!(refused(FieldType::Utf8, 2, &words), "output c: the text of row 1 is not valid UTF-8");
    // A character that two rows share is text in neither.
    let shared = [pair(0, 1), pair(2, 0), u64::from_le_bytes(*b"\xc3\xb8\0\0\0\0\0\0")];
    assert_eq!(refused(FieldType::Utf8, 2, &shared), "output c: the text of row 0 is not valid UTF-8");
    let list = [pair(0, 1), pair(0, 1), 0xff];
    let message = "output c: the text of list item 0 is not valid UTF-8";
    assert_eq!(refused(FieldType::List(ItemType::Utf8), 1, &list), message);
    assert!(read(&[field(FieldType::Binary, false)], 2, &words, &[]).is_ok());
}

#[test]
fn what_a_guest_leaves_under_a_null_is_ignored() {
    let values = |ty, words: &[u64]| read(&[field(ty, true)], 2, words, &[]).unwrap();
    // Row 0 is null and holds two bytes that are no text, row 1 holds `ok`.
    let data = u64::from_le_bytes(*b"\xff\xffok\0\0\0\0");
    let texts = values(FieldType::Utf8, &[0b10, pair(0, 2), pair(4, 0), data]);
    let texts = texts.column(0).as_string::<i32>();
    assert_eq!((texts.value_data(), texts.value(1), texts.is_null(0)), (&b"ok"[..], "ok", true));
    let numbers = values(FieldType::Int64, &[0b10, 7, 8]);
    assert_eq!(numbers.column(0).as_primitive::<Int64Type>().values(), &[0, 8]);
    let bits = values(FieldType::Bool, &[0b10, 0b11]);
    assert_eq!(bits.column(0).as_boolean().values().iter().collect::<Vec<_>>(), [false, true]);
    let lists = values(FieldType::List(ItemType::Int64), &[0b10, pair(0, 1), pair(3, 0), 7, 8, 9]);
    let lists = lists.column(0).as_list::<i32>();
    assert_eq!(lists.values().as_primitive::<Int64Type>().values(), &[8, 9]);
    let items = [pair(0, 2), pair(4, 0), data];
    let texts = values(FieldType::List(ItemType::Utf8), &[&[0b10, pair(0, 1), pair(2, 0)], &items[..]].concat());
    let texts = texts.column(0).as_list::<i32>().values().as_string::<i32>();
    assert_eq!(texts.iter().collect::<Vec<_>>(), [Some("ok")]);
}

#[test]
fn padding_bits_are_ignored() {
    let fields = [field(FieldType::Bool, true)];
    let read = read(&fields, 3, &[u64::MAX, u64::MAX], &[]).unwrap();
    let column: &ArrayRef = read.column(0);
    assert_eq!((column.len(), column.null_count(), column.as_boolean().true_count()), (3, 0, 3));
}

#[test]
fn inputs_are_checked() {
    let fields = [field(FieldType::Int64, false)];
    let batch = |ty, nullable: bool| {
        let mut random = SplitMix(1);
        random_batch(&[field(ty, nullable)], 20, &mut random)
    };
    let message = |ty, nullable| check_inputs(&fields, &batch(ty, nullable)).map_err(|error| error.to_string());
    assert_eq!(message(FieldType::Int64, false), Ok(()));
    assert_eq!(message(FieldType::Utf8, false), Err("input c has type Utf8, the view reads int64".to_owned()));
    let nulls = "input c has nulls, and the view requires a value";
    assert_eq!(message(FieldType::Int64, true), Err(nulls.to_owned()));
}

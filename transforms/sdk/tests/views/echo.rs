//! Round trips: a view that returns what it reads, over every type, required and nullable.

use trifold_sdk::prelude::*;
use trifold_sdk::rt::{Batch, Guest, Places, join};

/// A row of every type; the same names and types make the input of each view below.
#[derive(Output, Clone, Debug, Default, PartialEq)]
struct Required {
    text: String,
    flag: bool,
    count: i64,
    wide: f64,
    narrow: f32,
    bytes: Vec<u8>,
    singles: Vec<f32>,
    doubles: Vec<f64>,
    integers: Vec<i64>,
    words: Vec<String>,
}

#[derive(Output, Clone, Debug, Default, PartialEq)]
struct Nullable {
    key: i64,
    text: Option<String>,
    flag: Option<bool>,
    count: Option<i64>,
    at: Option<Timestamp>,
    wide: Option<f64>,
    narrow: Option<f32>,
    bytes: Option<Vec<u8>>,
    singles: Option<Vec<f32>>,
    doubles: Option<Vec<f64>>,
    integers: Option<Vec<i64>>,
    words: Option<Vec<String>>,
}

mod borrowed {
    use super::*;

    #[derive(Input)]
    struct Row<'a> {
        #[entity]
        text: &'a str,
        flag: bool,
        count: i64,
        wide: f64,
        narrow: f32,
        bytes: &'a [u8],
        singles: &'a [f32],
        doubles: &'a [f64],
        integers: &'a [i64],
        words: Vec<&'a str>,
    }

    #[row_view]
    fn borrowed(row: Row<'_>) -> Required {
        Required {
            text: row.text.to_owned(),
            flag: row.flag,
            count: row.count,
            wide: row.wide,
            narrow: row.narrow,
            bytes: row.bytes.to_vec(),
            singles: row.singles.to_vec(),
            doubles: row.doubles.to_vec(),
            integers: row.integers.to_vec(),
            words: row.words.into_iter().map(str::to_owned).collect(),
        }
    }
}

mod owned {
    use super::*;

    #[derive(Input)]
    struct Row {
        #[entity]
        key: i64,
        text: Option<String>,
        flag: Option<bool>,
        count: Option<i64>,
        at: Option<Timestamp>,
        wide: Option<f64>,
        narrow: Option<f32>,
        bytes: Option<Vec<u8>>,
        singles: Option<Vec<f32>>,
        doubles: Option<Vec<f64>>,
        integers: Option<Vec<i64>>,
        words: Option<Vec<String>>,
    }

    #[row_view]
    fn owned(row: Row) -> Nullable {
        let Row { key, text, flag, count, at, wide, narrow, bytes, singles, doubles, integers, words } = row;
        Nullable { key, text, flag, count, at, wide, narrow, bytes, singles, doubles, integers, words }
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn list<T>(&mut self, make: impl Fn(&mut Random) -> T) -> Vec<T> {
        let count = self.next() % 5;
        (0..count).map(|_| make(self)).collect()
    }

    fn text(&mut self) -> String {
        self.list(|random| ['a', '\u{e9}', '\u{20AC}', '\u{1F6EB}', '\0'][random.next() as usize % 5])
            .into_iter()
            .collect()
    }

    fn maybe<T>(&mut self, make: impl Fn(&mut Random) -> T) -> Option<T> {
        (!self.next().is_multiple_of(3)).then(|| make(self))
    }

    fn required(&mut self) -> Required {
        Required {
            text: self.text(),
            flag: self.next() & 1 == 1,
            count: self.next() as i64,
            // Any bits at all: a NaN must come back as it went in.
            wide: f64::from_bits(self.next()),
            narrow: f32::from_bits(self.next() as u32),
            bytes: self.list(|random| random.next() as u8),
            singles: self.list(|random| random.next() as f32),
            doubles: self.list(|random| random.next() as f64),
            integers: self.list(|random| random.next() as i64),
            words: self.list(Random::text),
        }
    }

    fn nullable(&mut self) -> Nullable {
        Nullable {
            key: self.next() as i64,
            text: self.maybe(Random::text),
            flag: self.maybe(|random| random.next() & 1 == 1),
            count: self.maybe(|random| random.next() as i64),
            at: self.maybe(|random| Timestamp::from_micros(random.next() as i64)),
            wide: self.maybe(|random| random.next() as f64),
            narrow: self.maybe(|random| random.next() as f32),
            bytes: self.maybe(|random| random.list(|random| random.next() as u8)),
            singles: self.maybe(|random| random.list(|random| random.next() as f32)),
            doubles: self.maybe(|random| random.list(|random| random.next() as f64)),
            integers: self.maybe(|random| random.list(|random| random.next() as i64)),
            words: self.maybe(|random| random.list(Random::text)),
        }
    }
}

fn slab<O: trifold_sdk::Output>(rows: Vec<O>) -> Batch {
    let count = rows.len();
    let mut words = vec![0; O::words(count)];
    let mut columns = O::columns(&mut Places::new(count, &mut words));
    rows.into_iter().enumerate().for_each(|(row, value)| value.set(&mut columns, row));
    let mut tails = Vec::new();
    O::tails(columns, &mut tails);
    Batch { rows: count as u32, words: join(words, tails) }
}

#[track_caller]
fn check<C: Guest>(batch: Batch, seed: u64) {
    let (rows, expected) = (batch.rows, batch.words.clone());
    let outcome = C::apply(batch).unwrap();
    assert_eq!(outcome.rows.rows, rows, "seed {seed}");
    assert_eq!(outcome.rows.words, expected, "seed {seed}, {rows} rows");
    assert!(outcome.rejections.is_empty());
}

#[test]
fn generated_rows_come_back_as_they_went_in() {
    let seed = 0x7121_F01D;
    let mut random = Random(seed);
    for rows in [1, 2, 7, 8, 9, 63, 64, 65, 1_000, 5_000] {
        check::<borrowed::TrifoldComponent>(slab((0..rows).map(|_| random.required()).collect()), seed);
        check::<owned::TrifoldComponent>(slab((0..rows).map(|_| random.nullable()).collect()), seed);
    }
}

#[test]
fn empty_strings_and_lists_are_not_nulls() {
    let empty = Nullable {
        text: Some(String::new()),
        bytes: Some(Vec::new()),
        singles: Some(Vec::new()),
        words: Some(vec![String::new()]),
        ..Nullable::default()
    };
    assert_ne!(slab(vec![empty.clone()]).words, slab(vec![Nullable::default()]).words);
    check::<owned::TrifoldComponent>(slab(vec![empty, Nullable::default()]), 0);
    check::<borrowed::TrifoldComponent>(slab(vec![Required::default(); 3]), 0);
}

//! The layout of slabs, by hand: what the host writes is read, and what the host expects is written.

use trifold_sdk::prelude::*;
use trifold_sdk::rt::{Batch, Guest};

#[derive(Input)]
struct Row<'a> {
    #[entity]
    key: &'a str,
    flag: bool,
    maybe: Option<i64>,
    small: f32,
    words: Option<Vec<&'a str>>,
}

#[derive(Output)]
struct Features {
    key: String,
    flag: bool,
    maybe: Option<i64>,
    small: f32,
    words: Option<Vec<String>>,
}

#[row_view]
fn layout(row: Row<'_>) -> Features {
    Features {
        key: row.key.to_owned(),
        flag: row.flag,
        maybe: row.maybe,
        small: row.small,
        words: row.words.map(|words| words.into_iter().map(str::to_owned).collect()),
    }
}

/// Packs buffers as the contract says.
fn words(buffers: &[&[u8]]) -> Vec<u64> {
    let padded = buffers.iter().flat_map(|buffer| buffer.chunks(8)).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    padded.collect()
}

fn int32s(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn sample() -> Vec<u64> {
    words(&[
        &int32s(&[0, 2, 2, 5]),
        "ab\u{20AC}".as_bytes(),
        &[0b101],
        &[0b110],
        &[0_i64, 7, -1].map(i64::to_le_bytes).concat(),
        &[1.5_f32, -0.0, f32::INFINITY].map(f32::to_le_bytes).concat(),
        &[0b011],
        &int32s(&[0, 2, 2, 2]),
        &int32s(&[0, 0, 3]),
        b"xyz",
    ])
}

fn check_failure(words: Vec<u64>, expected: &str) {
    let failure = TrifoldComponent::apply(Batch { rows: 3, words }).unwrap_err();
    assert_eq!(failure.message, expected);
}

#[test]
fn buffers_stand_in_the_order_of_the_contract() {
    let outcome = TrifoldComponent::apply(Batch { rows: 3, words: sample() }).unwrap();
    assert_eq!(outcome.rows.rows, 3);
    assert_eq!(outcome.rows.words, sample());
    assert!(outcome.rejections.is_empty());
}

#[test]
fn a_slab_of_another_length_fails() {
    let mut long = sample();
    long.push(0);
    check_failure(long, "1 words follow the last input");
    let mut short = sample();
    short.pop();
    check_failure(short, "input words: a buffer of 3 bytes runs past the end of the slab");
    check_failure(Vec::new(), "input key: a buffer of 16 bytes runs past the end of the slab");
}

#[test]
fn offsets_and_text_are_checked() {
    let with_key = |offsets: &[i32], text: &[u8]| {
        let mut slab = words(&[&int32s(offsets), text]);
        slab.extend_from_slice(&sample()[3..]);
        slab
    };
    let offsets = "the offsets of item";
    let tail = "do not start at zero, fall or cut a character";
    let euro = "ab\u{20AC}".as_bytes();
    check_failure(with_key(&[1, 2, 2, 5], euro), &format!("input key: {offsets} 0 {tail}"));
    check_failure(with_key(&[0, 3, 2, 5], euro), &format!("input key: {offsets} 1 {tail}"));
    check_failure(with_key(&[0, 2, -1, 5], euro), &format!("input key: {offsets} 1 {tail}"));
    check_failure(with_key(&[0, 2, 3, 5], euro), &format!("input key: {offsets} 2 {tail}"));
    check_failure(with_key(&[0, 2, 2, 5], b"ab\xE2\x82c"), "input key: the text is not valid UTF-8");
}

//! Rows that a view refuses.

use trifold_sdk::prelude::*;
use trifold_sdk::rt::{Batch, Guest};

#[derive(Input)]
struct Row {
    #[entity]
    key: i64,
}

#[derive(Output)]
struct Features {
    root: i64,
    text: Option<String>,
    list: Vec<f64>,
}

#[row_view]
fn root(row: Row) -> Result<Features, RowError> {
    match row.key {
        i64::MIN..0 => Err(RowError::new(400, format!("{} has no root", row.key))),
        0 => Err("zero".into()),
        key => Ok(Features { root: key.isqrt(), text: Some(key.to_string()), list: vec![1.0] }),
    }
}

#[test]
fn refused_rows_leave_their_neighbours_alone() {
    let outcome = TrifoldComponent::apply(Batch { rows: 4, words: vec![9, -4_i64 as u64, 0, 16] }).unwrap();
    let refused: Vec<_> =
        outcome.rejections.iter().map(|refusal| (refusal.row, refusal.code, refusal.message.as_str())).collect();
    assert_eq!(refused, [(1, 400, "-4 has no root"), (2, 1, "zero")]);
    let accepted = TrifoldComponent::apply(Batch { rows: 2, words: vec![9, 16] }).unwrap();
    assert_eq!(outcome.rows.rows, 4);
    assert_eq!(outcome.rows.words[..4], [3, 0, 0, 4]);
    assert_eq!(accepted.rows.words[..2], [3, 4]);
    // Validity 1001, five offsets in three words, the texts "9" and "16".
    assert_eq!(outcome.rows.words[4], 0b1001);
    assert_eq!(outcome.rows.words[5..8], [1 << 32, 1 << 32 | 1, 3]);
    assert_eq!(outcome.rows.words[8], u64::from_le_bytes(*b"916\0\0\0\0\0"));
}

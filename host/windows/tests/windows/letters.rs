//! A fold whose states are the letters of their events: strung together, or sorted where the order is any.

use std::convert::Infallible;

use bytes::Bytes;
use trifold_model::FoldOrder;
use trifold_windows::{Base, Failure, Fold, Group, Question, Row, Run};

/// For each window the letters of each of its tiles.
pub(crate) type Value = Vec<Vec<String>>;

pub(crate) struct Letters {
    pub(crate) order: FoldOrder,
    /// The letter of each row of the batch.
    pub(crate) batch: Vec<char>,
    /// The windows of a question.
    pub(crate) windows: usize,
}

impl Letters {
    fn letter(&self, row: &Row) -> char {
        match row {
            Row::Batch(row) => self.batch[*row as usize],
            Row::Kept(bytes) => text(bytes).chars().next().unwrap(),
        }
    }
}

fn text(state: &[u8]) -> &str {
    std::str::from_utf8(state).unwrap()
}

/// A state of some letters.
pub(crate) fn state(order: FoldOrder, letters: impl Iterator<Item = char>) -> String {
    let mut letters: Vec<char> = letters.collect();
    if order == FoldOrder::Any {
        letters.sort_unstable();
    }
    letters.into_iter().collect()
}

impl Fold for Letters {
    type Error = Infallible;
    type Values = Vec<Value>;

    fn accumulate(
        &mut self,
        states: &[Bytes],
        groups: &[Group],
        rows: &[Row],
    ) -> Result<Vec<Result<Bytes, Failure>>, Infallible> {
        let mut folded: Vec<Bytes> = Vec::new();
        for group in groups {
            assert!(group.count > 0);
            let base = match group.base {
                Base::State(state) => &states[state as usize],
                Base::Group(group) => &folded[group as usize],
            };
            let rows = &rows[group.first as usize..(group.first + group.count) as usize];
            let letters = text(base).chars().chain(rows.iter().map(|row| self.letter(row)));
            folded.push(state(self.order, letters).into_bytes().into());
        }
        Ok(folded.into_iter().map(Ok).collect())
    }

    fn finish(
        &mut self,
        tiles: &[&[u8]],
        picks: &[u32],
        windows: &[Run],
        questions: &[Question],
    ) -> Result<Vec<Value>, Infallible> {
        let window = |run: &Run| -> Vec<String> {
            let picks = &picks[run.first as usize..(run.first + run.count) as usize];
            picks.iter().map(|pick| text(tiles[*pick as usize]).to_owned()).collect()
        };
        assert_eq!(windows.len(), questions.len() * self.windows);
        Ok(windows.chunks(self.windows).map(|runs| runs.iter().map(window).collect()).collect())
    }
}

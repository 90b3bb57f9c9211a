//! What a host puts into calls and takes out of them.

use trifold_sdk::Output;
use trifold_sdk::rt::{
    Batch, Group, InputValue, OutputColumn, OutputValue, Places, Reader, Span, WindowGuest, join,
};

/// Rows as a host sends them.
pub(crate) fn rows<O: Output>(rows: impl IntoIterator<Item = O>) -> Batch {
    let rows: Vec<_> = rows.into_iter().collect();
    let count = rows.len();
    let mut words = vec![0; O::words(count)];
    let mut columns = O::columns(&mut Places::new(count, &mut words));
    rows.into_iter().enumerate().for_each(|(row, value)| value.set(&mut columns, row));
    let mut tails = Vec::new();
    O::tails(columns, &mut tails);
    Batch { rows: count as u32, words: join(words, tails) }
}

/// A batch of one column.
pub(crate) fn column<T: OutputValue>(values: impl IntoIterator<Item = T>) -> Batch {
    let values: Vec<_> = values.into_iter().collect();
    let count = values.len();
    let mut words = vec![0; T::Column::words(count)];
    let mut column = T::Column::new(&mut Places::new(count, &mut words));
    values.into_iter().enumerate().for_each(|(row, value)| column.set(row, value));
    let mut tails = Vec::new();
    column.tails(&mut tails);
    Batch { rows: count as u32, words: join(words, tails) }
}

/// A batch of states.
pub(crate) fn packed(states: impl IntoIterator<Item = Vec<u8>>) -> Batch {
    column(states)
}

/// The states of an answer.
pub(crate) fn states(batch: &Batch) -> Vec<Vec<u8>> {
    let mut reader = Reader::new(batch.rows as usize, &batch.words);
    let column = <Vec<u8> as InputValue>::read(&mut reader).unwrap();
    reader.finish().unwrap();
    (0..batch.rows as usize).map(|row| Vec::get(&column, row)).collect()
}

/// Reads the columns of an answer in order.
pub(crate) struct Answer<'a> {
    reader: Reader<'a>,
    rows: usize,
}

impl<'a> Answer<'a> {
    pub(crate) fn new(batch: &'a Batch) -> Self {
        Answer { reader: Reader::new(batch.rows as usize, &batch.words), rows: batch.rows as usize }
    }

    pub(crate) fn next<T: InputValue<'a>>(&mut self) -> Vec<T> {
        let column = T::read(&mut self.reader).unwrap();
        (0..self.rows).map(|row| T::get(&column, row)).collect()
    }

    pub(crate) fn finish(self) {
        self.reader.finish().unwrap();
    }
}

pub(crate) fn group(state: u32, first: u32, count: u32) -> Group {
    Group { state, first, count }
}

pub(crate) fn span(first: u32, count: u32) -> Span {
    Span { first, count }
}

/// The state of events that are folded in one go.
pub(crate) fn folded<C: WindowGuest>(events: Batch) -> Vec<u8> {
    let prepared = C::prepare(events).unwrap().rows;
    let groups = vec![group(0, 0, prepared.rows)];
    states(&C::accumulate(packed([Vec::new()]), groups, prepared).unwrap()).remove(0)
}

/// States merged from left to right.
pub(crate) fn merged<C: WindowGuest>(parts: &[Vec<u8>]) -> Vec<u8> {
    let spans = vec![span(0, parts.len() as u32)];
    states(&C::merge(packed(parts.to_vec()), spans).unwrap()).remove(0)
}

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        (1..items.len()).for_each(|last| items.swap(last, self.below(last + 1)));
    }
}

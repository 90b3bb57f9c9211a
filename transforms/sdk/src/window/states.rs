//! Batches of states: one required column of bytes.

use crate::aggregate::{StateError, StateReader};
use crate::bindings::trifold::feature::types::{Batch, Failure};
use crate::run;
use crate::slab::Places;
use crate::value::InputLists;
use crate::window::State;

/// The states of an argument.
pub(crate) struct States<'a> {
    name: &'static str,
    count: usize,
    bytes: InputLists<'a, u8>,
}

impl<'a> States<'a> {
    /// Finds the column of states in a batch; errors call the batch by the name.
    pub(crate) fn read(name: &'static str, batch: &'a Batch) -> Result<Self, Failure> {
        let bytes = run::columns(batch, |reader| InputLists::read(reader.field(name)))?;
        Ok(States { name, count: batch.rows as usize, bytes })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Decodes a state.
    #[inline]
    pub(crate) fn decode<S: State>(&self, index: usize) -> Result<S, Failure> {
        decode(self.bytes.get(index)).map_err(|error| {
            // The batches are called by the plural.
            let one = self.name.trim_end_matches('s');
            run::failure(format!("{one} {index}: {error}"))
        })
    }

    /// Decodes all of them.
    pub(crate) fn decode_all<S: State>(&self) -> Result<Vec<S>, Failure> {
        (0..self.count).map(|index| self.decode(index)).collect()
    }
}

fn decode<S: State>(bytes: &[u8]) -> Result<S, StateError> {
    if bytes.is_empty() {
        return Ok(S::default());
    }
    let mut reader = StateReader::new(bytes);
    let state = S::decode(&mut reader)?;
    reader.finish()?;
    Ok(state)
}

/// The states of an answer.
pub(crate) struct Answer {
    offsets: Vec<i32>,
    bytes: Vec<u8>,
}

impl Answer {
    /// An answer that will have so many states.
    pub(crate) fn new(count: usize) -> Self {
        let mut offsets = Vec::with_capacity(count + 1);
        offsets.push(0);
        Answer { offsets, bytes: Vec::new() }
    }

    /// Adds a state.
    #[inline]
    pub(crate) fn push<S: State>(&mut self, state: &S) {
        state.encode(&mut self.bytes);
        // A guest's memory limit is far below the bytes that would overflow an offset.
        self.offsets.push(self.bytes.len() as i32);
    }

    /// The batch.
    pub(crate) fn into_batch(self) -> Batch {
        let Answer { offsets, bytes } = self;
        let mut words = vec![0; Places::words::<i32>(offsets.len()) + Places::words::<u8>(bytes.len())];
        let rows = offsets.len() - 1;
        let mut places = Places::new(rows, &mut words);
        places.offsets().copy_from_slice(&offsets);
        places.buffer(bytes.len()).copy_from_slice(&bytes);
        // There is a row for each group or span, of which a call has no more than a `u32` counts.
        Batch { rows: rows as u32, words }
    }
}

//! Who computes: the trait that a plan is carried out with.

use std::sync::Arc;

use bytes::Bytes;
use trifold_model::EventTime;

/// What a group is folded onto.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// One of the given states.
    State(u32),
    /// What an earlier group came to.
    Group(u32),
}

/// A run of rows that is folded onto one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// What it is folded onto.
    pub base: Base,
    /// The first row.
    pub first: u32,
    /// How many rows; at least one.
    pub count: u32,
}

/// A prepared event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A row of the batch that the plan is about.
    Batch(u32),
    /// An event that was kept, in the bytes that [`Event::kept`](crate::Event::kept) had.
    Kept(Bytes),
}

/// Neighbours: `count` of them from `first`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// A value that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Whose value, in the words of whoever asks.
    pub key: u32,
    /// The as-of time.
    pub at: EventTime,
}

/// Why a state is unknown. It is for people, and no part of any value.
pub type Failure = Arc<str>;

/// What a group came to.
pub type Folded = Result<Bytes, Failure>;

/// Computes states and values.
pub trait Fold {
    /// Why nothing could be computed at all.
    type Error;
    /// The values of some questions.
    type Values;

    /// Folds each group of rows onto its base; one state, or why there is none, for each group.
    fn accumulate(&mut self, states: &[Bytes], groups: &[Group], rows: &[Row])
    -> Result<Vec<Folded>, Self::Error>;

    /// Answers questions. `windows` has one run of `picks` for each window of each question, and `picks` are places in
    /// `tiles`; the tiles of a window stand in ascending time.
    fn finish(
        &mut self,
        tiles: &[&[u8]],
        picks: &[u32],
        windows: &[Run],
        questions: &[Question],
    ) -> Result<Self::Values, Self::Error>;
}

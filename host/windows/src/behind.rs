//! What a value is made of, for whoever asks why it is what it is.

use trifold_model::{EventTime, Window};

use crate::entity::{Entity, State, Tile};
use crate::fold::{Failure, Folded};
use crate::layout::{Layout, end};

/// A tile that a window is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TileBehind {
    /// When it begins.
    pub start: EventTime,
    /// When the next one begins.
    pub end: EventTime,
    /// The fold of its events, or why it is unknown.
    pub state: Folded,
}

impl Entity {
    /// The tiles that a question at a time is answered from, if no later event was added: for each window in declared
    /// order, by ascending time. The plan of the entity must be [settled](crate::Settled::settle).
    pub fn tiles_behind(&self, layout: &Layout, at: EventTime) -> Vec<Vec<TileBehind>> {
        let tiles = |&(level, window): &(usize, Window)| {
            let first = window.first_tile(at);
            let picked = self.tiles[level].iter().filter(|(start, _)| *start >= first);
            let tile = |(start, tile): (EventTime, &Tile)| TileBehind {
                start,
                end: end(start, window.hop),
                state: match &tile.state {
                    State::Known(state) => Ok(state.bytes(&self.packed)),
                    State::Failed(failure) => Err(failure.clone()),
                    State::Planned(_) => Err(Failure::from("its plan was never carried out")),
                },
            };
            picked.map(tile).collect()
        };
        layout.windows.iter().map(tiles).collect()
    }
}

impl Layout {
    /// Where the windows stand in declared order that cover an event, which is not after `at`, in a value at `at`; each
    /// with the start of the event's tile.
    pub fn covering(&self, event: EventTime, at: EventTime) -> impl Iterator<Item = (usize, EventTime)> {
        let tile = move |(place, &(_, window)): (usize, &(usize, Window))| {
            let start = event.align_down(window.hop);
            (start >= window.first_tile(at)).then_some((place, start))
        };
        self.windows.iter().enumerate().filter_map(tile)
    }
}

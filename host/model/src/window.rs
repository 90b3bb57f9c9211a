//! Sliding windows, as a view declares them.

use std::collections::BTreeSet;

use crate::time::{EventTime, Span};
use crate::view::Field;

/// The most windows of a view.
pub const WINDOWS_MAX: usize = 16;
/// The most tiles of one window: a lookup reads all of them.
pub const TILES_MAX: i64 = 10_000;

/// A sliding window: the value at T covers the events from `align_down(T - length, hop)` to T. Its tail moves in
/// hops, its head is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window {
    /// How far the window reaches back.
    pub length: Span,
    /// The length of its tiles.
    pub hop: Span,
}

/// In which order a view's events may be folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FoldOrder {
    /// Any: merging is associative and commutative on the bytes of states.
    Any,
    /// Ascending by event time and event id, from the beginning of the tile.
    EventTime,
}

impl FoldOrder {
    /// The word that `describe` uses.
    pub fn name(self) -> &'static str {
        match self {
            FoldOrder::Any => "any",
            FoldOrder::EventTime => "event-time",
        }
    }
}

/// What only a window view declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowSpec {
    /// The windows, in the order in which the transform finishes them.
    pub windows: Vec<Window>,
    /// The columns into which the transform prepares an event, and from which it folds.
    pub prepared: Vec<Field>,
    /// In which order events may be folded.
    pub order: FoldOrder,
    /// Whether events of the same entity, time and id count once.
    pub deduplicate: bool,
}

/// A part of what is kept of one entity of a window view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// What is known of the entity as a whole.
    Head,
    /// The state of one tile.
    Tile {
        /// The level, counted from the shortest hop.
        level: u8,
        /// When the tile begins.
        start: EventTime,
    },
    /// Events of a short time.
    Events {
        /// When that time begins.
        start: EventTime,
    },
}

impl Window {
    /// The hops of which the default is chosen, in seconds.
    const HOPS: [u64; 10] = [1, 5, 10, 30, 60, 300, 900, 3_600, 21_600, 86_400];
    /// A window has at least so many tiles of its default hop.
    const TILES: u64 = 48;

    /// A window of whole seconds; without a hop, with the longest of the usual ones that divides it into at least 48
    /// tiles, or of one second. `None` when the microseconds do not fit an `i64`.
    pub fn from_seconds(seconds: u64, hop_seconds: Option<u64>) -> Option<Window> {
        let fits = |hop: &u64| seconds.is_multiple_of(*hop) && *hop <= seconds / Self::TILES;
        let hop = hop_seconds.unwrap_or_else(|| Self::HOPS.into_iter().rev().find(fits).unwrap_or(1));
        Some(Window { length: Span::from_seconds(seconds)?, hop: Span::from_seconds(hop)? })
    }

    /// The start of the first tile that counts at a time.
    pub fn first_tile(self, at: EventTime) -> EventTime {
        EventTime(at.0.saturating_sub(self.length.micros())).align_down(self.hop)
    }
}

impl WindowSpec {
    /// How far back the longest window reaches from its end, its first hop included.
    pub fn reach(&self) -> Span {
        let reaches = self.windows.iter().map(|window| window.length.saturating_add(window.hop));
        reaches.max().unwrap_or_default()
    }

    /// Everything that is wrong with the windows; the columns are checked with those of the view.
    pub(crate) fn problems(&self, problems: &mut Vec<String>) {
        if self.windows.is_empty() {
            problems.push("it has no windows".to_owned());
        }
        if self.windows.len() > WINDOWS_MAX {
            problems.push(format!("it has {} windows, the most is {WINDOWS_MAX}", self.windows.len()));
        }
        let mut seen = BTreeSet::new();
        for window in &self.windows {
            let Window { length, hop } = window;
            if !seen.insert(window) {
                problems.push(format!("the window {length} with hop {hop} is declared twice"));
            }
            if length.micros() == 0 || hop.micros() == 0 {
                problems.push(format!("the window {length} with hop {hop}: both must be longer than nothing"));
            } else if length < hop {
                problems.push(format!("the window {length} is shorter than its hop {hop}"));
            } else if length.micros() % hop.micros() != 0 {
                problems.push(format!("the hop {hop} does not divide the window {length}"));
            } else if length.micros() / hop.micros() > TILES_MAX {
                let tiles = length.micros() / hop.micros();
                problems.push(format!("the window {length} has {tiles} tiles of {hop}, the most is {TILES_MAX}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_hop(seconds: u64, expected: u64) {
        let window = Window::from_seconds(seconds, None).unwrap();
        assert_eq!(window.hop, Span::from_seconds(expected).unwrap(), "{seconds}");
    }

    #[test]
    fn default_hops_make_at_least_48_tiles() {
        check_hop(1, 1);
        check_hop(47, 1);
        check_hop(60, 1);
        check_hop(300, 5);
        check_hop(900, 10);
        check_hop(3_600, 60);
        check_hop(86_400, 900);
        check_hop(30 * 86_400, 21_600);
        check_hop(365 * 86_400, 86_400);
        check_hop(3_601, 1);
    }

    #[test]
    fn the_tail_is_aligned_and_the_head_is_not() {
        let window = Window::from_seconds(60, Some(10)).unwrap();
        let second = |second: i64| EventTime(second * 1_000_000);
        assert_eq!(window.first_tile(second(100)), second(40));
        assert_eq!(window.first_tile(EventTime(99_999_999)), second(30));
        assert_eq!(window.first_tile(second(0)), second(-60));
        assert_eq!(window.first_tile(EventTime(-1)), second(-70));
    }
}

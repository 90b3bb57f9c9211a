//! What an explanation says.

use std::collections::BTreeMap;

use trifold_eventlog::AsideReason;
use trifold_model::{ArrivalTime, EventTime, Window};
use trifold_windows::Folded;

use crate::rows::Rows;

/// Why the value of one entity at one time is what it is.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The value, a single row.
    pub rows: Rows,
    /// What it is made of.
    pub behind: Behind,
    /// The events of the entity in the log, as far as they are listed: the latest first.
    pub events: Vec<ExplainedEvent>,
    /// How many events of the entity the log has, by the names of their verdicts.
    pub counts: BTreeMap<&'static str, u64>,
}

/// What a value is made of.
#[derive(Debug, Clone)]
pub enum Behind {
    /// Of a row view: the event that decides, the latest in canonical order.
    Latest(Option<ExplainedEvent>),
    /// Of a window view: its windows in declared order.
    Windows(Vec<ExplainedWindow>),
}

/// A window of a value.
#[derive(Debug, Clone)]
pub struct ExplainedWindow {
    /// The window.
    pub window: Window,
    /// The earliest time that it covers.
    pub start: EventTime,
    /// The tiles in which there are events, by ascending time.
    pub tiles: Vec<ExplainedTile>,
}

impl ExplainedWindow {
    /// How many events count in it.
    pub fn events(&self) -> u64 {
        self.tiles.iter().map(|tile| tile.events).sum()
    }
}

/// A tile of a window.
#[derive(Debug, Clone)]
pub struct ExplainedTile {
    /// When it begins.
    pub start: EventTime,
    /// When the next one begins.
    pub end: EventTime,
    /// Whether the value is asked for before the tile ends, so that later events of it do not count.
    pub is_partial: bool,
    /// How many events were folded into it.
    pub events: u64,
    /// Its state, or why it is unknown.
    pub state: Folded,
}

impl ExplainedTile {
    /// The first eight bytes of BLAKE3 over the state.
    pub fn digest(&self) -> Option<[u8; 8]> {
        let state = self.state.as_ref().ok()?;
        let mut digest = [0; 8];
        digest.copy_from_slice(&blake3::hash(state).as_bytes()[..8]);
        Some(digest)
    }
}

/// An event of the entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedEvent {
    /// The partition that it is in.
    pub partition: u32,
    /// Its offset there.
    pub offset: u64,
    /// When it happened, as far as that can be read.
    pub time: Option<EventTime>,
    /// Its id, as far as that can be read.
    pub id: Option<String>,
    /// When it arrived, where arrivals are recorded.
    pub arrival: Option<ArrivalTime>,
    /// The inputs as a JSON object; of an event that cannot be decoded the row as it was read.
    pub inputs: String,
    /// Whether it counts.
    pub verdict: Verdict,
}

/// An event that names the entity and cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndecodedEvent {
    /// The partition that it is in.
    pub partition: u32,
    /// Its offset there.
    pub offset: u64,
    /// When it happened, as far as that can be read.
    pub time: Option<EventTime>,
    /// Its id, as far as that can be read.
    pub id: Option<String>,
    /// The row as JSON.
    pub row: String,
    /// What is wrong with it.
    pub reason: AsideReason,
    /// The same in words.
    pub detail: String,
}

/// Whether an event counts for a value, or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It counts in these windows, by their places in declared order.
    Counts(Vec<usize>),
    /// It is the latest in canonical order, and so the value of a row view.
    Decides,
    /// Another event is later in canonical order.
    Superseded,
    /// It counts for no value at all.
    Aside(AsideReason, String),
    /// It is the same as an event that came first.
    Duplicate {
        /// The offset of the first.
        of: u64,
    },
    /// It differs from an event of the same time and id that came first.
    Conflict {
        /// The offset of the first.
        with: u64,
    },
    /// It happened after the as-of time, or with `before` at that time.
    AfterAsOf,
    /// It arrived after the as-of time.
    ArrivedAfterAsOf,
    /// It stands behind the position up to which events count.
    BehindCut,
    /// It happened before every window begins.
    BeforeWindows,
}

impl Verdict {
    /// The word for reports.
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Counts(_) => "counts",
            Verdict::Decides => "decides",
            Verdict::Superseded => "superseded",
            Verdict::Aside(reason, _) => reason.name(),
            Verdict::Duplicate { .. } => "duplicate",
            // The same word that events set aside have.
            Verdict::Conflict { .. } => AsideReason::Conflict.name(),
            Verdict::AfterAsOf => "after-as-of",
            Verdict::ArrivedAfterAsOf => "arrived-after-as-of",
            Verdict::BehindCut => "behind-cut",
            Verdict::BeforeWindows => "before-windows",
        }
    }
}

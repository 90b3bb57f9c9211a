//! Aggregates the numbers of its events over sliding windows.

use trifold_sdk::aggregate::{Aggregate, Count, FoldOrder, Share, StateError, StateReader};
use trifold_sdk::prelude::*;
use trifold_sdk::rt::{self, Batch, Failure, Group, Outcome, Span};
use trifold_sdk::{State, WindowView};

/// A number of somebody's.
#[derive(Input)]
pub struct Number {
    /// Whose number it is.
    #[entity]
    pub key: i64,
    /// The number; negative ones are refused.
    pub value: Option<i64>,
}

/// What folds need of a number.
#[derive(Prepared)]
pub struct Item {
    /// Whether it is even.
    pub is_even: Option<bool>,
}

/// What a tile keeps.
#[derive(Default, Clone)]
pub struct Tile {
    count: Count,
    share: Share,
}

impl State for Tile {
    fn encode(&self, out: &mut Vec<u8>) {
        self.count.encode(out);
        self.share.encode(out);
    }

    fn decode(input: &mut StateReader<'_>) -> Result<Self, StateError> {
        let count = Count::decode(input)?;
        let share = if input.left() > 0 { Share::decode(input)? } else { Share::default() };
        Ok(Tile { count, share })
    }
}

/// What the numbers come to.
#[derive(Output)]
pub struct Features {
    /// Numbers in a minute.
    pub count_1m: i64,
    /// Numbers in an hour.
    pub count_1h: i64,
    /// The share of even numbers in a minute.
    pub share_even_1m: Option<f64>,
    /// The share of even numbers in an hour.
    pub share_even_1h: Option<f64>,
}

/// The view.
pub struct WindowNumbers;

impl WindowView for WindowNumbers {
    type Event<'a> = Number;
    type Prepared<'a> = Item;
    type State = Tile;
    type Features = Features;

    fn prepare(event: Self::Event<'_>) -> Result<Self::Prepared<'_>, RowError> {
        match event.value {
            Some(i64::MIN..0) => Err(RowError::new(2, "the number is negative")),
            value => Ok(Item { is_even: value.map(|value| value % 2 == 0) }),
        }
    }

    fn accumulate(state: &mut Tile, event: Item) {
        state.count.add(());
        state.share.add(event.is_even);
    }

    fn merge(state: &mut Tile, later: &Tile) {
        state.count.merge(&later.count);
        state.share.merge(&later.share);
    }

    fn finish(windows: &[Tile], _key: i64, as_of: Timestamp) -> Result<Features, RowError> {
        Ok(Features {
            count_1m: windows[0].count.finish(as_of),
            count_1h: windows[1].count.finish(as_of),
            share_even_1m: windows[0].share.finish(as_of),
            share_even_1h: windows[1].share.finish(as_of),
        })
    }
}

/// The crate's view as the host sees it.
pub struct Component;

impl rt::WindowGuest for Component {
    fn describe() -> String {
        let view = rt::View {
            name: "window_numbers",
            doc: "",
            ttl_seconds: None,
            lateness_seconds: None,
            max_early_seconds: None,
            state_version: 1,
            fuel: None,
            memory_bytes: None,
        };
        let fold = rt::WindowFold {
            windows: &[rt::Window { seconds: 60, hop_seconds: 1 }, rt::Window { seconds: 3600, hop_seconds: 60 }],
            order: FoldOrder::Any,
            deduplicate: true,
        };
        rt::describe_window::<WindowNumbers>(&view, &fold)
    }

    fn prepare(events: Batch) -> Result<Outcome, Failure> {
        rt::prepare::<WindowNumbers>(&events)
    }

    fn accumulate(states: Batch, groups: Vec<Group>, prepared: Batch) -> Result<Batch, Failure> {
        rt::accumulate::<WindowNumbers>(&states, &groups, &prepared)
    }

    fn merge(states: Batch, spans: Vec<Span>) -> Result<Batch, Failure> {
        rt::merge::<WindowNumbers>(&states, &spans)
    }

    fn finish(
        tiles: Batch,
        picks: Vec<u32>,
        windows: Vec<Span>,
        keys: Batch,
        as_of: Vec<i64>,
    ) -> Result<Outcome, Failure> {
        rt::finish::<WindowNumbers>(2, &tiles, &picks, &windows, &keys, &as_of)
    }
}

rt::export_window_transform!(Component);

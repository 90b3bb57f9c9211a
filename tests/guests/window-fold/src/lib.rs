//! A state of its own whose bytes show the order and the grouping of its fold.
//!
//! A hash chain has no algebra: a tile that was folded in another order, that missed an event, or a window whose
//! tiles were merged in another order or in another grouping has another hash.

use std::sync::atomic::{AtomicI64, Ordering};

use trifold_sdk::aggregate::put_varint;
use trifold_sdk::prelude::*;

/// The code of an event with an empty id.
pub const NAMELESS: u16 = 7;
/// The code of a foot whose row is refused, with the feature `refuses`.
pub const LAME: u16 = 9;
/// How many ids a tile keeps.
pub const KEPT: usize = 3;

/// A step of somebody's.
#[derive(Input)]
pub struct Step<'a> {
    /// Whose step it is.
    #[entity]
    pub walker: &'a str,
    /// Which of the walker's feet.
    #[entity]
    pub foot: i64,
    /// When it was.
    pub event_time: Timestamp,
    /// The step's id.
    pub event_id: &'a str,
    /// How long it was.
    pub length: Option<f64>,
}

/// What a fold needs of a step.
#[derive(Prepared)]
pub struct Link<'a> {
    /// When it was.
    pub at: Timestamp,
    /// The step's id.
    pub id: &'a str,
    /// The bits of its length.
    pub length_bits: Option<i64>,
}

/// The steps of a tile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Steps {
    count: u64,
    chain: u64,
    first_at: i64,
    last_at: i64,
    ids: Vec<String>,
}

/// What the steps come to.
#[derive(Output)]
pub struct Walk {
    /// Steps in a minute.
    pub count_1m: i64,
    /// Steps in an hour.
    pub count_1h: i64,
    /// The chain over the steps of a minute.
    pub chain_1m: i64,
    /// The chain over the steps of an hour.
    pub chain_1h: i64,
    /// The last ids within an hour, the latest last.
    pub last_ids_1h: Vec<String>,
    /// When the first step within an hour was.
    pub first_at_1h: Option<Timestamp>,
    /// How long ago the last step within an hour was, in microseconds.
    pub age_1h: Option<i64>,
    /// Whose steps they are.
    pub who: String,
}

/// The tiles that were given, with the feature `peeks`.
static DECODED: AtomicI64 = AtomicI64::new(0);

/// A view whose fold has one right order.
pub struct WindowFold;

/// The steps of a walker's foot, in their order.
#[cfg_attr(
    not(any(feature = "claims-any", feature = "limits", feature = "ttl")),
    window_view(windows = "1m/5s, 1h/1m", order = "event-time", state_version = 2)
)]
#[cfg_attr(
    feature = "limits",
    window_view(windows = "21s/7s, 20m/10m", order = "event-time", lateness = "15s", max_early = "5s")
)]
#[cfg_attr(
    feature = "ttl",
    window_view(windows = "21s/7s, 20m/10m", order = "event-time", lateness = "1h", ttl = "15s")
)]
#[cfg_attr(feature = "claims-any", window_view(windows = "1m/5s, 1h/1m", order = "any", state_version = 2))]
impl WindowView for WindowFold {
    type Event<'a> = Step<'a>;
    type Prepared<'a> = Link<'a>;
    type State = Steps;
    type Features = Walk;

    fn prepare(step: Self::Event<'_>) -> Result<Self::Prepared<'_>, RowError> {
        if step.event_id.is_empty() {
            return Err(RowError::new(NAMELESS, "a step without an id"));
        }
        if cfg!(feature = "choosy") && step.length.is_none() {
            return Err(RowError::new(NAMELESS, "a step without a length"));
        }
        let length = if cfg!(feature = "rounds") { step.length.map(f64::round) } else { step.length };
        let length_bits = length.map(|length| length.to_bits().cast_signed());
        Ok(Link { at: step.event_time, id: step.event_id, length_bits })
    }

    fn accumulate(state: &mut Steps, link: Link<'_>) {
        let at = link.at.micros();
        if state.count == 0 {
            state.first_at = at;
        }
        state.count += 1;
        state.last_at = at;
        state.chain = chain(state.chain, [at.cast_unsigned(), hash64(link.id), hash64(&bits(link.length_bits))]);
        state.keep([link.id.to_owned()]);
    }

    fn merge(state: &mut Steps, later: &Steps) {
        if state.count == 0 {
            later.clone_into(state);
        } else if later.count > 0 {
            state.count += later.count;
            state.last_at = later.last_at;
            let links = [later.count, later.chain];
            let links = if cfg!(feature = "regroups") { [links[1], links[0]] } else { links };
            state.chain = chain(state.chain, links);
            state.keep(later.ids.iter().cloned());
        }
    }

    fn finish(windows: &[Steps], (walker, foot): (&str, i64), as_of: Timestamp) -> Result<Walk, RowError> {
        let [minute, hour] = windows else { return Err("there are two windows".into()) };
        if cfg!(feature = "refuses") && foot == 0 {
            return Err(RowError::new(LAME, "nobody walks on it"));
        }
        assert!(!cfg!(feature = "refuses") || foot != 1, "there is no such foot");
        Ok(Walk {
            count_1m: minute.count.cast_signed() + DECODED.load(Ordering::Relaxed),
            count_1h: hour.count.cast_signed(),
            chain_1m: minute.chain.cast_signed(),
            chain_1h: hour.chain.cast_signed(),
            last_ids_1h: hour.ids.clone(),
            first_at_1h: (hour.count > 0).then_some(Timestamp::from_micros(hour.first_at)),
            age_1h: (hour.count > 0).then(|| as_of.micros().saturating_sub(hour.last_at)),
            who: format!("{walker}/{foot}"),
        })
    }
}

impl Steps {
    /// Keeps the latest ids.
    fn keep(&mut self, ids: impl IntoIterator<Item = String>) {
        self.ids.extend(ids);
        self.ids.drain(..self.ids.len().saturating_sub(KEPT));
    }
}

impl State for Steps {
    fn encode(&self, out: &mut Vec<u8>) {
        if self.count == 0 {
            return;
        }
        if cfg!(feature = "repacked") {
            out.push(0);
        }
        // A state that leaves something out, for those who look for it.
        put_varint(out, if cfg!(feature = "forgets") { 1 } else { self.count });
        for word in [self.chain, self.first_at.cast_unsigned(), self.last_at.cast_unsigned()] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        for id in &self.ids {
            put_varint(out, id.len() as u64);
            out.extend_from_slice(id.as_bytes());
        }
    }

    fn decode(input: &mut StateReader<'_>) -> Result<Self, StateError> {
        if cfg!(feature = "peeks") {
            DECODED.fetch_add(1, Ordering::Relaxed);
        }
        if cfg!(feature = "repacked") && input.byte()? != 0 {
            return Err(StateError::invalid("it does not begin with a zero"));
        }
        let count = input.positive()?;
        let [chain, first_at, last_at] = [input.word()?, input.word()?, input.word()?];
        let kept = count.min(KEPT as u64);
        let ids = (0..kept).map(|_| input.text().map(str::to_owned)).collect::<Result<_, _>>()?;
        Ok(Steps { count, chain, first_at: first_at.cast_signed(), last_at: last_at.cast_signed(), ids })
    }
}

fn chain<const N: usize>(from: u64, links: [u64; N]) -> u64 {
    links.into_iter().fold(from, |chain, link| hash64(&[chain.to_le_bytes(), link.to_le_bytes()].concat()))
}

/// The bytes of a number that may be absent.
fn bits(value: Option<i64>) -> Vec<u8> {
    value.map_or_else(Vec::new, |value| value.to_le_bytes().to_vec())
}

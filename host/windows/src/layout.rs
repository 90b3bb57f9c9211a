//! Which tiles the windows of a view are made of.

use std::ops::Range;

use trifold_model::{ArrivalTime, EventTime, FoldOrder, Span, Window, WindowSpec};

/// Tiles of one length. Windows with the same hop share them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// The length of a tile.
    pub hop: Span,
    /// The longest window over these tiles.
    pub longest: Window,
}

/// The levels of tiles of a view, and what is kept beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The levels, by ascending hop.
    pub levels: Vec<Level>,
    /// For each window in declared order, its level.
    pub windows: Vec<(usize, Window)>,
    /// In which order events are folded.
    pub order: FoldOrder,
    /// Whether an event counts once, however often it comes.
    pub deduplicate: bool,
    /// How long after its event one may arrive and count; `None` is without limit.
    pub lateness: Option<Span>,
    /// The events of so much time are kept together. It divides every hop.
    pub granule: Span,
}

/// Events are kept together by the minute, or by less where a hop wants it: long enough to hold several, short enough
/// that one more event does not write many others again.
const GRANULE_SECONDS_MAX: i64 = 60;

impl Layout {
    /// The layout of a checked view's windows.
    pub fn new(spec: &WindowSpec, lateness: Option<Span>) -> Self {
        let mut levels: Vec<Level> = Vec::new();
        for &window in &spec.windows {
            match levels.iter_mut().find(|level| level.hop == window.hop) {
                Some(level) => level.longest = level.longest.max(window),
                None => levels.push(Level { hop: window.hop, longest: window }),
            }
        }
        levels.sort_by_key(|level| level.hop);
        let level_of = |hop: Span| levels.iter().position(|level| level.hop == hop).unwrap_or_default();
        let windows = spec.windows.iter().map(|&window| (level_of(window.hop), window)).collect();
        let second = 1_000_000;
        let granule = levels.iter().fold(GRANULE_SECONDS_MAX, |granule, level| {
            greatest_common_divisor(granule, level.hop.micros() / second)
        });
        Layout {
            levels,
            windows,
            order: spec.order,
            deduplicate: spec.deduplicate,
            lateness,
            granule: Span::from_seconds(granule.unsigned_abs()).unwrap_or_default(),
        }
    }

    /// The earliest time that an event to come can have, if every event to come arrives at `clock` or later.
    pub fn floor(&self, clock: Option<ArrivalTime>) -> Option<EventTime> {
        let (clock, lateness) = clock.zip(self.lateness)?;
        Some(EventTime(clock.0.saturating_sub(lateness.micros())))
    }

    /// Whether events are kept beside the tiles.
    pub fn keeps_events(&self) -> bool {
        self.deduplicate || self.order == FoldOrder::EventTime
    }

    /// The first tile of a level that any window needs once an entity has an event at `latest`.
    pub fn first_tile(&self, level: usize, latest: EventTime) -> EventTime {
        self.levels[level].longest.first_tile(latest)
    }

    /// The tiles, by level, of an event at `time` that some window needs once an entity has an event at `latest`.
    pub(crate) fn reached(&self, time: EventTime, latest: EventTime) -> impl Iterator<Item = (usize, EventTime)> {
        let starts = self.levels.iter().enumerate().map(move |(at, level)| (at, time.align_down(level.hop)));
        starts.filter(move |(level, start)| *start >= self.first_tile(*level, latest))
    }

    /// The earliest time that any window covers once an entity has an event at `latest`.
    pub fn first_time(&self, latest: EventTime) -> EventTime {
        let firsts = (0..self.levels.len()).map(|level| self.first_tile(level, latest));
        firsts.min().unwrap_or(latest)
    }

    /// The granules whose events must be known before an event at `time` is folded: its own, and those of its tiles
    /// where a tile may have to be folded again from its beginning.
    pub fn needed_events(&self, time: EventTime) -> Option<Range<EventTime>> {
        let span = match (self.order, self.deduplicate) {
            (FoldOrder::EventTime, _) => self.levels.last().map_or(self.granule, |level| level.hop),
            (FoldOrder::Any, true) => self.granule,
            (FoldOrder::Any, false) => return None,
        };
        let start = time.align_down(span);
        // Hops need not divide each other, so the tile of a smaller hop may begin before that of the largest.
        let start = self.levels.iter().fold(start, |start, level| match self.order {
            FoldOrder::EventTime => start.min(time.align_down(level.hop)),
            FoldOrder::Any => start,
        });
        let end = self.levels.iter().fold(end(time.align_down(span), span), |latest, level| match self.order {
            FoldOrder::EventTime => latest.max(end(time.align_down(level.hop), level.hop)),
            FoldOrder::Any => latest,
        });
        Some(start..end)
    }

    /// The granules of which nothing is needed any more once an event at `time` has arrived. They are read along with
    /// what the event needs, or nobody would find them to remove them.
    pub fn spent_events(&self, time: EventTime, arrival: Option<ArrivalTime>) -> Range<EventTime> {
        let too_late = arrival.zip(self.lateness).map(|(arrival, lateness)| {
            let longest = self.levels.last().map_or(self.granule, |level| level.hop);
            EventTime(arrival.0.saturating_sub(lateness.micros()).saturating_sub(longest.micros()))
        });
        EventTime(i64::MIN)..self.first_time(time).max(too_late.unwrap_or(EventTime(i64::MIN)))
    }

    /// Whether nothing is needed any more of the events of a granule once an entity has an event at `latest`: no window
    /// covers them, or by the clock no event can come that is a copy of one, or that is folded into one of their tiles.
    pub(crate) fn is_spent(&self, granule: EventTime, latest: EventTime, clock: Option<ArrivalTime>) -> bool {
        let own = end(granule, self.granule);
        let last = match self.order {
            FoldOrder::Any => own,
            FoldOrder::EventTime => {
                let ends = self.levels.iter().map(|level| end(granule.align_down(level.hop), level.hop));
                ends.fold(own, EventTime::max)
            }
        };
        let too_late = clock.zip(self.lateness);
        own <= self.first_time(latest)
            || too_late.is_some_and(|(clock, lateness)| clock.micros_after(last) > lateness.micros())
    }
}

/// The end of an interval, which is the start of the next. The first of all times is the start of an interval that
/// began before it.
pub(crate) fn end(start: EventTime, span: Span) -> EventTime {
    let micros = span.micros();
    EventTime((start.0.div_euclid(micros) + 1).saturating_mul(micros))
}

fn greatest_common_divisor(left: i64, right: i64) -> i64 {
    if right == 0 { left } else { greatest_common_divisor(right, left % right) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(windows: &[(u64, u64)], order: FoldOrder) -> Layout {
        let window = |&(length, hop): &(u64, u64)| Window::from_seconds(length, Some(hop)).unwrap();
        let windows = windows.iter().map(window).collect();
        Layout::new(&WindowSpec { windows, prepared: Vec::new(), order, deduplicate: true }, None)
    }

    fn second(second: i64) -> EventTime {
        EventTime(second * 1_000_000)
    }

    #[test]
    fn windows_with_one_hop_share_its_tiles() {
        let layout = layout(&[(3_600, 60), (300, 5), (7_200, 60)], FoldOrder::Any);
        let levels: Vec<_> =
            layout.levels.iter().map(|level| (level.hop.micros(), level.longest.length)).collect();
        let span = |seconds| Span::from_seconds(seconds).unwrap();
        assert_eq!(levels, [(5_000_000, span(300)), (60_000_000, span(7_200))]);
        assert_eq!(layout.windows.iter().map(|(level, _)| *level).collect::<Vec<_>>(), [1, 0, 1]);
        assert_eq!(layout.granule, span(5));
        assert_eq!(layout.first_time(second(10_000)), second(2_760));
    }

    #[test]
    fn folding_again_needs_the_events_of_every_tile() {
        let any = layout(&[(3_600, 60), (300, 5)], FoldOrder::Any);
        assert_eq!(any.needed_events(second(123)), Some(second(120)..second(125)));
        let ordered = layout(&[(90, 9), (100, 20)], FoldOrder::EventTime);
        assert_eq!(ordered.needed_events(second(41)), Some(second(36)..second(60)));
        assert_eq!(ordered.needed_events(second(19)), Some(second(0)..second(27)));
    }
}

//! What lies at different times, in their order. Most of it comes at the end and goes at the beginning.

use std::collections::VecDeque;
use std::ops::Range;

use trifold_model::EventTime;

/// Items by time, ascending.
#[derive(Debug, Clone)]
pub(crate) struct Series<T>(VecDeque<(EventTime, T)>);

impl<T> Series<T> {
    /// Nothing.
    pub(crate) fn new() -> Self {
        Series(VecDeque::new())
    }

    /// Makes room for some items that follow, and one more.
    pub(crate) fn reserve(&mut self, count: usize) {
        self.0.reserve_exact(count + 1);
    }

    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The item at a time.
    pub(crate) fn get(&self, time: EventTime) -> Option<&T> {
        self.place(time).ok().map(|place| &self.0[place].1)
    }

    /// Puts an item at a time; what was there is gone.
    pub(crate) fn insert(&mut self, time: EventTime, item: T) {
        match self.place(time) {
            Ok(place) => self.0[place].1 = item,
            Err(place) => self.0.insert(place, (time, item)),
        }
    }

    /// The item at a time, made where there is none.
    pub(crate) fn get_or_insert_with(&mut self, time: EventTime, make: impl FnOnce() -> T) -> &mut T {
        let place = self.place(time).unwrap_or_else(|place| {
            self.0.insert(place, (time, make()));
            place
        });
        &mut self.0[place].1
    }

    /// Takes the first item, if it is one of those.
    pub(crate) fn pop_first_if(&mut self, is: impl FnOnce(EventTime) -> bool) -> Option<EventTime> {
        let first = self.0.front().map(|(time, _)| *time).filter(|time| is(*time))?;
        self.0.pop_front();
        Some(first)
    }

    /// All items with their times.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (EventTime, &T)> {
        self.0.iter().map(|(time, item)| (*time, item))
    }

    /// All items.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(|(_, item)| item)
    }

    /// The items of some times.
    pub(crate) fn range(&self, times: Range<EventTime>) -> impl DoubleEndedIterator<Item = &T> {
        let places = self.first_from(times.start)..self.first_from(times.end);
        self.0.range(places).map(|(_, item)| item)
    }

    /// The items from a time on.
    pub(crate) fn range_mut(&mut self, from: EventTime) -> impl Iterator<Item = &mut T> {
        let first = self.first_from(from);
        self.0.range_mut(first..).map(|(_, item)| item)
    }

    fn first_from(&self, time: EventTime) -> usize {
        self.0.partition_point(|(other, _)| *other < time)
    }

    /// Where a time is, or would be.
    fn place(&self, time: EventTime) -> Result<usize, usize> {
        match self.0.back() {
            Some((last, _)) if *last < time => Err(self.0.len()),
            Some((last, _)) if *last == time => Ok(self.0.len() - 1),
            _ => self.0.binary_search_by_key(&time, |(other, _)| *other),
        }
    }
}

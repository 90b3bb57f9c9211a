//! The first and the last value.

use std::cmp::Ordering;

use super::kept::Kept;
use super::{Aggregate, FoldOrder, StateError, StateReader, put_text};
use crate::Timestamp;

/// The value of the earliest event that has one.
///
/// `T` is `f64`, `i64`, `bool`, [`Timestamp`] or `String`. The item is the event's time, its id and its value:
/// `(Timestamp, &str, Option<T>)`, with `&str` as the value of a `String`; an event without a value is ignored.
/// Feature `Option<T>`, none without values.
///
/// The state keeps time and id beside the value, so any fold order will do. Of copies of one event that differ, which
/// only a view without deduplication sees, the smallest value counts. A NaN is a value, and the largest. The state
/// takes 9 bytes, the id's and the value's.
#[derive(Debug, Clone)]
pub struct First<T>(Option<Event<T>>);

/// The value of the latest event that has one; of copies of one event the largest value counts. Otherwise like
/// [`First`].
#[derive(Debug, Clone)]
pub struct Last<T>(Option<Event<T>>);

#[derive(Debug, Clone)]
struct Event<T> {
    time: Timestamp,
    id: String,
    value: T,
}

impl<T: Kept> Event<T> {
    /// Where an event stands against this one.
    #[inline]
    fn place(&self, time: Timestamp, id: &str, value: &T) -> Ordering {
        let place = time.cmp(&self.time).then_with(|| id.as_bytes().cmp(self.id.as_bytes()));
        place.then_with(|| value.order(&self.value))
    }
}

/// Replaces the event that was kept by one that stands on the wanted side of it.
#[inline]
fn keep<T: Kept>(kept: &mut Option<Event<T>>, wanted: Ordering, time: Timestamp, id: &str, value: T) {
    match kept {
        Some(event) if event.place(time, id, &value) != wanted => {}
        Some(event) => {
            event.time = time;
            // The id's memory is used again: most events of a fold in order replace the last.
            event.id.clear();
            event.id.push_str(id);
            event.value = value;
        }
        None => *kept = Some(Event { time, id: id.to_owned(), value }),
    }
}

macro_rules! edge {
    ($name:ident, $wanted:expr) => {
        impl<T> Default for $name<T> {
            #[inline]
            fn default() -> Self {
                $name(None)
            }
        }

        impl<T: Kept> Aggregate for $name<T> {
            type Item<'a> = (Timestamp, &'a str, Option<T::Given<'a>>);
            type Feature = Option<T>;
            const FEATURES: &'static [&'static str] = &[""];
            const ORDER: FoldOrder = FoldOrder::Any;

            #[inline]
            fn add(&mut self, (time, id, value): Self::Item<'_>) {
                if let Some(value) = value {
                    keep(&mut self.0, $wanted, time, id, T::keep(value));
                }
            }

            fn merge(&mut self, later: &Self) {
                if let Some(event) = &later.0 {
                    keep(&mut self.0, $wanted, event.time, &event.id, event.value.clone());
                }
            }

            fn encode(&self, out: &mut Vec<u8>) {
                if let Some(event) = &self.0 {
                    event.time.put(out);
                    put_text(out, &event.id);
                    event.value.put(out);
                }
            }

            fn decode(input: &mut StateReader<'_>) -> Result<Self, StateError> {
                let time = Timestamp::take(input)?;
                let id = input.text()?.to_owned();
                Ok($name(Some(Event { time, id, value: T::take(input)? })))
            }

            fn finish(&self, _as_of: Timestamp) -> Option<T> {
                self.0.as_ref().map(|event| event.value.clone())
            }
        }
    };
}

edge!(First, Ordering::Less);
edge!(Last, Ordering::Greater);

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(0);

    fn edges(events: &[(i64, &str, Option<&str>)]) -> (Option<String>, Option<String>) {
        let (mut first, mut last) = (First::<String>::default(), Last::<String>::default());
        for (time, id, value) in events {
            first.add((Timestamp::from_micros(*time), id, *value));
            last.add((Timestamp::from_micros(*time), id, *value));
        }
        (first.finish(NOW), last.finish(NOW))
    }

    fn some(first: &str, last: &str) -> (Option<String>, Option<String>) {
        (Some(first.to_owned()), Some(last.to_owned()))
    }

    #[test]
    fn the_time_decides_then_the_id_then_the_value() {
        assert_eq!(edges(&[]), (None, None));
        assert_eq!(edges(&[(2, "a", Some("x")), (1, "b", Some("z")), (3, "a", Some("y"))]), some("z", "y"));
        assert_eq!(edges(&[(1, "b", Some("x")), (1, "a", Some("z")), (1, "c", Some("y"))]), some("z", "y"));
        assert_eq!(edges(&[(1, "a", Some("y")), (1, "a", Some("x")), (1, "a", Some("z"))]), some("x", "z"));
    }

    #[test]
    fn an_event_without_a_value_is_passed_over() {
        assert_eq!(edges(&[(1, "a", None), (2, "b", Some("x")), (3, "c", None)]), some("x", "x"));
    }
}

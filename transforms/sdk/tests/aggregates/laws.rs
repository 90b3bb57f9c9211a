//! What every aggregator promises, checked on random folds.

use std::fmt::Debug;

use trifold_sdk::Timestamp;
use trifold_sdk::aggregate::{Aggregate, FoldOrder, StateReader};

use super::random::{Random, for_seeds};

pub(super) const NOW: Timestamp = Timestamp::from_micros(1_400_000_000_000_000);

pub(super) fn encoded<A: Aggregate>(state: &A) -> Vec<u8> {
    let mut bytes = Vec::new();
    state.encode(&mut bytes);
    bytes
}

pub(super) fn decoded<A: Aggregate>(bytes: &[u8]) -> A {
    if bytes.is_empty() {
        return A::default();
    }
    let mut reader = StateReader::new(bytes);
    let state = A::decode(&mut reader).unwrap_or_else(|error| panic!("{error}: {bytes:02x?}"));
    reader.finish().unwrap();
    state
}

/// An aggregator with a way to feed it from a list of owned events.
pub(super) struct Laws<A, E> {
    pub(super) add: fn(&mut A, &E),
    /// Random events in canonical order.
    pub(super) events: fn(&mut Random, usize) -> Vec<E>,
}

impl<A, E> Laws<A, E>
where
    A: Aggregate<Feature: Debug>,
    E: Clone + Debug,
{
    /// Checks the laws over random lists of up to so many events.
    #[track_caller]
    pub(super) fn check(&self, seeds: u64, events_max: usize) {
        assert!(encoded(&A::default()).is_empty());
        for_seeds(seeds, |random| {
            let count = random.below(events_max + 1);
            let mut events = (self.events)(random, count);
            let whole = self.fold(&events);
            let bytes = encoded(&whole);
            let feature = format!("{:?}", whole.finish(NOW));

            assert_eq!(encoded(&decoded::<A>(&bytes)), bytes, "{random}: {events:?}");
            let again = format!("{:?}", decoded::<A>(&bytes).finish(NOW));
            assert_eq!(again, feature, "{random}: {events:?}");
            assert_eq!(encoded(&self.fold_in_pieces(random, &events)), bytes, "{random}: {events:?}");
            for (left, right) in [(A::default(), whole.clone()), (whole.clone(), A::default())] {
                let mut merged = left;
                merged.merge(&right);
                assert_eq!(encoded(&merged), bytes, "{random}: {events:?}");
            }
            self.merges_forget_their_making(random, &events);
            if A::ORDER == FoldOrder::Any {
                for _ in 0..3 {
                    random.shuffle(&mut events);
                    let regrouped = self.fold_as_a_tree(random, &events);
                    assert_eq!(encoded(&regrouped), bytes, "{random}: {events:?}");
                    assert_eq!(format!("{:?}", regrouped.finish(NOW)), feature, "{random}: {events:?}");
                }
            }
            self.broken_bytes_are_read_as_written_or_not_at_all(random, &bytes);
        });
    }

    fn fold(&self, events: &[E]) -> A {
        let mut state = A::default();
        events.iter().for_each(|event| (self.add)(&mut state, event));
        state
    }

    /// Writes and reads the state between events, at random places; with few events at every place.
    fn fold_in_pieces(&self, random: &mut Random, events: &[E]) -> A {
        let mut state = A::default();
        for event in events {
            if events.len() < 20 || random.coin() {
                state = decoded(&encoded(&state));
            }
            (self.add)(&mut state, event);
        }
        state
    }

    /// Merging states that were just folded and states that were read gives the same.
    fn merges_forget_their_making(&self, random: &mut Random, events: &[E]) {
        let (left, right) = events.split_at(random.below(events.len() + 1));
        let (left, right) = (self.fold(left), self.fold(right));
        let mut fresh = left.clone();
        fresh.merge(&right);
        let mut read: A = decoded(&encoded(&left));
        read.merge(&decoded(&encoded(&right)));
        assert_eq!(encoded(&fresh), encoded(&read), "{random}: {events:?}");
    }

    /// Folds by a random tree of merges, with empty states here and there.
    fn fold_as_a_tree(&self, random: &mut Random, events: &[E]) -> A {
        match events {
            [] => A::default(),
            _ if random.below(4) == 0 => self.fold(events),
            _ => {
                let (left, right) = events.split_at(random.below(events.len() + 1));
                if left.is_empty() || right.is_empty() {
                    return self.fold(events);
                }
                let (mut left, right) = (self.fold_as_a_tree(random, left), self.fold_as_a_tree(random, right));
                if random.coin() {
                    left = decoded(&encoded(&left));
                }
                left.merge(&A::default());
                left.merge(&right);
                left
            }
        }
    }

    fn broken_bytes_are_read_as_written_or_not_at_all(&self, random: &mut Random, bytes: &[u8]) {
        for _ in 0..20 {
            let mut broken = bytes.to_vec();
            for _ in 0..=random.below(3) {
                let place = random.below(broken.len() + 1);
                match random.below(4) {
                    0 => broken.insert(place, random.next() as u8),
                    1 => broken.truncate(place),
                    2 if place < broken.len() => broken[place] ^= 1 << random.below(8),
                    3 if place < broken.len() => broken[place] = random.pick(&[0, 1, 0x7F, 0x80, 0xFF]),
                    _ => broken.extend_from_slice(&random.next().to_le_bytes()),
                }
            }
            self.total(&broken);
        }
        let noise: Vec<u8> = (0..random.below(40)).map(|_| random.next() as u8).collect();
        self.total(&noise);
    }

    /// Whatever is read is written alike, and nothing panics on it.
    fn total(&self, bytes: &[u8]) {
        let mut reader = StateReader::new(bytes);
        if let Ok(mut state) = A::decode(&mut reader) {
            let read = &bytes[..bytes.len() - reader.left()];
            assert_eq!(encoded(&state), read);
            let _ = state.finish(NOW);
            state.merge(&state.clone());
            let _ = state.finish(NOW);
            encoded(&state);
        }
    }
}

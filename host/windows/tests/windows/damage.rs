//! Bytes that nobody wrote.

use bytes::Bytes;
use trifold_model::{ArrivalTime, EventTime, FoldOrder};
use trifold_windows::{Entity, Layout, Parts, Plan, Question};

use crate::case::{Case, Stored, check};
use crate::random::Random;

/// A byte more, less, or changed.
fn damage(stored: &mut Stored, random: &mut Random) {
    let place = random.below(stored.len() as u64) as usize;
    let bytes = stored.values_mut().nth(place).unwrap();
    let at = random.below(bytes.len() as u64 + 1) as usize;
    match random.below(3) {
        0 => bytes.truncate(at),
        1 => bytes.insert(at, random.bits() as u8),
        _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << random.below(8)),
    }
}

/// They are refused, or taken for what they say; nothing panics and what was taken is written as it was read.
#[test]
fn damaged_bytes_are_errors_or_other_states() {
    let (mut refused, mut taken) = (0, 0);
    for seed in 0..300 {
        let order = if seed % 2 == 0 { FoldOrder::Any } else { FoldOrder::EventTime };
        let case = Case::random(seed, order);
        let layout = Layout::new(&case.spec, case.lateness);
        let stored = check(&case);
        if stored.is_empty() {
            continue;
        }
        let mut random = Random(seed);
        for _ in 0..40 {
            let mut damaged = stored.clone();
            damage(&mut damaged, &mut random);
            let slots = damaged.iter().map(|(slot, bytes)| (*slot, bytes.clone().into()));
            match Entity::decode(&layout, slots) {
                Err(_) => refused += 1,
                Ok(mut entity) => {
                    taken += 1;
                    let latest = entity.latest().map_or(0, |latest| latest.0);
                    let mut plan = Plan::new(&layout);
                    plan.ask(&mut entity, Question { key: 0, at: EventTime(latest) });
                    let mut random = Random(random.bits());
                    let time = EventTime(latest.saturating_sub(random.below(40) as i64 * 1_000_000));
                    let (id, content, kept) = ("a", [0; 16], Bytes::from_static(b"x"));
                    plan.add(&mut entity, trifold_windows::Event { time, id, content, row: 0, kept });
                    plan.carry_out(&mut Silent).unwrap().settle(&mut entity);
                    entity.take_changes(&layout, Some(ArrivalTime(latest)), Parts::Told);
                }
            }
        }
    }
    assert!(refused > 1_000 && taken > 1_000, "{refused} refused, {taken} taken");
}

/// The fold without a look at the bytes of states, which mean nothing to it.
struct Silent;

impl trifold_windows::Fold for Silent {
    type Error = std::convert::Infallible;
    type Values = ();

    fn accumulate(
        &mut self,
        _states: &[Bytes],
        groups: &[trifold_windows::Group],
        _rows: &[trifold_windows::Row],
    ) -> Result<Vec<Result<Bytes, trifold_windows::Failure>>, Self::Error> {
        Ok(groups.iter().map(|_| Ok(Bytes::from_static(b"x"))).collect())
    }

    fn finish(
        &mut self,
        _tiles: &[&[u8]],
        _picks: &[u32],
        _windows: &[trifold_windows::Run],
        _questions: &[Question],
    ) -> Result<(), Self::Error> {
        Ok(())
    }
}

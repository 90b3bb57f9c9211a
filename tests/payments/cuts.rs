//! What the stream emitted, against backfills that know as much and backfills that know more.

use std::collections::{BTreeMap, BTreeSet};

use trifold_backfill::{Questions, Resources};
use trifold_model::{Cut, EventTime, Window};
use trifold_pipeline::{Ask, LiveVersion};

use crate::log::{Log, identity};
use crate::site::{Emitted, Site, key, stored};

/// The earliest time that any window covers at a time.
fn first_covered(version: &LiveVersion, at: i64) -> Option<i64> {
    let windows = version.view().windows()?.windows.iter();
    let first = |&Window { length, hop }: &Window| (at - length.micros()).div_euclid(hop.micros()) * hop.micros();
    windows.map(first).min()
}

/// The payments whose rows are others once all is known: those of whose card a payment came later in the log, counts,
/// is no copy, and happened by the row's time. For a window view it lies in the largest window, where it is counted; for
/// a row view it is the latest.
fn expected_to_differ(log: &Log, version: &LiveVersion) -> BTreeSet<u64> {
    let differs = |offset: u64| {
        let (at, (known, later)) = (log.as_of(offset), log.around(offset));
        let known: BTreeSet<_> = known.into_iter().map(identity).collect();
        let mut later = later.into_iter().map(identity).filter(|of| !known.contains(of));
        match first_covered(version, at) {
            Some(first) => later.any(|(time, _)| (first..=at).contains(&time)),
            None => later.any(|of| of.0 <= at && Some(&of) > known.last()),
        }
    };
    log.admitted().map(|(offset, _)| offset).filter(|offset| differs(*offset)).collect()
}

/// The rows that a backfill with all events finds at the entities and times of what was emitted.
fn with_all(site: &Site, version: &LiveVersion, emitted: &BTreeMap<u64, Emitted>) -> BTreeSet<u64> {
    let questions = Questions {
        keys: emitted.values().map(|row| row.key.clone()).collect(),
        as_of: emitted.values().map(|row| row.as_of).collect(),
    };
    let answers = site.recorded.answers(version, Cut::All, false, questions, Resources::default());
    assert_eq!(answers.len(), emitted.len());
    let pairs = emitted.iter().zip(answers);
    pairs.filter(|((_, row), answer)| row.row != *answer).map(|((offset, _), _)| *offset).collect()
}

#[track_caller]
fn check(seed: u64, step_rows: usize) {
    let site = Site::new(seed);
    let log = &site.log;
    let offsets: Vec<_> = log.admitted().map(|(offset, _)| offset).collect();
    for (version, emitted) in stored().iter().zip(site.stream(step_rows, seed)) {
        let what = format!("seed {seed}, {}", version.view().name);
        assert_eq!(emitted.keys().copied().collect::<Vec<_>>(), offsets, "{what}: rows of other events");
        for (offset, row) in &emitted {
            let of = (&row.key, row.as_of);
            assert_eq!(of, (&key(log.get(*offset)), EventTime(log.as_of(*offset))), "{what}, offset {offset}");
        }
        let at_positions = site.recorded.backfill(version, Ask::OwnPosition, false, Resources::default());
        let rows: BTreeMap<_, _> = emitted.iter().map(|(offset, row)| (*offset, row.row.clone())).collect();
        let differing: Vec<_> =
            rows.iter().filter(|(offset, row)| at_positions.get(offset) != Some(row)).collect();
        assert!(differing.is_empty() && at_positions.len() == rows.len(), "{what}: {differing:?}");
        let expected = expected_to_differ(log, version);
        assert_eq!(with_all(&site, version, &emitted), expected, "{what}");
        // A row view emits the latest event, which none comes to stand before.
        let is_window = version.view().windows().is_some();
        let some = emitted.len() / 50..emitted.len() / 2;
        assert_eq!(some.contains(&expected.len()), is_window, "{what}: {} rows differ", expected.len());
    }
}

/// The backfill at each row's own position finds the very rows. With all that is known in the end it finds others
/// exactly where a payment came later that counts there.
#[test]
fn later_payments_change_the_rows_that_they_count_in_and_no_others() {
    check(1, 190);
    check(2, 3_000);
}

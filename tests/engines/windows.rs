//! The four functions of window views, one after the other as the host calls them: what one answers the next is given.

use arrow_array::RecordBatch;
use trifold_tests::guests::component;
use trifold_tests::random::SplitMix64;

use crate::call::{Argument, Call};
use crate::engines::Engines;
use crate::{Case, Everywhere, SEED, with_odd_nans, words};

/// The example views and the guests of the tests. Built with other features they have other windows, and the same code.
const GUESTS: [&str; 5] = ["airport-load", "carrier-load", "window-numbers", "window-order", "window-fold"];
const GROUPS: u64 = 12;
const ENTITIES: usize = 5;
/// The slab of one empty state: two offsets.
const EMPTY_STATE: [u64; 1] = [0];

/// A run of at most `count` from anywhere within `all`.
fn run(random: &mut SplitMix64, all: u32, count: u32) -> [u32; 2] {
    let first = random.between(0, u64::from(all)) as u32;
    [first, random.between(0, u64::from(count.min(all - first)) + 1) as u32]
}

/// Groups of which some go on from the answers for others, and whose events overlap.
fn groups(random: &mut SplitMix64, events: u32) -> Vec<[u32; 3]> {
    let group = |place| {
        let [first, count] = run(random, events, events);
        [random.between(0, place + 1) as u32, first, count]
    };
    (0..GROUPS).map(group).collect()
}

/// Calls a function everywhere, and returns the batch that all answer.
#[track_caller]
fn call(guest: &Everywhere, name: &str, function: &str, arguments: &[Argument]) -> (u32, Vec<u64>) {
    let name = format!("{name}: {function}");
    let left: Call = guest.call(&name, function, arguments);
    guest.check_original(&name, function, arguments, &left);
    left.batch().unwrap_or_else(|| panic!("{name} failed"))
}

/// Calls all four functions about some events.
fn check(guest: &Everywhere, case: &Case, events: &RecordBatch, random: &mut SplitMix64) -> bool {
    let rows = events.num_rows() as u32;
    let name = format!("{}, {rows} rows, seed {SEED}", case.name);
    let view = &case.view;
    let slab = words(&view.inputs, events);
    let odd = with_odd_nans(slab.clone());
    guest.call(&name, "prepare", &Argument::batch(rows, &odd));
    let (prepared, slab) = call(guest, &name, "prepare", &Argument::batch(rows, &slab));
    assert_eq!(prepared, rows, "{name}");

    let fold = |slab: &[u64], groups: &[[u32; 3]]| {
        let states = Argument::batch(1, &EMPTY_STATE).into_iter();
        let arguments = states.chain([Argument::records(groups)]).chain(Argument::batch(prepared, slab));
        arguments.collect::<Vec<_>>()
    };
    let groups = groups(random, rows);
    let has_odd = with_odd_nans(slab.clone()) != slab;
    guest.call(&name, "accumulate", &fold(&with_odd_nans(slab.clone()), &groups));
    let (count, states) = call(guest, &name, "accumulate", &fold(&slab, &groups));
    assert_eq!(u64::from(count), GROUPS, "{name}");

    let spans: Vec<_> = (0..ENTITIES).map(|_| run(random, count, 4)).collect();
    let arguments = Argument::batch(count, &states).into_iter().chain([Argument::records(&spans)]);
    let (merged, tiles) = call(guest, &name, "merge", &arguments.collect::<Vec<_>>());
    assert_eq!(merged as usize, ENTITIES, "{name}");

    let windows = view.windows().unwrap().windows.len();
    let (mut picks, mut spans) = (Vec::new(), Vec::new());
    for _ in 0..ENTITIES * windows {
        let [first, count] = run(random, merged, merged);
        spans.push([picks.len() as u32, count]);
        picks.extend((first..first + count).map(|tile| [tile]));
    }
    let entities = ENTITIES.min(events.num_rows());
    let keys = events.slice(0, entities).project(view.key_columns()).unwrap();
    let as_of: Vec<u64> = (0..entities).map(|_| random.bits() >> 12).collect();
    let arguments = Argument::batch(merged, &tiles)
        .into_iter()
        .chain([Argument::records(&picks), Argument::records(&spans[..entities * windows])]);
    let keys = Argument::batch(entities as u32, &words(view.key_fields(), &keys));
    let arguments: Vec<_> = arguments.chain(keys).chain([Argument::longs(&as_of)]).collect();
    let (finished, _) = call(guest, &name, "finish", &arguments);
    assert_eq!(finished as usize, entities, "{name}");
    has_odd
}

#[test]
fn window_guests_leave_the_same_bytes_on_every_engine() {
    let (engines, mut random) = (Engines::new(), SplitMix64(SEED));
    let mut odd = 0;
    for package in GUESTS {
        let component = component(package, &[]).component.clone();
        let case = Case::new(package, &component, |_, n| n);
        let guest = Everywhere::new(&engines, &component, "accumulate");
        for batch in &case.batches {
            odd += usize::from(check(&guest, &case, batch, &mut random));
        }
    }
    assert!(odd >= 5, "{odd} batches of prepared events had NaNs");
}

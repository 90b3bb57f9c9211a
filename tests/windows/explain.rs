//! Explanations against a plain filter of the log: the value is that of a backfill, every event of the entity has the
//! verdict that the rules give it, and the tiles that are shown are those that the value is made of.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::BinaryArray;
use trifold_backfill::{BackfillError, Explain, Explained, Watch};
use trifold_model::{Cut, EventTime, Positions, decode_keys};
use trifold_oracle::{self as oracle, Event, Question, Value, Window, coded};
use trifold_pipeline::explain::{Behind, Verdict};
use trifold_pipeline::{Ask, ExplainBounds};
use trifold_sandbox::{Budget, Run, WindowTiles};
use trifold_tests::random::SplitMix64;
use trifold_tests::rows;

use crate::columns::key;
use crate::guests::{self, Guest};
use crate::runners::{Site, of_oracle, resources};
use crate::stream::{SECOND, entities, log, one_in, pick};

/// Logs of each guest, and questions to each log.
const CASES: u64 = 3;
const QUESTIONS: u64 = 12;
const EVENTS: u64 = 120;

/// The verdicts, by offset: their names and, of copies, the offset of the first.
type Verdicts = BTreeMap<u64, (&'static str, Option<u64>)>;

impl Site {
    fn explain(&self, question: &Question, cut: Cut, bounds: ExplainBounds) -> Result<Explained, BackfillError> {
        let job = self.recorded.job(self.guest.version(), Ask::Spine(cut), question.before);
        let (key, as_of) = (key(&question.entity), EventTime(question.at));
        Explain { job, key, as_of, bounds, watch: Watch::default() }.run()
    }
}

/// What becomes of each event of an entity, decided one by one.
fn verdicts(site: &Site, question: &Question) -> Verdicts {
    let (view, at) = (&site.view, question.at);
    let first_covered = view.windows.iter().map(|window| first_covered(*window, at)).min().unwrap();
    let mut clock = i64::MIN;
    let mut firsts: BTreeMap<(i64, &str), &Event> = BTreeMap::new();
    let mut verdicts = Verdicts::new();
    for event in &site.log {
        clock = clock.max(event.arrival.unwrap_or(i64::MIN));
        let arrival = event.arrival.map(|_| clock);
        if coded(&event.entity) != coded(&question.entity) {
            continue;
        }
        let delay = arrival.map_or(0, |arrival| arrival - event.time);
        let is_behind_cut = match &question.cut {
            oracle::Cut::Position(next) => event.offset >= next[&0],
            _ => false,
        };
        let is_unknown_yet = question.cut == oracle::Cut::Arrival && arrival.is_some_and(|arrival| arrival > at);
        let verdict = if view.lateness.is_some_and(|most| delay > most * SECOND) {
            ("late", None)
        } else if view.max_early.is_some_and(|most| -delay > most * SECOND) {
            ("early", None)
        } else if (view.refuses)(event) {
            ("refused", None)
        } else if is_behind_cut {
            ("behind-cut", None)
        } else if event.time > at || (event.time == at && question.before) {
            ("after-as-of", None)
        } else if is_unknown_yet {
            ("arrived-after-as-of", None)
        } else if event.time < first_covered {
            ("before-windows", None)
        } else {
            match firsts.get(&(event.time, event.id.as_str())) {
                Some(first) if view.deduplicate => {
                    let word = if inputs(site, first) == inputs(site, event) { "duplicate" } else { "conflict" };
                    (word, Some(first.offset))
                }
                _ => {
                    firsts.insert((event.time, &event.id), event);
                    ("counts", None)
                }
            }
        };
        verdicts.insert(event.offset, verdict);
    }
    verdicts
}

/// What the view reads of an event beside its key.
fn inputs(site: &Site, event: &Event) -> Vec<u8> {
    let names = site.guest.version().view().inputs.iter().map(|input| input.name.as_str());
    let own = names.filter(|name| !site.guest.keys.contains(name));
    coded(&own.map(|name| event.get(name).clone()).collect::<Vec<Value>>())
}

fn first_covered(window: Window, at: i64) -> i64 {
    let hop = window.hop * SECOND;
    (at - window.length * SECOND).div_euclid(hop) * hop
}

fn found(explained: &Explained) -> Verdicts {
    let events = explained.explanation.events.iter().map(|event| {
        let first = match event.verdict {
            Verdict::Duplicate { of: first } | Verdict::Conflict { with: first } => Some(first),
            _ => None,
        };
        (event.offset, (event.verdict.name(), first))
    });
    events.collect()
}

#[track_caller]
fn check_question(site: &Site, question: &Question, cut: &Cut) -> Verdicts {
    let what = format!("{}: {question:?}", site.name);
    let bounds = ExplainBounds { listed_max: usize::MAX, ..ExplainBounds::default() };
    let explained = site.explain(question, cut.clone(), bounds).unwrap();
    let value = rows::answered(&explained.explanation.rows).remove(0);
    site.compare(|| "the explanation".to_owned(), question, &value);
    let spine = [(question.entity.clone(), question.at)];
    let resources = resources(&mut SplitMix64(0));
    assert_eq!(
        std::slice::from_ref(&value),
        site.spine(cut.clone(), question.before, &spine, resources),
        "{what}"
    );
    let expected = verdicts(site, question);
    assert_eq!(found(&explained), expected, "{what}");
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    expected.values().for_each(|(verdict, _)| *counts.entry(verdict).or_default() += 1);
    assert_eq!(explained.explanation.counts, counts, "{what}");
    check_tiles(site, question, &explained, &expected);
    check_bounded(site, question, cut, &explained);
    if value.as_ref().is_ok_and(|row| row[0] == 0) {
        check_merged(site, question, &explained, &value);
    }
    expected
}

/// The tiles have the events that count, each in every window that covers it.
#[track_caller]
fn check_tiles(site: &Site, question: &Question, explained: &Explained, verdicts: &Verdicts) {
    let Behind::Windows(windows) = &explained.explanation.behind else { panic!("{}: no windows", site.name) };
    assert_eq!(windows.len(), site.view.windows.len());
    let counted: Vec<&Event> = site
        .log
        .iter()
        .filter(|event| verdicts.get(&event.offset).is_some_and(|(verdict, _)| *verdict == "counts"))
        .collect();
    let mut of_event: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (place, (own, found)) in site.view.windows.iter().zip(windows).enumerate() {
        let (hop, start) = (own.hop * SECOND, first_covered(*own, question.at));
        let mut tiles: BTreeMap<i64, u64> = BTreeMap::new();
        for event in counted.iter().filter(|event| event.time >= start) {
            *tiles.entry(event.time.div_euclid(hop) * hop).or_default() += 1;
            of_event.entry(event.offset).or_default().push(place);
        }
        let what = format!("{}: {question:?}: window {place}", site.name);
        assert_eq!(found.start.0, start, "{what}");
        assert_eq!(found.events(), tiles.values().sum::<u64>(), "{what}");
        let shown: BTreeMap<i64, u64> = found.tiles.iter().map(|tile| (tile.start.0, tile.events)).collect();
        assert_eq!(shown, tiles, "{what}");
        for tile in &found.tiles {
            assert_eq!(tile.end.0, tile.start.0 + hop, "{what}");
            // The last microsecond of the tile is covered, or the tile is partial.
            let last = tile.end.0 - 1;
            let is_covered = last < question.at || (last == question.at && !question.before);
            assert_eq!(tile.is_partial, !is_covered, "{what}: {tile:?}");
        }
    }
    for event in &explained.explanation.events {
        if let Verdict::Counts(windows) = &event.verdict {
            assert_eq!(*windows, of_event[&event.offset], "{}: {question:?}: {event:?}", site.name);
        }
    }
}

/// The component makes the value of the tiles that are shown, and of nothing else.
#[track_caller]
fn check_merged(site: &Site, question: &Question, explained: &Explained, value: &rows::Row) {
    let Behind::Windows(windows) = &explained.explanation.behind else { panic!("{}: no windows", site.name) };
    let (mut states, mut runs) = (Vec::new(), Vec::new());
    for window in windows {
        let first = states.len() as u32;
        states
            .extend(window.tiles.iter().map(|tile| tile.state.clone().unwrap()).filter(|state| !state.is_empty()));
        runs.push(Run { first, count: states.len() as u32 - first });
    }
    let version = site.guest.version();
    let picks: Vec<u32> = (0..states.len() as u32).collect();
    let tiles = WindowTiles {
        tiles: &BinaryArray::from_iter_values(&states),
        picks: &picks,
        windows: &runs,
        keys: &decode_keys(version.view().key_fields(), [&key(&question.entity)]).unwrap(),
        as_of: &[EventTime(question.at)],
    };
    let merged = version.transform.finish(&tiles, &mut Budget::unlimited());
    assert_eq!(rows::applied(&merged), std::slice::from_ref(value), "{}: {question:?}", site.name);
}

/// With fewer events listed, those are left that might have counted and do not, then the nearest; nothing else changes.
#[track_caller]
fn check_bounded(site: &Site, question: &Question, cut: &Cut, all: &Explained) {
    let bounds = ExplainBounds { listed_max: 3, ..ExplainBounds::default() };
    let few = site.explain(question, cut.clone(), bounds).unwrap().explanation;
    let what = format!("{}: {question:?}", site.name);
    assert_eq!(few.counts, all.explanation.counts, "{what}");
    assert_eq!(few.events.len(), all.explanation.events.len().min(3), "{what}");
    assert!(few.events.iter().all(|event| all.explanation.events.contains(event)), "{what}");
    let first = site.view.windows.iter().map(|window| first_covered(*window, question.at)).min().unwrap();
    let might_count = |verdict: &Verdict, time: Option<EventTime>| match verdict {
        Verdict::Counts(_) => false,
        _ => time.is_none_or(|time| (first..=question.at).contains(&time.0)),
    };
    let excluded = |events: &[trifold_pipeline::explain::ExplainedEvent]| {
        events.iter().filter(|event| might_count(&event.verdict, event.time)).count()
    };
    assert_eq!(excluded(&few.events), excluded(&all.explanation.events).min(3), "{what}");
}

#[track_caller]
fn check(guest: &'static Guest, seen: &mut BTreeSet<&'static str>) {
    for seed in 0..CASES {
        let mut random = SplitMix64(seed + 3_000);
        let has_limits = (guest.oracle)().lateness.is_some();
        let arrivals = has_limits || seed > 0;
        let log = log(&mut random, guest.keys, EVENTS, arrivals);
        let name = format!("{} {:?}, seed {seed}", guest.package, guest.features);
        let site = Site::new(name, guest, log);
        for _ in 0..QUESTIONS {
            let position = Cut::Position(Positions([(0, random.between(0, EVENTS + 1))].into()));
            let cut = match random.between(0, 3) {
                0 if arrivals => Cut::Arrival,
                1 => position,
                _ => Cut::All,
            };
            let after = pick(&mut random, &[0, 0, 1, -1, SECOND, 10 * SECOND, 61 * SECOND, 5_000 * SECOND]);
            let question = Question {
                entity: entities(guest.keys)[random.between(0, 4) as usize].clone(),
                at: site.log[random.between(0, EVENTS) as usize].time + after,
                before: one_in(&mut random, 3),
                cut: of_oracle(&cut),
            };
            seen.extend(check_question(&site, &question, &cut).into_values().map(|(verdict, _)| verdict));
        }
    }
}

#[test]
fn every_event_has_its_reason() {
    let mut seen = BTreeSet::new();
    for guest in [
        &guests::NUMBERS,
        &guests::NUMBERS_LIMITS,
        &guests::NUMBERS_COPIES,
        &guests::ORDER,
        &guests::ORDER_LIMITS,
        &guests::FOLD,
        &guests::FOLD_LIMITS,
    ] {
        check(guest, &mut seen);
    }
    let all = [
        "after-as-of",
        "arrived-after-as-of",
        "before-windows",
        "behind-cut",
        "conflict",
        "counts",
        "duplicate",
        "early",
        "late",
        "refused",
    ];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), all);
}

#[test]
fn an_entity_with_too_many_events_in_reach_is_refused() {
    let mut random = SplitMix64(7);
    let log = log(&mut random, guests::NUMBERS.keys, EVENTS, true);
    let site = Site::new("too many".to_owned(), &guests::NUMBERS, log);
    let entity = entities(guests::NUMBERS.keys)[0].clone();
    let at = site.log.iter().map(|event| event.time).max().unwrap();
    let question = Question { entity, at, before: false, cut: oracle::Cut::All };
    let counts = verdicts(&site, &question).values().filter(|(verdict, _)| *verdict != "before-windows").count();
    assert!(counts > 4, "{counts}");
    let bounds = |held_max| ExplainBounds { held_max, ..ExplainBounds::default() };
    let error = site.explain(&question, Cut::All, bounds(3)).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("more than 3 events of this entity") && error.contains("trifold backfill"), "{error}");
    site.explain(&question, Cut::All, bounds(EVENTS as usize)).unwrap();
}

//! The real command, killed and started again: at twenty positions of the real log every entity is looked up over
//! gRPC and compared with a backfill up to that position.

use std::collections::BTreeSet;

use tokio::runtime::Runtime;
use trifold_backfill::{Job, Questions, Replay, Resources, Watch};
use trifold_eventlog::{ArrivalClock, FileLog, LogOptions, SourceConfig, decode};
use trifold_model::{CanonicalRows, Cut, EntityKey, EventTime, Positions, RowDigest, first_difference};
use trifold_pipeline::{ArrivalPolicy, Ask, LiveVersion};
use trifold_server::client::Client;
use trifold_tests::command::{Running, Trifold};
use trifold_tests::guests::component;
use trifold_tests::live::{transform, version};
use trifold_tests::online::{key_columns, runtime};
use trifold_tests::random::SplitMix64;
use trifold_tests::rows;
use trifold_tests::{FLIGHTS, FLIGHTS_WITHOUT_TAILNUM, flights};

use crate::PROGRAM;

const SEED: u64 = 20_130_102;
const STOPS: usize = 20;
/// Small, so that a kill lands between the first and the last step of a stretch.
const STEP_ROWS: u64 = 256;
/// Entities of one request.
const REQUEST_ROWS: usize = 1_000;
/// The distinct pairs of carrier and flight number, and the distinct tail numbers, of the log.
const ENTITIES: [usize; 2] = [2_552, 3_424];

/// A view, every entity of the log, and the time of every event.
struct Subject {
    version: LiveVersion,
    keys: Vec<EntityKey>,
}

fn subject(package: &str) -> (Subject, Vec<EventTime>) {
    let version = version(1, transform(package, &[]));
    let view = version.view();
    let mut log = FileLog::open(&flights(), LogOptions::default()).unwrap();
    let (mut keys, mut times, mut next) = (BTreeSet::new(), Vec::new(), 0);
    while let Some(raw) = log.read(next, 100_000).unwrap() {
        next = raw.next_offset();
        let events = decode(&raw, &SourceConfig::default(), view, &mut ArrivalClock::default()).unwrap();
        let columns = CanonicalRows::of_columns(&events.inputs, view.key_columns().iter().copied()).unwrap();
        keys.extend((0..events.offsets.len()).map(|row| columns.key(row, &mut Vec::new())));
        times.extend(events.times);
    }
    (Subject { version, keys: keys.into_iter().collect() }, times)
}

/// Positions in ascending order, the last one the end of the log.
fn stops(random: &mut SplitMix64) -> Vec<u64> {
    let mut stops = BTreeSet::from([FLIGHTS]);
    while stops.len() < STOPS {
        stops.insert(random.between(1, FLIGHTS));
    }
    stops.into_iter().collect()
}

fn up(trifold: &Trifold, stop_at: u64, keep_outputs: bool) -> Running {
    let (events, stop_at, step_rows) = (flights(), stop_at.to_string(), STEP_ROWS.to_string());
    let events = events.to_str().unwrap();
    let kept = keep_outputs.to_string();
    // Each step is written by itself, or some together, so that a kill finds steps that are in memory alone.
    let interval = if keep_outputs { "0" } else { "20" };
    let steps = ["--step-rows", &step_rows, "--checkpoint-interval-ms", interval];
    let stretch = ["--stop-at", &stop_at, "--keep-outputs", &kept].into_iter().chain(steps);
    trifold.start(["up", "--events", events].into_iter().chain(stretch))
}

/// Asks until both views have applied the log up to a position, or beyond it. Asking takes as long as it takes,
/// so that nobody has to sleep in between.
async fn wait_for(url: &str, subjects: &[Subject; 2], position: u64) -> Client {
    let mut client = Client::connect(url).await.unwrap();
    loop {
        let mut applied = u64::MAX;
        for subject in subjects {
            let view = subject.version.view();
            let keys = key_columns(view, &subject.keys[..1]);
            let answer = client.get(&[view.name.to_string()], &keys, None).await.unwrap();
            let position = answer.views[0].position.as_ref();
            applied = applied.min(position.map_or(0, |position| position.positions.next(0)));
        }
        if applied >= position {
            return client;
        }
    }
}

/// Looks every entity up and compares the answers with a backfill up to the position; how many were compared.
fn compare(runtime: &Runtime, client: &mut Client, subject: &Subject, position: u64, at: EventTime) -> usize {
    let view = subject.version.view();
    let features = [view.name.to_string()];
    let mut questions = Questions { keys: subject.keys.clone(), as_of: Vec::new() };
    let (mut answers, mut digests) = (Vec::new(), Vec::new());
    for keys in subject.keys.chunks(REQUEST_ROWS) {
        let keys = key_columns(view, keys);
        let answer = runtime.block_on(client.get(&features, &keys, Some(at))).unwrap();
        let rows = &answer.views[0];
        assert_eq!(rows.digest, subject.version.digest());
        assert_eq!(rows.position.as_ref().unwrap().positions.next(0), position);
        questions.as_of.extend(answer.as_of);
        answers.extend(rows::answered(&rows.rows));
        digests.extend(rows.digests.iter().copied());
    }
    let replay = Replay {
        job: job(&subject.version, position),
        questions: Some(questions),
        spill_dir: std::env::temp_dir(),
        resources: Resources::default(),
        watch: Watch::default(),
    };
    let mut compared = 0;
    let mut compare = |answer: trifold_backfill::ReplayAnswer<'_>| {
        let (online, replayed) = (answers[answer.number as usize].as_ref().unwrap(), answer.value.unwrap());
        if let Some(difference) = first_difference(&view.outputs, online, replayed) {
            panic!("{} at position {position}, entity {}: {difference}", view.name, answer.number);
        }
        assert_eq!(digests[answer.number as usize], Some(RowDigest::of(replayed)));
        compared += 1;
    };
    replay.answers(&mut compare).unwrap();
    compared
}

fn job(version: &LiveVersion, position: u64) -> Job {
    Job {
        version: version.clone(),
        log: flights(),
        log_name: None,
        checks_keys: true,
        source: SourceConfig::default(),
        ask: Ask::Spine(Cut::Position(Positions([(0, position)].into()))),
        before: false,
        arrivals: ArrivalPolicy::NotNeeded,
        until: None,
    }
}

#[expect(clippy::print_stdout, reason = "a run that fails is repeated from its seed")]
#[test]
fn lookups_after_kills_are_those_of_a_backfill() {
    let trifold = Trifold::new(PROGRAM);
    for package in ["flight-profile", "aircraft"] {
        let component = component(package, &[]);
        trifold.run(["push", component.path.to_str().unwrap(), "--release"]).succeeded();
    }
    let ((profile, times), (aircraft, _)) = (subject("flight-profile"), subject("aircraft"));
    let subjects = [profile, aircraft];
    assert_eq!(times.len() as u64, FLIGHTS);
    assert_eq!(subjects.each_ref().map(|subject| subject.keys.len()), ENTITIES);
    println!("seed {SEED}");
    let mut random = SplitMix64(SEED);
    let runtime = runtime();
    let (mut compared, mut before) = ([0, 0], 0);
    for (stop, position) in stops(&mut random).into_iter().enumerate() {
        // So the store comes to hold records with values and without, and lookups of both.
        let keep_outputs = stop.is_multiple_of(2);
        // Somewhere on the way, whatever it is doing.
        let midway = random.between(before, position);
        let killed = up(&trifold, position, keep_outputs);
        runtime.block_on(wait_for(&killed.url, &subjects, midway));
        killed.kill();
        // Once more, and there at the position itself.
        let running = up(&trifold, position, keep_outputs);
        let mut client = runtime.block_on(wait_for(&running.url, &subjects, position));
        for (subject, compared) in subjects.iter().zip(&mut compared) {
            // The log is sorted, so this is the latest time before the position.
            let at = times[position as usize - 1];
            *compared += compare(&runtime, &mut client, subject, position, at);
        }
        running.kill();
        before = position;
    }
    assert_eq!(compared, ENTITIES.map(|count| STOPS * count));
    // What was emitted between all those deaths is one row per event.
    for (subject, rejected) in subjects.iter().zip([0, FLIGHTS_WITHOUT_TAILNUM]) {
        let view = subject.version.view().name.as_str();
        let flights = flights();
        let audit = ["audit", view, "--events", flights.to_str().unwrap(), "--format", "json"];
        let report = trifold.run(audit).succeeded().json();
        assert_eq!(report["compared"], FLIGHTS - rejected);
        for count in ["differing", "missing", "extra", "unavailable"] {
            assert_eq!(report[count], 0, "{report}");
        }
    }
}

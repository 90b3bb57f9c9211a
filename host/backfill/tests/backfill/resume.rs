//! Interrupted backfills, and directories that hold something already.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use trifold_backfill::{Backfill, BackfillError, Phase, Watch};
use trifold_model::Cut;
use trifold_pipeline::Ask;

use crate::cuts::position;
use crate::fixture::{Limits, Random, Scene, echo, random_events, read_back, run, write_log};

/// Cancels a backfill once it has computed a number of rows.
fn cancelled_after(backfill: &Backfill, rows: u64) -> BackfillError {
    let cancelled = Arc::new(AtomicBool::new(false));
    let flag = cancelled.clone();
    let progress = move |phase: Phase, done: u64, _total: u64| {
        if phase == Phase::Compute && done >= rows {
            flag.store(true, Ordering::Relaxed);
        }
    };
    let watch = Watch { progress: Arc::new(progress), cancelled };
    Backfill { watch, ..backfill.clone() }.run().unwrap_err()
}

fn backfill(scene: &Scene, ordered: bool) -> Backfill {
    let ask = if ordered { Ask::OwnPosition } else { Ask::EveryEvent(Cut::Arrival) };
    let job = scene.job(&echo(Limits::default(), false), ask, false, true);
    let mut backfill = scene.backfill(job, 6);
    backfill.output.overwrite = false;
    backfill.resources.threads = 1;
    // Two shards a pass.
    backfill.resources.pass_rows_max = 250;
    backfill
}

#[test]
fn finished_files_survive_an_interruption() {
    for ordered in [false, true] {
        let mut events = random_events(&mut Random(0x5EED_0031), 600);
        if ordered {
            (0..).zip(&mut events).for_each(|(time, event)| event.time = time);
        }
        let scene = Scene::new(&events, 12);
        let backfill = backfill(&scene, ordered);
        let mut finished_before = 0;
        let mut files = 0;
        // Of what is left, a third, a half and two thirds.
        for rows in [200, 200, 130] {
            let error = cancelled_after(&backfill, rows);
            let BackfillError::Cancelled { finished, total } = error else { panic!("{error}") };
            assert!(finished >= finished_before && finished < total, "{ordered}: {finished} of {total}");
            (finished_before, files) = (finished, total);
        }
        assert!(finished_before > 0, "ordered {ordered}: nothing survived");
        let kept = fs::metadata(scene.out.join("part-00000.parquet")).unwrap().modified().unwrap();
        let (report, resumed) = run(&backfill).unwrap();
        assert_eq!(report.resumed_count, finished_before, "ordered {ordered}");
        let still = fs::metadata(scene.out.join("part-00000.parquet")).unwrap().modified().unwrap();
        assert_eq!(kept, still, "ordered {ordered}: a finished file was written again");
        let mut whole = backfill.clone();
        whole.output.dir = scene.out.with_file_name("whole");
        let (from_scratch, rows) = run(&whole).unwrap();
        assert_eq!(resumed, rows, "ordered {ordered}");
        assert_eq!(report.counts, from_scratch.counts, "ordered {ordered}");
        assert_eq!(run(&backfill).unwrap().0.resumed_count, files, "there is nothing left to do");
    }
}

#[test]
fn a_file_that_is_not_as_it_was_left_is_made_again() {
    let scene = Scene::new(&random_events(&mut Random(0x5EED_0032), 300), 2);
    let backfill = backfill(&scene, false);
    let (_, rows) = run(&backfill).unwrap();
    fs::remove_file(scene.out.join("part-00001.parquet")).unwrap();
    fs::write(scene.out.join("part-00004.parquet"), b"PAR1").unwrap();
    let (report, again) = run(&backfill).unwrap();
    assert_eq!((report.resumed_count, again), (4, rows));
}

#[test]
fn other_parameters_are_refused_by_name() {
    let events = random_events(&mut Random(0x5EED_0033), 100);
    let scene = Scene::new(&events, 2);
    let first = backfill(&scene, false);
    run(&first).unwrap();
    let change = |change: &dyn Fn(&mut Backfill)| {
        let mut other = first.clone();
        change(&mut other);
        other.run().unwrap_err().to_string()
    };
    let error = change(&|other| other.resources.shards = 7);
    assert!(error.contains("its shards was 6 and is now 7") && error.contains("--overwrite"), "{error}");
    let error = change(&|other| other.job.ask = Ask::EveryEvent(Cut::All));
    assert!(error.contains("its cut was arrival and is now all"), "{error}");
    let error = change(&|other| other.output.digest = false);
    assert!(error.contains("its digest was true and is now false"), "{error}");
    let error = change(&|other| other.job.version = echo(Limits { ttl: Some(1), ..Limits::default() }, false));
    assert!(error.contains("its component was"), "{error}");
    // What changes no row may change.
    let mut other = first.clone();
    (other.resources.threads, other.resources.memory_bytes_max) = (2, 64 << 20);
    assert_eq!(other.run().unwrap().resumed_count, 6);
    write_log(&scene.log, &random_events(&mut Random(2), 120), 2, 0);
    let error = change(&|_| ());
    assert!(error.contains("its sources 0000.parquet rows was 50 and is now 60"), "{error}");
    let mut other = first.clone();
    (other.output.overwrite, other.resources.shards) = (true, 2);
    let (report, _) = run(&other).unwrap();
    assert_eq!((report.resumed_count, report.files.len()), (0, 2));
    assert!(!scene.out.join("part-00005.parquet").exists(), "the files of the backfill before are gone");
}

#[test]
fn a_log_may_grow_behind_the_end() {
    let events = random_events(&mut Random(0x5EED_0034), 120);
    let scene = Scene::new(&events, 1);
    let line = r#"{"key":1,"value":120,"event_time":"1970-01-01T00:00:01Z","event_id":"x","arrived":"1970-01-01T00:00:01Z"}"#;
    let tail = scene.log.join("9999.jsonl");
    fs::write(&tail, format!("{line}\n")).unwrap();
    let mut bounded = backfill(&scene, false);
    bounded.job.until = Some(position(121));
    assert_eq!(run(&bounded).unwrap().1.len(), 121);
    fs::write(&tail, format!("{line}\n{line}\n")).unwrap();
    assert_eq!(run(&bounded).unwrap().0.resumed_count, 6);
    bounded.job.until = None;
    let error = bounded.run().unwrap_err().to_string();
    assert!(error.contains("its until"), "{error}");
}

/// The file in which a position lies may grow, at its end or within what was half a line; its rows before the
/// position are the same.
#[test]
fn a_log_may_grow_behind_the_position_of_a_cut() {
    let scene = Scene::new(&random_events(&mut Random(0x5EED_0035), 100), 2);
    let tail = scene.log.join("0001.jsonl");
    let text = fs::read_to_string(&tail).unwrap();
    let line = text.lines().next().unwrap();
    for cut in [70, 100] {
        let mut bounded = backfill(&scene, false);
        bounded.job.ask = Ask::EveryEvent(Cut::Position(position(cut)));
        bounded.output.dir = scene.out.with_file_name(format!("cut-{cut}"));
        fs::write(&tail, format!("{text}{}", &line[..20])).unwrap();
        let (first, rows) = run(&bounded).unwrap();
        assert_eq!((rows.len() as u64, first.resumed_count), (cut, 0));
        let grown = format!("{text}{line}\n{}", format!("{line}\n").repeat(3000));
        fs::write(&tail, grown).unwrap();
        let (second, again) = run(&bounded).unwrap();
        assert_eq!((second.resumed_count, again), (first.files.len() as u32, rows));
        // What was read is compared all the same.
        fs::write(&tail, text.replacen(&format!("{line}\n"), "", 1)).unwrap();
        if cut == 100 {
            let error = bounded.run().unwrap_err().to_string();
            assert!(error.contains("its sources 0001.jsonl rows was 50 and is now 49"), "{error}");
        }
    }
}

#[test]
fn nobody_elses_files_are_touched() {
    let scene = Scene::new(&random_events(&mut Random(3), 10), 1);
    fs::create_dir_all(&scene.out).unwrap();
    fs::write(scene.out.join("thesis.txt"), "all of it").unwrap();
    for overwrite in [false, true] {
        let mut backfill = backfill(&scene, false);
        backfill.output.overwrite = overwrite;
        let error = backfill.run().unwrap_err();
        assert!(
            matches!(&error, BackfillError::ForeignDirectory { found, .. } if found == "thesis.txt"),
            "{error}"
        );
    }
    assert_eq!(fs::read_to_string(scene.out.join("thesis.txt")).unwrap(), "all of it");
    assert_eq!(fs::read_dir(&scene.out).unwrap().count(), 1, "something was left behind");
}

#[test]
fn two_backfills_do_not_share_a_directory() {
    let scene = Scene::new(&random_events(&mut Random(4), 200), 2);
    let first = backfill(&scene, false);
    let second = first.clone();
    let tried = Arc::new(AtomicBool::new(false));
    let flag = tried.clone();
    let progress = move |phase: Phase, _done: u64, _total: u64| {
        if phase == Phase::Compute && !flag.swap(true, Ordering::Relaxed) {
            let error = second.run().unwrap_err();
            assert!(matches!(error, BackfillError::Busy { .. }), "{error}");
        }
    };
    let watch = Watch { progress: Arc::new(progress), ..Watch::default() };
    Backfill { watch, ..first.clone() }.run().unwrap();
    assert!(tried.load(Ordering::Relaxed));
    assert_eq!(read_back(&first).len(), 200);
}

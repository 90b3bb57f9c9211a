//! More rows than memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use trifold_backfill::{Phase, Replay, ReplayAnswer, Resources, Watch};
use trifold_model::{Cut, RowDigest};
use trifold_pipeline::Ask;

use crate::fixture::{Limits, Random, Scene, echo, random_events, run};

/// The bytes of all files below a directory. Files may come and go meanwhile.
fn bytes_below(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let size = |path: &Path| match fs::metadata(path) {
        Ok(found) if found.is_dir() => bytes_below(path),
        found => found.map_or(0, |found| found.len()),
    };
    entries.flatten().map(|entry| size(&entry.path())).sum()
}

/// Some 2 KiB a row: 60 MB of events, and as much again of questions or of answers.
const PADDING: usize = 2000;
const EVENTS: usize = 30_000;

/// Watches how much lies below a directory while a backfill runs.
fn watching(spill_dir: PathBuf, most: &Arc<AtomicU64>) -> Watch {
    let most = most.clone();
    let progress = move |_: Phase, _: u64, _: u64| {
        most.fetch_max(bytes_below(&spill_dir), Ordering::Relaxed);
    };
    Watch { progress: Arc::new(progress), ..Watch::default() }
}

#[test]
fn sorting_on_disk_changes_no_row() {
    let seed = 0x5EED_0051;
    let events = random_events(&mut Random(seed), EVENTS);
    let scene = Scene::padded(&events, 4, PADDING);
    let version = echo(Limits::default(), true);
    let job = scene.job(&version, Ask::EveryEvent(Cut::Arrival), false, true);
    let mut backfill = scene.backfill(job.clone(), 4);
    backfill.resources.memory_bytes_max = 1 << 30;
    let (_, in_memory) = run(&backfill).unwrap();
    assert_eq!(in_memory.len(), events.len(), "seed {seed:#x}");
    let (most, resources) = (Arc::default(), Resources { memory_bytes_max: 0, ..backfill.resources.clone() });
    backfill.resources = resources.clone();
    backfill.watch = watching(scene.out.join("_tmp"), &most);
    let (_, spilled) = run(&backfill).unwrap();
    assert!(most.load(Ordering::Relaxed) > 32 << 20, "seed {seed:#x}: {most:?} bytes on disk");
    assert!(in_memory == spilled, "seed {seed:#x}");
    assert!(!scene.out.join("_tmp").exists(), "nothing is left behind");

    let spill_dir = scene.out.with_file_name("spill");
    let most = Arc::default();
    let watch = watching(spill_dir.clone(), &most);
    let replay = Replay { job, questions: None, spill_dir, resources, watch };
    let mut numbers = 0..;
    let mut each = |answer: ReplayAnswer<'_>| {
        assert_eq!(Some(answer.number), numbers.next(), "seed {seed:#x}");
        assert_eq!(RowDigest::of(answer.value.unwrap()), in_memory[&answer.number].digest, "seed {seed:#x}");
    };
    assert_eq!(replay.answers(&mut each).unwrap(), events.len() as u64);
    assert!(most.load(Ordering::Relaxed) > 32 << 20, "seed {seed:#x}: {most:?} bytes on disk");
}

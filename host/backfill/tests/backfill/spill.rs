//! More rows than memory.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use trifold_backfill::Resources;
use trifold_model::Cut;
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

#[test]
fn sorting_on_disk_changes_no_row() {
    let seed = 0x5EED_0051;
    let events = random_events(&mut Random(seed), 30_000);
    // Some 2 KiB a row: 60 MB of events, and as much again of questions.
    let scene = Scene::padded(&events, 4, 2000);
    let version = echo(Limits::default(), true);
    let job = scene.job(&version, Ask::EveryEvent(Cut::Arrival), false, true);
    let mut backfill = scene.backfill(job, 4);
    backfill.resources.memory_bytes_max = 1 << 30;
    let (_, in_memory) = run(&backfill).unwrap();
    backfill.resources.memory_bytes_max = Resources::MEMORY_BYTES_MIN;
    let most = Arc::new(AtomicU64::new(0));
    backfill.watch.progress = {
        let (most, spill_dir) = (most.clone(), scene.out.join("_tmp"));
        Arc::new(move |_, _, _| {
            most.fetch_max(bytes_below(&spill_dir), Ordering::Relaxed);
        })
    };
    let (_, spilled) = run(&backfill).unwrap();
    let most = most.load(Ordering::Relaxed);
    assert!(most > 32 << 20, "seed {seed:#x}: sorting put {most} bytes on disk");
    assert_eq!(in_memory.len(), events.len(), "seed {seed:#x}");
    assert!(in_memory == spilled, "seed {seed:#x}");
    assert!(!scene.out.join("_tmp").exists(), "nothing is left behind");
}

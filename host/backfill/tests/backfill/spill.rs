//! More rows than memory.

use trifold_backfill::Resources;
use trifold_model::Cut;
use trifold_pipeline::Ask;

use crate::fixture::{Limits, Random, Scene, echo, random_events, run};

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
    let (_, spilled) = run(&backfill).unwrap();
    assert_eq!(in_memory.len(), events.len(), "seed {seed:#x}");
    assert!(in_memory == spilled, "seed {seed:#x}");
    assert!(!scene.out.join("_tmp").exists(), "nothing is left behind");
}

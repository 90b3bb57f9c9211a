//! Groups that do not fit into one call.

use arrow_array::{BinaryArray, RecordBatch};
use trifold_pipeline::synthetic_samples;
use trifold_sandbox::{Budget, Group, Sandbox, SandboxConfig, Transform};
use trifold_tests::guests::component;

const SEED: u64 = 20_261_121;
/// More than a thread's stack has frames for.
const EVENTS: usize = 8_000;

fn transform(batch_rows_max: usize) -> Transform {
    let config = SandboxConfig { batch_rows_max, ..SandboxConfig::default() };
    Sandbox::new(config).unwrap().admit(&component("window-numbers", &[]).component).unwrap()
}

fn folded(transform: &Transform, prepared: &RecordBatch) -> Vec<u8> {
    let group = Group { state: 0, first: 0, count: prepared.num_rows() as u32 };
    let empty = BinaryArray::from_iter_values([b""]);
    let folded = transform.accumulate(&empty, &[group], prepared, &mut Budget::unlimited());
    assert!(folded.failures.is_empty(), "{:?}", folded.failures);
    let state = folded.states.value(0).to_vec();
    assert!(!state.is_empty());
    state
}

#[test]
fn a_group_is_folded_in_as_many_calls_as_it_takes() {
    let whole = transform(EVENTS);
    let samples = synthetic_samples(whole.view(), SEED, 1).unwrap();
    let one = whole.prepare(&samples, &mut Budget::unlimited()).outputs;
    let prepared = arrow_select::concat::concat_batches(&one.schema(), vec![&one; EVENTS]).unwrap();
    assert_eq!(folded(&transform(1), &prepared), folded(&whole, &prepared), "seed {SEED}");
}

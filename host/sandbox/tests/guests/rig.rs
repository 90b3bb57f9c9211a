//! Building sandboxes and batches, and reading what comes back.

use std::sync::{Arc, OnceLock};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, Int64Array, RecordBatch};
use trifold_model::ErrorCode;
use trifold_sandbox::{Applied, Budget, Cause, Sandbox, SandboxConfig, Transform, Verdict};
use trifold_wat_guest::{Act, Guest};

/// One engine for all tests: it reserves address space for every instance.
pub(crate) fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| Sandbox::new(SandboxConfig::default()).unwrap())
}

#[track_caller]
pub(crate) fn admit(guest: &Guest) -> Transform {
    sandbox().admit(&guest.build().unwrap()).unwrap()
}

/// Inputs of the unruly guest: each row's act and `n`; the key is the row's number.
pub(crate) fn rows(transform: &Transform, rows: &[(Act, i64)]) -> RecordBatch {
    let column = |values: Vec<i64>| Arc::new(Int64Array::from(values)) as Arc<dyn Array>;
    let columns = vec![
        column((0..rows.len() as i64).collect()),
        column(rows.iter().map(|(act, _)| *act as i64).collect()),
        column(rows.iter().map(|(_, n)| *n).collect()),
    ];
    RecordBatch::try_new(transform.view().input_schema().clone(), columns).unwrap()
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Value(i64),
    Error(ErrorCode),
    Unavailable(Cause),
}

/// The fate of every row of an output `y`, after checking that outputs and failures fit together.
#[track_caller]
pub(crate) fn fates(applied: &Applied) -> Vec<Fate> {
    let y = applied.outputs.column_by_name("y").unwrap().as_primitive::<Int64Type>();
    let mut fates: Vec<_> = y.iter().map(|value| value.map(Fate::Value)).collect();
    assert!(applied.failures.is_sorted_by(|a, b| a.row < b.row), "{:?}", applied.failures);
    for failure in &applied.failures {
        assert_eq!(fates[failure.row], None, "row {} has a value and a failure", failure.row);
        fates[failure.row] = Some(match failure.verdict {
            Verdict::Error(code) => Fate::Error(code),
            Verdict::Unavailable(cause) => Fate::Unavailable(cause),
        });
    }
    fates.into_iter().map(|fate| fate.expect("a row without value or failure")).collect()
}

/// The fates of rows applied in batches of `size`.
#[track_caller]
pub(crate) fn fates_in_batches(transform: &Transform, inputs: &RecordBatch, size: usize) -> Vec<Fate> {
    let starts = (0..inputs.num_rows()).step_by(size);
    let batches = starts.map(|start| inputs.slice(start, size.min(inputs.num_rows() - start)));
    batches.flat_map(|batch| fates(&transform.apply(&batch, &mut Budget::unlimited()))).collect()
}

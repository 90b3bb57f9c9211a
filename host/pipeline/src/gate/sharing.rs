//! State that two versions share: what one has folded, the other goes on with. So both must fold alike.

use arrow_array::RecordBatch;
use trifold_model::WindowSpec;
use trifold_sandbox::Transform;

use super::folds::Folds;
use super::{GateCheck, GateError};

const SHARED: &str = "state shared with earlier versions";

/// What the author of a component that failed the check may do.
pub(super) fn advice(name: &str) -> Option<&'static str> {
    (name == SHARED).then_some(
        "what one version has stored the other goes on with, so raise `state_version` in the view's attribute; the new \
         version then gets a state of its own",
    )
}

/// Folds the sample events that a window view accepts with two versions that have one state id, and compares what each
/// event is prepared to, the state after each event, and what parts of it merge to.
pub(super) fn sharing_check(
    transform: &Transform,
    (number, earlier): (u64, &Transform),
    spec: &WindowSpec,
    samples: &RecordBatch,
    seed: u64,
) -> Result<GateCheck, GateError> {
    let difference = state_difference([earlier, transform], spec, samples, seed)?;
    let failure = difference.map(|difference| format!("version {number} {difference}"));
    Ok(GateCheck { name: SHARED, rows: samples.num_rows(), failure })
}

/// What the earlier one of two versions with one state id does otherwise with the sample events, if anything.
pub(crate) fn state_difference(
    [earlier, new]: [&Transform; 2],
    spec: &WindowSpec,
    samples: &RecordBatch,
    seed: u64,
) -> Result<Option<String>, GateError> {
    let mut new = Folds::new(new, spec, samples, seed)?;
    let mut earlier = Folds::new(earlier, spec, samples, seed)?;
    if let Some(sample) = new.other_sample(&earlier) {
        return Ok(Some(format!("and this one do not both accept sample event {sample}")));
    }
    if let Some(sample) = new.prepared_otherwise(&earlier)? {
        return Ok(Some(format!("prepares sample event {sample} otherwise")));
    }
    let states = match (new.states(), earlier.states()) {
        (Ok(new), Ok(earlier)) => new.into_iter().zip(earlier),
        (Err(reason), _) | (_, Err(reason)) => return Ok(Some(format!("or this one cannot fold: {reason}"))),
    };
    for (events, (new, earlier)) in (1..).zip(states) {
        if new != earlier {
            let (here, there) = (new.len(), earlier.len());
            return Ok(Some(format!("has another state after {events} events ({there} bytes, {here} here)")));
        }
    }
    Ok(match (new.merged(), earlier.merged()) {
        (Ok(new), Ok(earlier)) if new == earlier => None,
        (Ok(_), Ok(_)) => Some("merges states otherwise".to_owned()),
        (Err(reason), _) | (_, Err(reason)) => Some(format!("or this one cannot merge: {reason}")),
    })
}

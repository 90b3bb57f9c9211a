//! Running a backfill of an on-demand view whose answers are looked at.

use trifold_pipeline::{LiveVersion, ReadView};

use crate::error::BackfillError;
use crate::on_demand::join::{BATCH_ROWS, Join, Read};
use crate::spine::keys;
use crate::{OnDemandReplay, Questions, ReplayedRows, Requests};

pub(crate) fn answers(
    replay: &OnDemandReplay,
    each: &mut (dyn FnMut(ReplayedRows<'_>) -> Result<(), BackfillError> + Send),
) -> Result<(), BackfillError> {
    let OnDemandReplay { version, requests, spill_dir, resources, watch, .. } = replay;
    requests.check()?;
    let reads = Read::all(version, &replay.reads)?;
    let questions = reads.iter().map(|read| requests.about(version, &read.taken));
    let questions = questions.collect::<Result<Vec<_>, _>>()?;
    let join = Join { version, reads: &reads, questions: &questions, spill_dir, resources, watch };
    join.run(|mut joined| {
        for first in (0..requests.as_of.len()).step_by(BATCH_ROWS) {
            let count = BATCH_ROWS.min(requests.as_of.len() - first);
            let as_of = &requests.as_of[first..first + count];
            let rows = joined.values(first as u64, &requests.fields.slice(first, count), as_of)?;
            each(ReplayedRows { first: first as u64, rows: &rows })?;
        }
        Ok(())
    })
}

impl Requests {
    fn check(&self) -> Result<(), BackfillError> {
        let (requests, times) = (self.fields.num_rows(), self.as_of.len());
        if requests != times {
            return Err(BackfillError::Usage(format!(
                "there are {requests} requests and {times} times to ask for"
            )));
        }
        Ok(())
    }

    /// What the requests ask of a view that is read.
    fn about(&self, version: &LiveVersion, read: &ReadView) -> Result<Questions, BackfillError> {
        let inputs = &version.view().inputs;
        let column = |&place: &usize| {
            let name = inputs[place].name.as_str();
            self.fields.column_by_name(name).cloned().ok_or_else(|| {
                BackfillError::Usage(format!(
                    "view {} is keyed by {name}, which the requests do not have",
                    read.view
                ))
            })
        };
        let columns = read.keys.iter().map(column).collect::<Result<Vec<_>, _>>()?;
        Ok(Questions { keys: keys(&columns)?, as_of: self.as_of.clone() })
    }
}

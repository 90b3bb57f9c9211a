//! Folding and finishing by the component.

use std::collections::BTreeMap;

use arrow_array::{BinaryArray, RecordBatch, UInt32Array};
use arrow_buffer::Buffer;
use arrow_schema::ArrowError;
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use bytes::Bytes;
use trifold_model::canonical::ForeignType;
use trifold_model::{CanonicalRows, DecodeError, FoldOrder, RowStatus, decode_rows_as};
use trifold_sandbox::{self as sandbox, Applied, Budget, Cause, Verdict, WindowTiles};
use trifold_windows::{Answer, Base, Failure, Fold, Folded, Group, Question, Row, Run, Settled};

use crate::rows::{Outcome, Rows};
use crate::version::LiveVersion;
use crate::windows::WindowFunctions;

/// Why a plan could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// Arrow refused an operation.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    /// A column of a type outside the contract.
    #[error(transparent)]
    Type(#[from] ForeignType),
    /// A kept event does not decode as the view's prepared columns.
    #[error("a kept event is damaged: {0}")]
    Kept(#[from] DecodeError),
}

/// The bytes in which prepared events are kept, if tiles may have to be folded again.
pub(crate) struct Kept<'a>(Option<CanonicalRows<'a>>);

impl<'a> Kept<'a> {
    /// For the prepared columns of a batch.
    pub(crate) fn new(version: &LiveVersion, prepared: &'a RecordBatch) -> Result<Self, ForeignType> {
        let is_kept = version.view().windows().is_some_and(|spec| spec.order == FoldOrder::EventTime);
        Ok(Kept(is_kept.then(|| CanonicalRows::new(prepared)).transpose()?))
    }

    /// Those of a row; none, if rows are not kept.
    pub(crate) fn bytes(&self, row: usize) -> Bytes {
        let mut bytes = Vec::new();
        if let Some(rows) = &self.0 {
            rows.write_fields(row, &mut bytes);
        }
        bytes.into()
    }
}

/// Folds with the functions of a version.
pub(crate) struct ComponentFold<'a> {
    version: &'a LiveVersion,
    functions: &'a dyn WindowFunctions,
    /// The prepared columns of the batch that the plan is about.
    prepared: &'a RecordBatch,
    /// The keys that questions name.
    keys: &'a RecordBatch,
    budget: &'a mut Budget,
    /// Why folds left states unknown, by what was said of them.
    causes: BTreeMap<Failure, Cause>,
}

impl<'a> ComponentFold<'a> {
    pub(crate) fn new(
        version: &'a LiveVersion,
        functions: &'a dyn WindowFunctions,
        prepared: &'a RecordBatch,
        keys: &'a RecordBatch,
        budget: &'a mut Budget,
    ) -> Self {
        ComponentFold { version, functions, prepared, keys, budget, causes: BTreeMap::new() }
    }

    /// The rows of a plan that was carried out, in the order in which they were asked for.
    pub(crate) fn rows(&self, settled: &Settled<Applied>) -> Result<Rows, ArrowError> {
        let failures: BTreeMap<usize, _> =
            settled.values.failures.iter().map(|failure| (failure.row, failure)).collect();
        let (mut messages, mut causes) = (BTreeMap::new(), BTreeMap::new());
        let mut outcomes = Vec::with_capacity(settled.answers.len());
        let mut places = Vec::with_capacity(settled.answers.len());
        for (row, answer) in settled.answers.iter().enumerate() {
            let (place, outcome) = match answer {
                Answer::Unavailable(failure) => {
                    causes.extend(self.causes.get(failure).map(|cause| (row, *cause)));
                    (None, Outcome::Unavailable(failure.to_string()))
                }
                Answer::Value { row: value, is_empty } => match failures.get(&(*value as usize)) {
                    None if *is_empty => (Some(*value), Outcome::Known(RowStatus::Empty)),
                    None => (Some(*value), Outcome::Known(RowStatus::Value)),
                    Some(failure) => match failure.verdict {
                        Verdict::Error(code) => {
                            messages.insert(row, failure.message.clone());
                            (None, Outcome::Known(RowStatus::Error(code)))
                        }
                        Verdict::Unavailable(cause) => {
                            causes.insert(row, cause);
                            (None, Outcome::Unavailable(failure.message.clone()))
                        }
                    },
                },
            };
            places.push(place);
            outcomes.push(outcome);
        }
        let in_place = places.len() == settled.values.outputs.num_rows()
            && places.iter().enumerate().all(|(row, place)| *place == Some(row as u32));
        let outputs = match in_place {
            true => settled.values.outputs.clone(),
            false => take_record_batch(&settled.values.outputs, &UInt32Array::from(places))?,
        };
        let computed = settled.values.outputs.num_rows() as u64;
        Ok(Rows::new(outputs, outcomes, messages).with_causes(causes).with_computed(computed))
    }

    /// The prepared columns of some rows.
    fn gather(&self, rows: &[Row]) -> Result<RecordBatch, FoldError> {
        let mut kept = Vec::new();
        let places: Vec<u32> = rows
            .iter()
            .map(|row| match row {
                Row::Batch(row) => *row,
                Row::Kept(bytes) => {
                    kept.push(&**bytes);
                    (self.prepared.num_rows() + kept.len() - 1) as u32
                }
            })
            .collect();
        if kept.is_empty()
            && places.len() == self.prepared.num_rows()
            && places.iter().enumerate().all(|(place, row)| place == *row as usize)
        {
            return Ok(self.prepared.clone());
        }
        let places = UInt32Array::from(places);
        if kept.is_empty() {
            return Ok(take_record_batch(self.prepared, &places)?);
        }
        let fields = self.version.view().windows().map_or(&[][..], |windows| &windows.prepared);
        let schema = self.prepared.schema();
        let kept = decode_rows_as(fields, schema.clone(), kept)?;
        Ok(take_record_batch(&concat_batches(&schema, [self.prepared, &kept])?, &places)?)
    }
}

impl Fold for ComponentFold<'_> {
    type Error = FoldError;
    type Values = Applied;

    fn accumulate(&mut self, states: &[Bytes], groups: &[Group], rows: &[Row]) -> Result<Vec<Folded>, FoldError> {
        let prepared = self.gather(rows)?;
        let group = |group: &Group| {
            let state = match group.base {
                Base::State(state) => state,
                Base::Group(group) => states.len() as u32 + group,
            };
            sandbox::Group { state, first: group.first, count: group.count }
        };
        let groups: Vec<_> = groups.iter().map(group).collect();
        let states = BinaryArray::from_iter_values(states);
        let folded = self.functions.accumulate(&states, &groups, &prepared, self.budget);
        let mut results = states_of(&folded.states);
        for failure in folded.failures {
            let message: Failure = failure.message.into();
            if let Verdict::Unavailable(cause) = failure.verdict {
                self.causes.insert(message.clone(), cause);
            }
            results[failure.row] = Err(message);
        }
        Ok(results)
    }

    fn finish(
        &mut self,
        tiles: &[&[u8]],
        picks: &[u32],
        windows: &[Run],
        questions: &[Question],
    ) -> Result<Applied, FoldError> {
        let places: UInt32Array = questions.iter().map(|question| Some(question.key)).collect();
        let as_of: Vec<_> = questions.iter().map(|question| question.at).collect();
        let windows: Vec<_> =
            windows.iter().map(|run| sandbox::Run { first: run.first, count: run.count }).collect();
        let tiles = WindowTiles {
            tiles: &BinaryArray::from_iter_values(tiles),
            picks,
            windows: &windows,
            keys: &take_record_batch(self.keys, &places)?,
            as_of: &as_of,
        };
        Ok(self.functions.finish(&tiles, self.budget))
    }
}

/// The states of an answer, whose memory they share.
fn states_of(states: &BinaryArray) -> Vec<Folded> {
    let bytes = Bytes::from_owner(Answered(states.values().clone()));
    let state = |ends: &[i32]| Ok(bytes.slice(ends[0] as usize..ends[1] as usize));
    states.value_offsets().windows(2).map(state).collect()
}

struct Answered(Buffer);

impl AsRef<[u8]> for Answered {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

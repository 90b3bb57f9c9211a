//! Rows of features: one status and one set of output columns each.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow_schema::{ArrowError, Schema, SchemaRef};
use arrow_select::interleave::interleave_record_batch;
use arrow_select::take::take_record_batch;
use trifold_model::canonical::ForeignType;
use trifold_model::{CanonicalRows, DecodeError, FeatureView, Field, RowDigest, RowStatus, decode_rows};
use trifold_sandbox::Cause;

/// What became of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A value, or a deterministic reason why there is none. It has canonical bytes.
    Known(RowStatus),
    /// No answer this time, for a reason outside the value. It is never stored, digested or compared.
    Unavailable(String),
}

/// Rows of one view, computed by one component.
#[derive(Debug, Clone)]
pub struct Rows {
    outputs: RecordBatch,
    outcomes: Vec<Outcome>,
    messages: BTreeMap<usize, String>,
    causes: BTreeMap<usize, Cause>,
    computed: u64,
}

impl Rows {
    /// Rows from their columns, their outcomes and the messages of row errors by row.
    ///
    /// `outputs` has one row for each outcome, null wherever the outcome is not a value.
    pub fn new(outputs: RecordBatch, outcomes: Vec<Outcome>, messages: BTreeMap<usize, String>) -> Self {
        debug_assert_eq!(outputs.num_rows(), outcomes.len());
        Rows { outputs, outcomes, messages, causes: BTreeMap::new(), computed: 0 }
    }

    /// Rows of a view from their canonical bytes, or why there are none: what [`Rows::canonical`] gave.
    pub fn of_canonical<'a>(
        view: &FeatureView,
        rows: impl IntoIterator<Item = Result<&'a [u8], &'a str>>,
    ) -> Result<Rows, DecodeError> {
        let (mut outcomes, mut places, mut fields) = (Vec::new(), Vec::new(), Vec::new());
        for (row, bytes) in rows.into_iter().enumerate() {
            let outcome = match bytes {
                Err(reason) => Outcome::Unavailable(reason.to_owned()),
                Ok(bytes) => Outcome::Known(RowStatus::of_canonical(bytes).ok_or(DecodeError::Status { row })?),
            };
            let has_columns = matches!(&outcome, Outcome::Known(status) if status.has_columns());
            places.push(has_columns.then_some(fields.len() as u32));
            fields.extend(bytes.iter().filter(|_| has_columns).map(|bytes| &bytes[1..]));
            outcomes.push(outcome);
        }
        // Rows without an event have nulls even where outputs are required.
        let outputs: Vec<_> =
            view.outputs.iter().map(|output| Field { nullable: true, ..output.clone() }).collect();
        let outputs = decode_rows(&outputs, fields)?;
        let outputs = take_record_batch(&outputs, &UInt32Array::from(places))?;
        Ok(Rows::new(outputs, outcomes, BTreeMap::new()))
    }

    /// Adds why calls of the component left rows unavailable, by row.
    pub(crate) fn with_causes(self, causes: BTreeMap<usize, Cause>) -> Self {
        Rows { causes, ..self }
    }

    /// Says how many rows the component computed for them.
    pub(crate) fn with_computed(self, computed: u64) -> Self {
        Rows { computed, ..self }
    }

    /// How many rows the component computed for them, where they are as it answered them.
    pub fn computed(&self) -> u64 {
        self.computed
    }

    /// The same rows with other columns, as many.
    pub(crate) fn with_outputs(self, schema: &SchemaRef, columns: Vec<ArrayRef>) -> Result<Rows, ArrowError> {
        let options = RecordBatchOptions::new().with_row_count(Some(self.len()));
        let outputs = RecordBatch::try_new_with_options(schema.clone(), columns, &options)?;
        Ok(Rows { outputs, ..self })
    }

    /// Some of the rows.
    pub fn take(&self, rows: &[u32]) -> Result<Rows, ArrowError> {
        let places: Vec<_> = rows.iter().map(|&row| (0, row as usize)).collect();
        Rows::of_pieces(&self.outputs.schema(), vec![self.clone()], &places)
    }

    /// Rows of a view that are all unavailable for one reason.
    pub(crate) fn unavailable(view: &FeatureView, count: usize, reason: String) -> Result<Rows, ArrowError> {
        let fields = view.output_schema().fields().iter();
        let fields: Vec<_> = fields.map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let columns = fields.iter().map(|field| new_null_array(field.data_type(), count)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let outputs = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?;
        Ok(Rows::new(outputs, vec![Outcome::Unavailable(reason); count], BTreeMap::new()))
    }

    /// The same rows, those named being unavailable for a reason.
    pub(crate) fn without(mut self, reasons: BTreeMap<usize, String>) -> Result<Rows, ArrowError> {
        if reasons.is_empty() {
            return Ok(self);
        }
        let places = (0..self.len()).map(|row| (!reasons.contains_key(&row)).then_some(row as u32));
        self.outputs = take_record_batch(&self.outputs, &places.collect::<UInt32Array>())?;
        for (row, reason) in reasons {
            self.messages.remove(&row);
            self.causes.remove(&row);
            self.outcomes[row] = Outcome::Unavailable(reason);
        }
        Ok(self)
    }

    /// Rows out of several pieces: each from the piece and the row in it that its place names.
    pub(crate) fn of_pieces(
        schema: &SchemaRef,
        mut pieces: Vec<Rows>,
        places: &[(usize, usize)],
    ) -> Result<Rows, ArrowError> {
        let mut rows = Rows::new(RecordBatch::new_empty(schema.clone()), Vec::new(), BTreeMap::new());
        for (row, &(piece, place)) in places.iter().enumerate() {
            let piece = &mut pieces[piece];
            rows.outcomes.push(piece.outcomes[place].clone());
            rows.messages.extend(piece.messages.remove(&place).map(|message| (row, message)));
            rows.causes.extend(piece.causes.remove(&place).map(|cause| (row, cause)));
        }
        let outputs: Vec<_> = pieces.iter().map(|piece| &piece.outputs).collect();
        if !outputs.is_empty() {
            rows.outputs = interleave_record_batch(&outputs, places)?;
        }
        Ok(rows)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.outcomes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty()
    }

    /// The output columns in the view's order.
    pub fn outputs(&self) -> &RecordBatch {
        &self.outputs
    }

    /// What became of each row.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// The message of a row error. It helps people and is no part of the value.
    pub fn message(&self, row: usize) -> Option<&str> {
        self.messages.get(&row).map(String::as_str)
    }

    /// The rows that a call of the component left unavailable, ascending, and why. Rows that are unavailable for
    /// other reasons, or that were computed elsewhere, are not among them.
    pub fn causes(&self) -> impl Iterator<Item = (usize, Cause)> {
        self.causes.iter().map(|(row, cause)| (*row, *cause))
    }

    /// The canonical bytes of each row, `None` where it is unavailable.
    pub fn canonical(&self) -> Result<Vec<Option<Vec<u8>>>, ForeignType> {
        self.map_known(|rows, status, row, _| {
            let mut bytes = Vec::new();
            rows.write_row(status, row, &mut bytes);
            bytes
        })
    }

    /// The digest of each row, `None` where it is unavailable.
    pub fn digests(&self) -> Result<Vec<Option<RowDigest>>, ForeignType> {
        self.map_known(|rows, status, row, scratch| rows.digest(status, row, scratch))
    }

    fn map_known<T>(
        &self,
        each: impl Fn(&CanonicalRows<'_>, RowStatus, usize, &mut Vec<u8>) -> T,
    ) -> Result<Vec<Option<T>>, ForeignType> {
        let columns = CanonicalRows::new(&self.outputs)?;
        let mut scratch = Vec::new();
        let known = self.outcomes.iter().enumerate().map(|(row, outcome)| match outcome {
            Outcome::Known(status) => Some(each(&columns, *status, row, &mut scratch)),
            Outcome::Unavailable(_) => None,
        });
        Ok(known.collect())
    }
}

//! The views of a question, answered from what was read of entities.

use std::collections::BTreeSet;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use trifold_model::{EventTime, Field};
use trifold_sandbox::Budget;

use super::{Basis, LookupError, Meter, Part, Stopwatch, ViewAnswer, ViewParts, keys};
use crate::candidate::Canary;
use crate::catalog::LiveViews;
use crate::on_demand::{self, ReadView};
use crate::rows::Rows;
use crate::sides::Side;
use crate::version::LiveVersion;

/// One view of a question, and where what it needs stands among all that is read.
pub(super) enum Asked {
    Stored(usize),
    OnDemand {
        version: LiveVersion,
        reads: Vec<(usize, ReadView)>,
        canary: Option<OnDemandCanary>,
    },
    /// An on-demand view that reads what the versions in force do not give.
    Torn {
        version: LiveVersion,
        reason: String,
    },
}

/// The canary of an on-demand view.
pub(super) struct OnDemandCanary {
    version: LiveVersion,
    canary: Canary,
    reads: Vec<(usize, ReadView)>,
}

impl Asked {
    pub(super) fn new(version: LiveVersion, live: &LiveViews, needed: &mut Vec<LiveVersion>) -> Self {
        let mut place = |version: &LiveVersion| {
            let found = needed.iter().position(|needed| needed.view().name == version.view().name);
            found.unwrap_or_else(|| {
                needed.push(version.clone());
                needed.len() - 1
            })
        };
        if version.view().on_demand().is_none() {
            return Asked::Stored(place(&version));
        }
        let mut placed = |version: &LiveVersion| {
            let reads = on_demand::reads(version.view(), |name| live.views.get(name).map(LiveVersion::view))?;
            let placed = reads.into_iter().filter_map(|read| Some((place(live.views.get(&read.view)?), read)));
            Ok::<Vec<_>, on_demand::ReadError>(placed.collect())
        };
        match placed(&version) {
            Err(error) => Asked::Torn { version, reason: format!("{error} (among the versions in force)") },
            Ok(reads) => {
                let canary = live.canary(&version.view().name).and_then(|(version, canary)| {
                    Some(OnDemandCanary {
                        version: version.clone(),
                        canary: *canary,
                        reads: placed(version).ok()?,
                    })
                });
                Asked::OnDemand { version, reads, canary }
            }
        }
    }

    /// Whether its rows are computed from those of other views.
    pub(super) fn computes(&self) -> bool {
        matches!(self, Asked::OnDemand { .. })
    }

    pub(super) fn answer(self, given: &Given<'_>, budget: &mut Budget) -> Result<ViewAnswer, LookupError> {
        let count = given.as_of.len();
        match self {
            Asked::Stored(place) => Ok(given.read[place].clone()),
            Asked::Torn { version, reason } => Ok(ViewAnswer::unavailable(version, count, reason)?),
            Asked::OnDemand { version, reads, canary } => {
                let [left, taken] = match &canary {
                    None => [Side::All, Side::Some(Vec::new())],
                    Some(canary) => {
                        let fields = entity_of_request(&version, &reads);
                        Side::divide(&canary.canary, &keys(&fields, &version, given.columns)?)
                    }
                };
                let mut parts = ViewParts::default();
                // What both may burn is one, and what a canary burns must not be at the expense of others' rows.
                if !left.is_empty() {
                    parts.serving = Some(given.part(version.clone(), left, &reads, budget)?);
                }
                if let Some(canary) = canary.filter(|_| !taken.is_empty()) {
                    parts.canary = Some(given.part(canary.version, taken, &canary.reads, budget)?);
                }
                parts.joined(version, count)
            }
        }
    }
}

/// The request fields that name entities of the views that an on-demand view reads; all of them, if it reads none. By them a
/// canary takes requests.
fn entity_of_request(version: &LiveVersion, reads: &[(usize, ReadView)]) -> Vec<Field> {
    let view = version.view();
    let named: BTreeSet<usize> = reads.iter().flat_map(|(_, read)| read.keys.iter().copied()).collect();
    match named.is_empty() {
        true => view.request_fields().cloned().collect(),
        false => named.into_iter().map(|input| view.inputs[input].clone()).collect(),
    }
}

/// What on-demand views are computed from.
pub(super) struct Given<'a> {
    pub(super) read: &'a [ViewAnswer],
    pub(super) columns: &'a RecordBatch,
    pub(super) as_of: &'a [EventTime],
    pub(super) stopwatch: Stopwatch,
}

impl Given<'_> {
    /// The rows that one version of an on-demand view answers.
    fn part(
        &self,
        version: LiveVersion,
        side: Side,
        reads: &[(usize, ReadView)],
        budget: &mut Budget,
    ) -> Result<Part, LookupError> {
        let rows_of = |(place, taken): &(usize, ReadView)| {
            let all = &self.read[*place].rows;
            let rows = match &side {
                Side::All => all.clone(),
                Side::Some(rows) => all.take(rows)?,
            };
            Ok((taken.clone(), rows))
        };
        let taken: Vec<(ReadView, Rows)> = reads.iter().map(rows_of).collect::<Result<_, ArrowError>>()?;
        let taken: Vec<_> = taken.iter().map(|(read, rows)| (read, rows)).collect();
        let (columns, as_of) = (side.of_columns(self.columns)?, side.of(self.as_of));
        let meter = Meter::start(self.stopwatch, budget);
        let rows = on_demand::values(&version, &columns, &taken, &as_of, budget)?;
        let cost = meter.stop(&rows, budget);
        let read = |(place, _): &(usize, ReadView)| self.read[*place].as_read();
        let basis = Basis::Views(reads.iter().map(read).collect());
        Ok(Part { version, side, rows, basis, cost })
    }
}

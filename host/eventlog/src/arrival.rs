//! Arrival times that never decrease within a partition.

use std::collections::BTreeSet;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use trifold_model::{ArrivalTime, FieldType};

use crate::convert::Converted;
use crate::table::Table;
use crate::time::YEARS_1_TO_9999;
use crate::{LogError, RawBatch, SourceConfig};

/// The arrival clock of one partition: the latest arrival so far. A row that says it arrived before an earlier
/// row is taken to have arrived with it. Every row with a readable arrival moves the clock, set aside or not, so
/// that the clock depends on the log alone and not on the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ArrivalClock {
    latest: Option<i64>,
}

impl ArrivalClock {
    /// A clock that goes on where another stood.
    pub fn restore(latest: Option<i64>) -> Self {
        ArrivalClock { latest }
    }

    /// Where the clock stands, for [`ArrivalClock::restore`].
    pub fn state(self) -> Option<i64> {
        self.latest
    }

    /// Moves the clock past a row, and gives the row's arrival.
    pub fn advance(&mut self, recorded: i64) -> ArrivalTime {
        let latest = self.latest.map_or(recorded, |latest| latest.max(recorded));
        self.latest = Some(latest);
        ArrivalTime(latest)
    }

    /// Moves the clock past a row that may not say when it arrived: a time that cannot be believed counts as none.
    pub fn pass(&mut self, recorded: Option<i64>) -> Option<ArrivalTime> {
        recorded.filter(|at| YEARS_1_TO_9999.contains(at)).map(|at| self.advance(at))
    }

    /// Moves the clock past a whole batch without decoding anything but its arrivals. A scan that is split over
    /// threads learns so where the clock stands at the start of each part.
    pub fn observe(&mut self, raw: &RawBatch, source: &SourceConfig) -> Result<(), LogError> {
        let Some(column) = source.arrival.as_deref() else {
            return Ok(());
        };
        for arrival in of_rows(raw, column)?.into_iter().flatten() {
            self.advance(arrival);
        }
        Ok(())
    }
}

/// When each row says that it arrived, where that can be believed.
pub(crate) fn of_rows(raw: &RawBatch, column: &str) -> Result<Vec<Option<i64>>, LogError> {
    let arrivals = recorded(&Table::new(raw, BTreeSet::from([column])), column)?;
    Ok(readable(&arrivals).collect())
}

/// The arrival column.
pub(crate) fn recorded(table: &Table<'_>, column: &str) -> Result<Converted, LogError> {
    table.column(column, FieldType::Timestamp, "the arrival time")
}

/// The arrival of each row, where it has one that can be believed: one far off would stop the clock for good.
pub(crate) fn readable(arrivals: &Converted) -> impl Iterator<Item = Option<i64>> {
    let arrivals = arrivals.array.as_primitive::<TimestampMicrosecondType>();
    (0..arrivals.len())
        .map(|row| arrivals.is_valid(row).then(|| arrivals.value(row)).filter(|at| YEARS_1_TO_9999.contains(at)))
}

//! What a server is asked.

use std::collections::BTreeSet;
use std::ops::Range;

use arrow_array::{RecordBatch, UInt64Array};
use arrow_select::take::take_record_batch;
use trifold_backfill::Spine;
use trifold_eventlog::{ArrivalClock, LogOptions, Scan, decode};
use trifold_model::{CanonicalRows, EntityKey, EventTime, FeatureView, LogId, decode_keys};

use crate::args::Audit;
use crate::commands::backfill::backfill_failure;
use crate::commands::get::time;
use crate::commands::stream::log_failure;
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::progress;
use crate::world::World;

/// Rows of the log decoded at a time.
const SCAN_ROWS: usize = 8192;

/// What a server is asked, row by row.
pub(super) struct Asking {
    /// The log that the answers must come from.
    pub(super) log: LogId,
    /// The key fields of the entities, or the request fields, by name.
    pub(super) columns: RecordBatch,
    /// The time of each row; the server's clock where there is none.
    pub(super) as_of: Vec<Option<EventTime>>,
}

impl Asking {
    /// The rows of the spine, or else every entity of the log.
    pub(super) fn new(world: &World, args: &Audit, view: &FeatureView) -> Outcome<Self> {
        let time = args.as_of.as_deref().map(time).transpose()?;
        let (log, columns, times) = match &args.spine {
            Some(path) => {
                let spine = Spine { path: path.clone(), as_of: args.as_of_column.clone() };
                let asked = spine.read(view).map_err(backfill_failure)?;
                if asked.as_of.is_empty() {
                    return Err(Failure::new(
                        Exit::Data,
                        format!("{} asks nothing: it has no rows", path.display()),
                    ));
                }
                let scan = scan(world, args, None)?;
                (scan.log, asked.columns, asked.as_of)
            }
            None => {
                let (log, keys) = entities(world, args, view)?;
                let columns = decode_keys(view.key_fields(), &keys).or_exit(Exit::Internal)?;
                (log, columns, vec![None; keys.len()])
            }
        };
        Ok(Asking { log, columns, as_of: times.into_iter().map(|own| time.or(own)).collect() })
    }

    /// The rows in ranges of at most so many, each of which asks at one time.
    pub(super) fn requests(&self, rows_max: usize) -> Vec<Range<usize>> {
        let mut requests: Vec<Range<usize>> = Vec::new();
        for (row, time) in self.as_of.iter().enumerate() {
            match requests.last_mut() {
                Some(range) if range.len() < rows_max && self.as_of[range.start] == *time => range.end = row + 1,
                _ => requests.push(row..row + 1),
            }
        }
        requests
    }

    /// Some of the rows.
    pub(super) fn rows(&self, numbers: impl Iterator<Item = usize>) -> Outcome<RecordBatch> {
        let numbers = UInt64Array::from_iter_values(numbers.map(|number| number as u64));
        take_record_batch(&self.columns, &numbers).or_exit(Exit::Internal)
    }

    /// The key of each row: of a request, the canonical bytes of its fields.
    pub(super) fn keys(&self) -> Outcome<Vec<EntityKey>> {
        let canonical = CanonicalRows::new(&self.columns).or_exit(Exit::Internal)?;
        let mut scratch = Vec::new();
        Ok((0..self.columns.num_rows()).map(|row| canonical.key(row, &mut scratch)).collect())
    }
}

/// The log as it stands.
fn scan(world: &World, args: &Audit, columns: Option<BTreeSet<String>>) -> Outcome<Scan> {
    let options = LogOptions { name: args.log.log_id.clone(), columns };
    Scan::of(&args.log.events, options, world.config.kafka.check_keys).map_err(log_failure)
}

/// The log's id and its entities, each once.
fn entities(world: &World, args: &Audit, view: &FeatureView) -> Outcome<(LogId, BTreeSet<EntityKey>)> {
    let source = world.source(&args.log.source);
    let columns = source.columns([view]);
    let Scan { log, units, .. } = scan(world, args, Some(columns.clone()))?;
    let bar = progress::rows("entities", units.iter().map(|unit| unit.rows).sum());
    let mut entities = BTreeSet::new();
    for unit in units {
        for raw in unit.read(Some(&columns), SCAN_ROWS).map_err(log_failure)? {
            let raw = raw.map_err(log_failure)?;
            // Who an event is about does not depend on when it arrived.
            let events = decode(&raw, &source, view, &mut ArrivalClock::default()).map_err(log_failure)?;
            let keys = CanonicalRows::of_columns(&events.inputs, view.key_columns().iter().copied())
                .or_exit(Exit::Internal)?;
            let mut scratch = Vec::new();
            entities.extend((0..events.offsets.len()).map(|row| keys.key(row, &mut scratch)));
            bar.inc(raw.rows() as u64);
        }
    }
    bar.finish_and_clear();
    Ok((log, entities))
}

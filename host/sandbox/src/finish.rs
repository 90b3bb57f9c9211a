//! `finish`: from the tiles of windows to rows.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::{BinaryArray, RecordBatch, UInt32Array};
use arrow_schema::SchemaRef;
use arrow_select::take::take;
use trifold_model::{EventTime, Field};

use crate::applied::Cause;
use crate::apply::RowCall;
use crate::call::{Instance, Stop};
use crate::pace::Pace;
use crate::slab::check_inputs;
use crate::transform::Transform;
use crate::wire::{self, Input, Outcome};

/// The tiles of some entities, window by window.
pub struct WindowTiles<'a> {
    /// The states of tiles, each of which some window picks; one may belong to several windows and entities.
    pub tiles: &'a BinaryArray,
    /// Places of tiles, in the order in which `windows` runs over them.
    pub picks: &'a [u32],
    /// For each entity and, within it, each window in declared order: its tiles as a run of `picks`, ascending in
    /// time. Later entities have later runs.
    pub windows: &'a [wire::Run],
    /// The entities' key columns in declared order.
    pub keys: &'a RecordBatch,
    /// The time at which each entity is asked for.
    pub as_of: &'a [EventTime],
}

pub(crate) struct Finish<'a>(pub(crate) &'a WindowTiles<'a>);

impl RowCall for Finish<'_> {
    fn rows(&self) -> usize {
        self.0.as_of.len()
    }

    fn check(&self, transform: &Transform) -> Result<(), String> {
        check_inputs(transform.view().key_fields(), self.0.keys).map_err(|error| error.to_string())
    }

    fn outputs<'t>(&self, transform: &'t Transform) -> (&'t [Field], &'t SchemaRef) {
        (&transform.view().outputs, transform.outputs())
    }

    fn pace<'t>(&self, transform: &'t Transform) -> &'t Pace {
        &transform.paces().finish
    }

    fn call(&self, transform: &Transform, instance: &mut Instance, rows: Range<usize>) -> Result<Outcome, Stop> {
        let part = self.0.part(transform, &rows).map_err(|error| {
            Stop::unavailable(Cause::Engine, format!("the tiles do not fit into one call: {error}"))
        })?;
        let tiles = transform
            .states()
            .batch(part.tiles)
            .map_err(|error| Stop::unavailable(Cause::Engine, error.to_string()))?;
        let keys = self.0.keys.slice(rows.start, rows.len());
        let as_of: Vec<i64> = self.0.as_of[rows].iter().map(|time| time.0).collect();
        let tiles = Input::new(&transform.states().fields, &tiles);
        instance.finish((
            tiles,
            &part.picks,
            &part.windows,
            Input::new(transform.view().key_fields(), &keys),
            &as_of,
        ))
    }
}

/// What a call for some of the entities takes.
struct Part {
    tiles: BinaryArray,
    picks: Vec<u32>,
    windows: Vec<wire::Run>,
}

impl WindowTiles<'_> {
    fn part(&self, transform: &Transform, rows: &Range<usize>) -> Result<Part, arrow_schema::ArrowError> {
        let windows_each = transform.view().windows().map_or(0, |spec| spec.windows.len());
        let windows = &self.windows[rows.start * windows_each..rows.end * windows_each];
        let first = windows.first().map_or(0, |run| run.first);
        let end = windows.last().map_or(first, |run| run.first + run.count);
        let picks = &self.picks[first as usize..end as usize];
        let windows = windows.iter().map(|run| wire::Run { first: run.first - first, ..*run }).collect();
        if *rows == (0..self.as_of.len()) {
            return Ok(Part { tiles: self.tiles.clone(), picks: picks.to_vec(), windows });
        }
        // The tiles of neighbours lie close to each other, and there is a place for each between the first and the last.
        let lowest = picks.iter().min().copied().unwrap_or_default();
        let highest = picks.iter().max().copied().unwrap_or_default();
        let mut places = vec![None; (highest - lowest) as usize + 1];
        let mut used = Vec::new();
        let picks = picks.iter().map(|&tile| {
            *places[(tile - lowest) as usize].get_or_insert_with(|| {
                used.push(tile);
                used.len() as u32 - 1
            })
        });
        let picks = picks.collect();
        let tiles = take(self.tiles, &UInt32Array::from(used), None)?;
        Ok(Part { tiles: tiles.as_binary().clone(), picks, windows })
    }
}

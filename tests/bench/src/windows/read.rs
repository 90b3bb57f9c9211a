//! Lookups of an entity with so many tiles in its window.

use std::sync::Arc;

use anyhow::ensure;
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use trifold_eventlog::Events;
use trifold_model::{ArrivalTime, EntityKey, EventTime};
use trifold_pipeline::lookup::stopped;
use trifold_pipeline::{LiveVersion, LiveViews, Question, WindowIngest, lookup};
use trifold_sandbox::Budget;
use trifold_store::{Commit, EntityQuery, OnlineStore, StateStore};

use crate::measure::{Effort, in_turns};
use crate::windows::events::FIRST_TIME;
use crate::windows::{commit, runtime, store};

const CARD: i64 = 1;
const SECOND: i64 = 1_000_000;

/// What a lookup takes, and what it takes to read the tiles alone.
pub(crate) fn microseconds(version: &LiveVersion, tiles: u64, effort: Effort) -> anyhow::Result<(f64, f64)> {
    let dir = tempfile::tempdir()?;
    let (store, runtime) = (store(&dir.path().join("online.redb"))?, runtime()?);
    let time = EventTime(FIRST_TIME + tiles as i64 * SECOND);
    let (key, commit) = payments(version, tiles)?;
    runtime.block_on(store.commit(vec![commit]))?;
    let live = LiveViews::new([(version.view().name.clone(), version.clone())].into());
    let schema = Arc::new(Schema::new(vec![Field::new("card", DataType::Int64, false)]));
    let columns = RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![CARD]))])?;
    let look_up = || {
        let views = vec![version.clone()];
        let question = Question {
            live: &live,
            views,
            columns: columns.clone(),
            in_hand: Default::default(),
            time,
            stopwatch: stopped,
        };
        runtime.block_on(lookup(&store, question, &mut Budget::unlimited()))
    };
    let rows = look_up()?.views.swap_remove(0).rows;
    ensure!(rows.outputs().num_rows() == 1 && rows.causes().next().is_none(), "the lookup has no value");
    let queries = [EntityQuery { key, events: Vec::new() }];
    let read = || runtime.block_on(store.read_slots(version.state_id(), &queries));
    let (ours, baseline) = in_turns(effort, || drop(look_up()), || drop(read()));
    Ok((ours / 1_000.0, baseline / 1_000.0))
}

/// One payment in each of so many seconds.
fn payments(version: &LiveVersion, tiles: u64) -> anyhow::Result<(EntityKey, Commit)> {
    let rows = tiles as usize;
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![CARD; rows])),
        Arc::new(Float64Array::from_iter_values((0..tiles).map(|row| row as f64 * 1.37))),
    ];
    let times: Vec<_> = (0..tiles as i64).map(|row| EventTime(FIRST_TIME + (row + 1) * SECOND)).collect();
    let events = Events {
        partition: 0,
        offsets: (0..tiles).collect(),
        arrivals: Some(times.iter().map(|time| ArrivalTime(time.0)).collect()),
        times,
        ids: StringArray::from_iter_values((0..tiles).map(|row| format!("{row:010}"))),
        inputs: RecordBatch::try_new(version.view().input_schema().clone(), columns)?,
        aside: Vec::new(),
    };
    let ingest = WindowIngest::new(version, &version.transform, events, &mut Budget::unlimited())?;
    let key = ingest.queries()[0].key.clone();
    let ingested = ingest.fold(vec![Vec::new()], None, &mut Budget::unlimited())?;
    Ok((key, commit(version, ingested, tiles)?))
}

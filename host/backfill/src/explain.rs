//! Reading a log for the events of one entity, and explaining its value.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, RecordBatch};
use trifold_eventlog::{Aside, RawBatch, decode_columns};
use trifold_model::{Cut, EntityKey, EventTime, Field, FieldType};
use trifold_pipeline::explain::UndecodedEvent;
use trifold_pipeline::{Ask, Explain as EntityEvents, RowTableError, on_demand};
use trifold_sandbox::Budget;

use crate::error::BackfillError;
use crate::job::{Job, Phase};
use crate::meter::Meter;
use crate::on_demand::join::Read;
use crate::on_demand::request_batch;
use crate::recording::Recording;
use crate::spine::keys;
use crate::survey::survey;
use crate::{Explain, Explained, OnDemandExplain, OnDemandExplained};

/// Rows of the log that are looked at together.
const BATCH_ROWS: usize = 16_384;

pub(crate) fn explain(explain: &Explain) -> Result<Explained, BackfillError> {
    let Explain { job, key, as_of, bounds, watch } = explain;
    job.check(true)?;
    let Ask::Spine(cut) = &job.ask else {
        return Err(BackfillError::Internal("only the value at a time can be explained".to_owned()));
    };
    // What stands behind a position is read all the same: it is part of the explanation that it does not count.
    let all = Job { ask: Ask::Spine(Cut::All), ..job.clone() };
    let mut recording = Recording::open(&all)?;
    survey(&all, &mut recording, watch, 1, 1)?;
    let mut entity = EntityEvents::new(&job.version, key.clone(), *as_of, cut.clone(), job.before, *bounds);
    let (mut unreadable, mut first_unreadable) = (BTreeMap::new(), None);
    let meter = Meter::new(watch, Phase::Read, recording.rows);
    for unit in &recording.units {
        for decoded in recording.decoded(&all, unit, BATCH_ROWS)? {
            let (raw, mut events) = decoded?;
            let aside = std::mem::take(&mut events.aside);
            for undecoded in own(job, &raw, key, &aside)? {
                entity.undecoded(undecoded);
            }
            for aside in aside {
                *unreadable.entry(aside.reason).or_default() += 1;
                first_unreadable.get_or_insert(aside.detail);
            }
            entity.push(events)?;
            meter.add(raw.rows())?;
        }
    }
    let explanation = entity.finish(&mut Budget::unlimited())?;
    Ok(Explained {
        version: job.version.clone(),
        key: key.clone(),
        explanation,
        log: recording.log,
        rows_read: recording.rows,
        unreadable,
        first_unreadable,
    })
}

/// Those of the undecoded events that name the entity, with what can be read of them.
fn own(job: &Job, raw: &RawBatch, key: &EntityKey, aside: &[Aside]) -> Result<Vec<UndecodedEvent>, BackfillError> {
    if aside.is_empty() {
        return Ok(Vec::new());
    }
    let fields = job.version.view().key_fields();
    let mut wanted: Vec<(&str, FieldType)> =
        fields.iter().map(|field| (job.source.column(field.name.as_str()), field.ty)).collect();
    wanted.push((&job.source.event_time, FieldType::Timestamp));
    wanted.push((&job.source.event_id, FieldType::Utf8));
    let mut columns: Vec<ArrayRef> =
        decode_columns(raw, &wanted)?.into_iter().map(|column| column.array).collect();
    let rest = columns.split_off(fields.len());
    let (times, ids) = (rest[0].as_primitive::<TimestampMicrosecondType>(), rest[1].as_string::<i32>());
    let named = keys(&columns).map_err(BackfillError::Timeline)?;
    let rows = aside.iter().filter_map(|aside| Some((raw.row_of(aside.offset)?, aside)));
    let undecoded = |(row, aside): (usize, &Aside)| UndecodedEvent {
        partition: aside.partition,
        offset: aside.offset,
        time: times.is_valid(row).then(|| EventTime(times.value(row))),
        id: ids.is_valid(row).then(|| ids.value(row).to_owned()),
        row: aside.event.clone(),
        reason: aside.reason,
        detail: aside.detail.clone(),
    };
    Ok(rows.filter(|(row, _)| named[*row] == *key).map(undecoded).collect())
}

pub(crate) fn explain_on_demand(explain: &OnDemandExplain) -> Result<OnDemandExplained, BackfillError> {
    let OnDemandExplain { version, reads: jobs, request, as_of, bounds, watch } = explain;
    let view = version.view();
    let mut read = Vec::new();
    for Read { taken, job } in Read::all(version, jobs)? {
        let column = |&input: &usize| request_column(request, &view.inputs[input]);
        let columns = taken.keys.iter().map(column).collect::<Result<Vec<_>, _>>()?;
        let key = keys(&columns).map_err(BackfillError::Timeline)?.swap_remove(0);
        let explained = Explain { job, key, as_of: *as_of, bounds: *bounds, watch: watch.clone() }.run()?;
        read.push((taken, explained));
    }
    let columns = view.request_fields().map(|field| request_column(request, field)).collect::<Result<_, _>>()?;
    let request = request_batch(version, columns, 1)?;
    let taken: Vec<_> = read.iter().map(|(taken, explained)| (taken, &explained.explanation.rows)).collect();
    let rows = on_demand::values(version, &request, &taken, &[*as_of], &mut Budget::unlimited());
    Ok(OnDemandExplained { rows: rows.map_err(RowTableError::from)?, reads: read })
}

fn request_column(request: &RecordBatch, field: &Field) -> Result<ArrayRef, BackfillError> {
    let missing = || BackfillError::Usage(format!("the request has no field {}", field.name));
    request.column_by_name(field.name.as_str()).cloned().ok_or_else(missing)
}

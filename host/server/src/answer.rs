//! From the pipeline's answers to messages.

use std::time::Duration;

use tonic::Status;
use trifold_model::{FeatureView, OnDemandSpec, Positions, RowStatus};
use trifold_pipeline::{Basis, LiveVersion, Outcome, Reach, Rows, ViewAnswer, ViewRead};

use crate::api;
use crate::columns;

/// One view's answer as a message, with the outputs that were asked for.
pub(crate) fn to_message(
    answer: &ViewAnswer,
    outputs: &[usize],
    digests: bool,
) -> Result<api::ViewAnswer, Status> {
    let view = answer.version.view();
    Ok(api::ViewAnswer {
        view: view.name.to_string(),
        version: answer.version.version,
        component_digest: answer.version.digest().0.to_vec(),
        position: of_state(&answer.basis),
        reads: reads(&answer.basis),
        statuses: answer.rows.outcomes().iter().map(|outcome| status(outcome).into()).collect(),
        problems: problems(&answer.rows),
        columns: outputs.iter().map(|&output| column(view, &answer.rows, output)).collect(),
        row_digests: if digests { row_digests(answer)? } else { Vec::new() },
        canary: answer.canary.as_ref().map(|canary| api::CanaryAnswer {
            version: canary.version.version,
            component_digest: canary.version.digest().0.to_vec(),
            rows: canary.places.clone(),
            position: of_state(&canary.basis),
            reads: reads(&canary.basis),
        }),
    })
}

fn of_state(basis: &Basis) -> Option<api::Position> {
    match basis {
        Basis::State(reach) => reach.as_ref().map(position),
        Basis::Views(_) => None,
    }
}

fn reads(basis: &Basis) -> Vec<api::ViewRead> {
    match basis {
        Basis::State(_) => Vec::new(),
        Basis::Views(views) => views.iter().map(read).collect(),
    }
}

fn read(read: &ViewRead) -> api::ViewRead {
    let ViewRead { version, reach, canary } = read;
    api::ViewRead {
        view: version.view().name.to_string(),
        version: version.version,
        component_digest: version.digest().0.to_vec(),
        position: reach.as_ref().map(position),
        canary: canary.as_ref().map(|(version, rows, reach)| api::CanaryAnswer {
            version: version.version,
            component_digest: version.digest().0.to_vec(),
            rows: rows.clone(),
            position: reach.as_ref().map(position),
            reads: Vec::new(),
        }),
    }
}

fn column(view: &FeatureView, rows: &Rows, output: usize) -> api::Column {
    let field = &view.outputs[output];
    columns::to_message(field.name.as_str(), field.ty, rows.outputs().column(output))
}

fn position(reach: &Reach) -> api::Position {
    let Reach { marker, ahead, stale } = reach;
    let further = |(&row, ahead): (&usize, &Positions)| -> Vec<_> {
        let next = ahead.0.iter().map(|(&partition, &next_offset)| (partition, next_offset));
        next.map(|(partition, next_offset)| api::RowPosition { row: row as u32, partition, next_offset }).collect()
    };
    let age = |(&row, age): (&usize, &Duration)| api::StaleRow { row: row as u32, age_ms: age.as_millis() as u64 };
    api::Position {
        log: marker.log.0.to_string(),
        incarnation: marker.incarnation,
        next_offsets: marker.positions.0.iter().map(|(&partition, &next)| (partition, next)).collect(),
        ahead: ahead.iter().flat_map(further).collect(),
        stale: stale.iter().map(age).collect(),
    }
}

fn status(outcome: &Outcome) -> api::RowStatus {
    match outcome {
        Outcome::Known(RowStatus::Value) => api::RowStatus::Value,
        Outcome::Known(RowStatus::Empty) => api::RowStatus::Empty,
        Outcome::Known(RowStatus::Expired) => api::RowStatus::Expired,
        Outcome::Known(RowStatus::Error(_)) => api::RowStatus::Error,
        Outcome::Unavailable(_) => api::RowStatus::Unavailable,
    }
}

fn problems(rows: &Rows) -> Vec<api::RowProblem> {
    let problems = rows.outcomes().iter().enumerate().filter_map(|(row, outcome)| {
        let (code, message) = match outcome {
            Outcome::Known(RowStatus::Error(code)) => (Some(code.0.into()), rows.message(row).unwrap_or_default()),
            Outcome::Unavailable(reason) => (None, reason.as_str()),
            Outcome::Known(_) => return None,
        };
        Some(api::RowProblem { row: row as u32, code, message: message.to_owned() })
    });
    problems.collect()
}

/// Each row's digest, over the schema of the version that answered it.
fn row_digests(answer: &ViewAnswer) -> Result<Vec<Vec<u8>>, Status> {
    let of_rows = |rows: &Rows| -> Result<Vec<Vec<u8>>, Status> {
        let digests = rows.digests().map_err(|error| Status::internal(error.to_string()))?;
        Ok(digests.into_iter().map(|digest| digest.map_or_else(Vec::new, |digest| digest.0.to_vec())).collect())
    };
    let mut digests = of_rows(&answer.rows)?;
    if let Some(canary) = &answer.canary {
        for (&place, digest) in canary.places.iter().zip(of_rows(&canary.rows)?) {
            digests[place as usize] = digest;
        }
    }
    Ok(digests)
}

/// A view in force as a message.
pub(crate) fn view(version: &LiveVersion) -> api::View {
    let view = version.view();
    let field = |field: &trifold_model::Field| api::Field {
        name: field.name.to_string(),
        r#type: field.ty.to_string(),
        nullable: field.nullable,
        doc: field.doc.clone(),
    };
    api::View {
        name: view.name.to_string(),
        version: version.version,
        component_digest: version.digest().0.to_vec(),
        doc: view.doc.clone(),
        entity: view.key_fields().iter().map(field).collect(),
        features: view.outputs.iter().map(field).collect(),
        kind: view.kind.name().to_owned(),
        request: view.request_fields().map(field).collect(),
        reads: view.on_demand().into_iter().flat_map(OnDemandSpec::views).map(ToString::to_string).collect(),
        event: match view.on_demand() {
            Some(_) => Vec::new(),
            None => view.inputs.iter().map(field).collect(),
        },
    }
}

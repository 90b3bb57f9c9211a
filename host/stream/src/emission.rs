//! From what a batch came to, to what is emitted.

use std::collections::BTreeMap;

use trifold_eventlog::row_json;
use trifold_model::RowStatus;
use trifold_pipeline::row_table::{RowTable, RowTableError};
use trifold_pipeline::{Ingested, LiveVersion, Outcome};

use crate::feed::FeedId;
use crate::notice::Counts;
use crate::sink::{AsideKind, AsideLine, Emission};

/// The emission of one batch of one feed, and what it amounts to.
pub(crate) fn emit(
    table: &RowTable,
    version: &LiveVersion,
    first_offset: u64,
    event_count: u64,
    ingested: Ingested,
) -> Result<(Emission, Counts), RowTableError> {
    let rows = table.ingested(version, &ingested)?;
    let partition = ingested.events.partition;
    let row_count = rows.num_rows() as u64;
    let duplicate_count = ingested.duplicate_count;
    let aside = aside_lines(ingested);
    let mut reasons = BTreeMap::new();
    for line in &aside {
        *reasons.entry(line.kind).or_default() += 1;
    }
    let emission = Emission { feed: FeedId::of(version), partition, first_offset, rows, aside };
    Ok((emission, Counts { event_count, row_count, duplicate_count, aside: reasons, fuel: 0 }))
}

/// Events that do not count, and rows whose trouble has a message that the row itself does not carry.
fn aside_lines(ingested: Ingested) -> Vec<AsideLine> {
    let Ingested { rows, events, aside, .. } = ingested;
    let troubled = rows.outcomes().iter().enumerate().filter_map(|(row, outcome)| {
        let (kind, detail) = match outcome {
            Outcome::Known(RowStatus::Error(code)) => {
                let message = rows.message(row).unwrap_or_default();
                (AsideKind::RowError, format!("code {code}: {message}"))
            }
            Outcome::Known(_) => return None,
            Outcome::Unavailable(reason) => (AsideKind::Unavailable, reason.clone()),
        };
        Some(AsideLine {
            offset: events.offsets[row],
            first: None,
            kind,
            detail,
            event: row_json(&events.inputs, row),
        })
    });
    let excluded = aside.into_iter().map(|aside| AsideLine {
        offset: aside.offset,
        first: None,
        kind: AsideKind::Excluded(aside.reason),
        detail: aside.detail,
        event: aside.event,
    });
    let mut lines: Vec<_> = excluded.chain(troubled).collect();
    // An event that conflicts with an earlier one can emit an error row as well.
    lines.sort_by_key(|line| (line.offset, line.kind));
    lines
}

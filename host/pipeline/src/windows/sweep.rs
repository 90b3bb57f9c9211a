//! Forgetting entities that no event comes for any more.

use trifold_model::{ArrivalTime, EntityKey};
use trifold_store::SlotPage;
use trifold_windows::{Layout, Parts};

use crate::ingest::{IngestError, SlotChanges};
use crate::version::LiveVersion;
use crate::windows::ingest::decode;

/// What may be removed of a page of entities, leaving out those that change otherwise. `clock` is the earliest arrival
/// that an event to come can have: an entity is forgotten once no event that counts could need what is kept.
pub fn sweep(
    version: &LiveVersion,
    page: SlotPage,
    changes_otherwise: impl Fn(&EntityKey) -> bool,
    clock: Option<ArrivalTime>,
    parts: Parts,
) -> Result<SlotChanges, IngestError> {
    let view = version.view();
    let Some(spec) = view.windows() else { return Err(IngestError::Kind { view: view.name.to_string() }) };
    let layout = Layout::new(spec, view.lateness_limit());
    let mut changes = SlotChanges::default();
    for (key, slots) in page.entities.into_iter().filter(|(key, _)| !changes_otherwise(key)) {
        let mut entity = decode(version, &layout, &key, slots)?;
        changes.add(&key, entity.take_changes_of_whole(&layout, clock, parts));
    }
    Ok(changes)
}

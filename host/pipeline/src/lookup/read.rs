//! What a lookup reads of a store, once for all of its views.

use trifold_model::EventTime;
use trifold_sandbox::Budget;
use trifold_store::{Ask, Entities, Found, OnlineStore, StoreError};

use super::{LookupError, Reach, ViewKeys};
use crate::records::{RecordRead, distinct};
use crate::rows::Rows;
use crate::version::LiveVersion;
use crate::windows::WindowRead;

/// What was read for one view.
pub(super) enum Read {
    Records(RecordRead),
    Windows(WindowRead),
}

/// Reads what all views need. A store elsewhere is asked for it once.
pub(super) async fn reads(
    store: &dyn OnlineStore,
    views: Vec<ViewKeys>,
) -> Result<Vec<Result<Read, StoreError>>, LookupError> {
    let (mut entities, mut asks) = (Vec::with_capacity(views.len()), Vec::with_capacity(views.len()));
    for of_view in &views {
        let (entity, keys) = distinct(&of_view.keys);
        let version = &of_view.version;
        let asked = match version.view().windows() {
            Some(_) => Entities::Slots(WindowRead::queries(of_view, &entity, &keys)?),
            None => Entities::Records(keys),
        };
        entities.push(entity);
        asks.push(Ask { view: version.view().name.clone(), state: version.state_id(), entities: asked });
    }
    let found = match asks.is_empty() {
        true => Vec::new(),
        false => store.read_all(&asks).await,
    };
    let mut reads = Vec::with_capacity(views.len());
    for (((of_view, entity), ask), found) in views.into_iter().zip(entities).zip(asks).zip(found) {
        reads.push(match (found, &ask.entities) {
            (Ok(Found::Records(snapshot)), _) => {
                Ok(Read::Records(RecordRead::new(entity, snapshot, of_view.in_hand)))
            }
            (Ok(Found::Slots(snapshot)), Entities::Slots(queries)) => {
                let keys = queries.iter().map(|query| query.key.clone()).collect();
                Ok(Read::Windows(WindowRead::new(of_view, entity, keys, snapshot)?))
            }
            (Ok(Found::Slots(_)), Entities::Records(_)) => {
                return Err(LookupError::Answer { view: ask.view.to_string() });
            }
            (Err(error), _) if error.is_damage() => {
                RecordRead::one_by_one(store, (entity, &ask), of_view.in_hand, error).await.map(Read::Records)
            }
            (Err(error), _) => Err(error),
        });
    }
    Ok(reads)
}

impl Read {
    /// How many rows it was read for.
    pub(super) fn len(&self) -> usize {
        match self {
            Read::Records(read) => read.len(),
            Read::Windows(read) => read.entity.len(),
        }
    }

    /// The latest event time of the entity of a row.
    pub(super) fn latest(&self, row: usize) -> Option<EventTime> {
        match self {
            Read::Records(read) => read.latest(row),
            Read::Windows(read) => read.latest(row),
        }
    }

    fn take_reach(&mut self) -> Option<Reach> {
        match self {
            Read::Records(read) => read.take_reach(),
            Read::Windows(read) => read.take_reach(),
        }
    }
}

/// The rows of a view, and how far what was read is.
pub(super) fn stored(
    version: &LiveVersion,
    mut read: Read,
    as_of: &[EventTime],
    budget: &mut Budget,
) -> Result<(Rows, Option<Reach>), LookupError> {
    let reach = read.take_reach();
    let rows = match read {
        _ if reach.is_none() => {
            let reason = format!(
                "no events of view {} have been applied to this store for state {}, or not all that were: run \
                 `trifold stream`, or `trifold materialize` for a Redis, which may be under way",
                version.view().name,
                version.state_id()
            );
            Rows::unavailable(version.view(), as_of.len(), reason)?
        }
        Read::Records(read) => read.values(version, as_of, budget)?,
        Read::Windows(read) => read.values(version, reach.as_ref().map(|reach| &reach.marker), as_of, budget)?,
    };
    Ok((rows, reach))
}

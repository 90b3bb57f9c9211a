//! The traits of all online stores.

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use trifold_model::{EntityKey, StateId, ViewName};

use crate::error::StoreError;
use crate::record::{Commit, EntityQuery, Marker, Page, RowSwitch, SlotPage, SlotSnapshot, Snapshot};

/// A store of entity records, for those who look them up. Cheap to share behind an `Arc<dyn OnlineStore>`.
///
/// What is read of an entity includes everything up to the marker's positions, and nothing after, or after the positions
/// that it is said to be [ahead](Snapshot::ahead) at.
pub trait OnlineStore: Send + Sync {
    /// Reads the records of some entities and the state's marker.
    fn read<'a>(&'a self, state: StateId, keys: &'a [EntityKey]) -> BoxFuture<'a, Result<Snapshot, StoreError>>;

    /// Reads the slots of some entities of a window view and the state's marker.
    fn read_slots<'a>(
        &'a self,
        state: StateId,
        queries: &'a [EntityQuery],
    ) -> BoxFuture<'a, Result<SlotSnapshot, StoreError>>;

    /// Reads a state's marker alone.
    fn marker(&self, state: StateId) -> BoxFuture<'_, Result<Option<Marker>, StoreError>>;

    /// Reads all that a request needs, with one answer for each view in the order of the asks: a store elsewhere is asked
    /// once.
    fn read_all<'a>(&'a self, asks: &'a [Ask]) -> BoxFuture<'a, Vec<Result<Found, StoreError>>> {
        let each = asks.iter().map(|ask| async move {
            Ok(match &ask.entities {
                Entities::Records(keys) => Found::Records(self.read(ask.state, keys).await?),
                Entities::Slots(queries) => Found::Slots(self.read_slots(ask.state, queries).await?),
            })
        });
        join_all(each).boxed()
    }
}

/// What is asked about one view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The view.
    pub view: ViewName,
    /// Its state.
    pub state: StateId,
    /// The entities, each once.
    pub entities: Entities,
}

/// The entities that are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entities {
    /// The records of a row view.
    Records(Vec<EntityKey>),
    /// The slots of a window view.
    Slots(Vec<EntityQuery>),
}

impl Entities {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Entities::Records(keys) => keys.len(),
            Entities::Slots(queries) => queries.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What was found of one view, of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Of a row view.
    Records(Snapshot),
    /// Of a window view.
    Slots(SlotSnapshot),
}

/// A store that a worker writes as well, each read being one transaction.
pub trait StateStore: OnlineStore {
    /// Walks a state's entities in ascending order of their key bytes: at most `limit` that come after `after`.
    fn scan(
        &self,
        state: StateId,
        after: Option<EntityKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page, StoreError>>;

    /// Walks the entities of a window view in ascending order of their key bytes: at most `limit` that come after
    /// `after`. Every entity has a [`Slot::Head`](trifold_model::Slot::Head).
    fn scan_slots(
        &self,
        state: StateId,
        after: Option<EntityKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<SlotPage, StoreError>>;

    /// Who computed the rows of a state's events, by partition and in the order of offsets.
    fn switches(&self, state: StateId) -> BoxFuture<'_, Result<Vec<RowSwitch>, StoreError>>;

    /// Writes several states in one atomic, durable transaction: after an error nothing was written. A dropped
    /// future may still complete the transaction, as a whole.
    ///
    /// A state's first commit chooses its incarnation; later ones must name the same incarnation and log, and
    /// may not move a position back.
    fn commit(&self, commits: Vec<Commit>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Removes a state's records, slots, switches and its marker in one atomic, durable transaction.
    fn clear(&self, state: StateId) -> BoxFuture<'_, Result<(), StoreError>>;
}

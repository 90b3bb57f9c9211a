//! Whole states, brought from the store that a worker filled into a Redis.
//!
//! A load is one life of a source of its own, whose changes are the entities in the order of the store. The marker comes
//! last, so that lookups wait until all is there.

use tokio::sync::watch;
use trifold_model::EntityKey;
use trifold_store::{Entry, Fed, Feeding, SlotChange, StateStore, Step, StoreError};
use trifold_windows::{Damage, unpacked};

use crate::feed::FeedId;

/// So many entities are in memory at a time.
const ENTITIES_AT_ONCE: usize = 512;

/// Why a state is not in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A store failed.
    #[error("view {view}: {source}", view = feed.view)]
    Store {
        /// The state.
        feed: FeedId,
        /// What the store says.
        source: StoreError,
    },
    /// What is kept of an entity is damaged.
    #[error("view {view}: the tiles of entity {key} are damaged: {source}", view = feed.view)]
    Entity {
        /// The state.
        feed: FeedId,
        /// The entity.
        key: EntityKey,
        /// What is wrong.
        source: Damage,
    },
    /// What was brought is not there any more.
    #[error(
        "view {view}: what was loaded of partition {partition} is gone: the Redis lost it, or somebody else fills the same \
         state; stop `trifold materialize` and other loads, and load again", view = feed.view
    )]
    Lost {
        /// The state.
        feed: FeedId,
        /// The partition.
        partition: u32,
    },
    /// It was told to stop.
    #[error("interrupted while view {view} was loaded, which has no answers until then: run it again", view = feed.view)]
    Interrupted {
        /// The state.
        feed: FeedId,
    },
}

/// A state in a store, which has the entities of one partition.
pub struct Load<'a> {
    /// The state.
    pub feed: &'a FeedId,
    /// The partition.
    pub partition: u32,
    /// The store.
    pub store: &'a dyn StateStore,
}

impl Load<'_> {
    /// How many entities the state has.
    pub async fn entities(&self) -> Result<u64, LoadError> {
        let (mut pages, mut count) = (Pages::default(), 0);
        while let Some(page) = pages.next(self).await? {
            count += page.entities;
        }
        Ok(count)
    }

    /// Takes the place of whatever is there of the partition, and tells `brought` of entities as they come in. `clock`
    /// gives microseconds since 1970.
    pub async fn bring(
        &self,
        mut feeding: Feeding,
        clock: fn() -> u64,
        stop: &watch::Receiver<bool>,
        brought: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), LoadError> {
        let begun = feeding.begin(true, clock(), clock()).await;
        self.check(begun)?;
        let (mut pages, mut next) = (Pages::default(), 0);
        while let Some(page) = pages.next(self).await? {
            if *stop.borrow() {
                return Err(LoadError::Interrupted { feed: self.feed.clone() });
            }
            if page.entries.is_empty() {
                continue;
            }
            next += page.entries.len() as u64;
            let step = Step { entries: &page.entries, next, marker: None, complete: false, now: clock() };
            self.check(feeding.apply(&step).await)?;
            brought(page.entities);
        }
        // Without any event of the partition there is none, and all that there is is there.
        let marker = self.store.marker(self.feed.state).await.map_err(|error| self.failed(error))?;
        let last = Step { entries: &[], next: next + 1, marker: marker.as_ref(), complete: true, now: clock() };
        self.check(feeding.apply(&last).await)
    }

    fn check(&self, fed: Result<Fed, StoreError>) -> Result<(), LoadError> {
        match fed.map_err(|error| self.failed(error))? {
            Fed::In => Ok(()),
            Fed::Lost => Err(LoadError::Lost { feed: self.feed.clone(), partition: self.partition }),
        }
    }

    fn failed(&self, source: StoreError) -> LoadError {
        LoadError::Store { feed: self.feed.clone(), source }
    }
}

/// A walk over the entities of a state.
#[derive(Default)]
struct Pages {
    at: Place,
    after: Option<EntityKey>,
}

/// A state has records or slots, and of the others none.
#[derive(Default)]
enum Place {
    #[default]
    Records,
    Slots,
    End,
}

/// Some entities, and the changes that make them.
struct Page {
    entities: u64,
    entries: Vec<Entry>,
}

impl Pages {
    async fn next(&mut self, load: &Load<'_>) -> Result<Option<Page>, LoadError> {
        let after = self.after.take();
        let (state, limit) = (load.feed.state, ENTITIES_AT_ONCE);
        match self.at {
            Place::Records => {
                let page = load.store.scan(state, after, limit).await.map_err(|error| load.failed(error))?;
                self.go_on(page.next, Place::Slots);
                let entities = page.entries.len() as u64;
                let entries = page.entries.into_iter();
                let entries =
                    entries.map(|(key, record)| Entry::Record { key, record: Box::new(record) }).collect();
                Ok(Some(Page { entities, entries }))
            }
            Place::Slots => {
                let page = load.store.scan_slots(state, after, limit).await.map_err(|error| load.failed(error))?;
                self.go_on(page.next, Place::End);
                let (entities, mut entries) = (page.entities.len() as u64, Vec::new());
                for (key, slots) in page.entities {
                    // Tile by tile, as a feeder brings them: lookups leave what they do not need where it is.
                    let slots = unpacked(slots).map_err(|source| {
                        let (feed, key) = (load.feed.clone(), key.clone());
                        LoadError::Entity { feed, key, source }
                    })?;
                    let change =
                        |(slot, bytes)| Entry::Slot(SlotChange { key: key.clone(), slot, bytes: Some(bytes) });
                    entries.extend(slots.into_iter().map(change));
                }
                Ok(Some(Page { entities, entries }))
            }
            Place::End => Ok(None),
        }
    }

    fn go_on(&mut self, after: Option<EntityKey>, behind: Place) {
        if after.is_none() {
            self.at = behind;
        }
        self.after = after;
    }
}

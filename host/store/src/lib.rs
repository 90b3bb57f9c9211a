//! Online stores of entity records: one trait for those who read, [`OnlineStore`], one for workers who write as well,
//! [`StateStore`], an embedded implementation of both, [`EmbeddedStore`], and one that lookups read and a feeder of
//! changes fills, [`RedisStore`].
//!
//! A store keeps, for each state id, one record per entity of a row view or the slots of each entity of a window view,
//! and one completeness marker. A missing record means
//! "no event" only beside the marker that was read with it, so [`OnlineStore::read`] returns both from one
//! transaction, and [`StateStore::commit`] writes both in one. Beside them stands who computed the rows of which events.
//!
//! Reading order: [`record`], [`api`], [`error`], [`codec`] for the bytes of records and markers, [`changelog`] for
//! those of changes in a log, [`embedded`]
//! and `tables` for the database file, [`holder`] for who has it open, [`redis_store`]; [`guarded`] and `breaker` for a store
//! elsewhere that is down, [`cached`] for what is kept of one.

pub mod api;
mod breaker;
pub mod cached;
pub mod changelog;
pub mod codec;
pub mod embedded;
pub mod error;
pub mod guarded;
pub mod holder;
pub mod record;
pub mod redis_store;
mod tables;

pub use api::{Ask, Entities, Found, OnlineStore, StateStore};
pub use cached::{CacheFigures, CacheSettings, CachedStore};
pub use changelog::{Entry, EntryError};
pub use codec::{KEY_BYTES_MAX, RECORD_BYTES_MAX};
pub use embedded::{CACHE_BYTES, EmbeddedStore};
pub use error::{Damage, StoreError};
pub use guarded::{GuardedStore, Stopwatch};
pub use holder::Holder;
pub use record::{
    Commit, EntityQuery, Marker, Output, Page, Record, RowSwitch, RowsUnder, SlotChange, SlotPage, SlotSnapshot,
    Slots, Snapshot,
};
pub use redis_store::RedisStore;
pub use redis_store::feeding::{Fed, Feeding, Followed, Step};
pub use redis_store::settings::RedisSettings;

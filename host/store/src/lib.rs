//! Online stores of entity records: one trait, [`OnlineStore`], and one embedded implementation,
//! [`EmbeddedStore`].
//!
//! A store keeps, for each state id, one record per entity of a row view or the slots of each entity of a window view,
//! and one completeness marker. A missing record means
//! "no event" only beside the marker that was read with it, so [`OnlineStore::read`] returns both from one
//! transaction, and [`OnlineStore::commit`] writes both in one.
//!
//! Reading order: [`record`], [`api`], [`error`], [`codec`] for the bytes of records and markers, [`changelog`] for
//! those of changes in a log, [`embedded`]
//! and `tables` for the database file, [`holder`] for who has it open.

pub mod api;
pub mod changelog;
pub mod codec;
pub mod embedded;
pub mod error;
pub mod holder;
pub mod record;
mod tables;

pub use api::OnlineStore;
pub use changelog::{Entry, EntryError};
pub use codec::{KEY_BYTES_MAX, RECORD_BYTES_MAX};
pub use embedded::{CACHE_BYTES, EmbeddedStore};
pub use error::{Damage, StoreError};
pub use holder::Holder;
pub use record::{
    Commit, EntityQuery, Marker, Output, Page, Record, SlotChange, SlotPage, SlotSnapshot, Slots, Snapshot,
};

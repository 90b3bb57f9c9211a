//! Why a store refuses or cannot answer.

use std::path::PathBuf;

use trifold_model::{EntityKey, Slot, StateId};

use crate::codec::{KEY_BYTES_MAX, RECORD_BYTES_MAX};
use crate::holder::Holder;

/// Why a store refused or could not answer. Nothing was written, but for [`StoreError::Remote`], which leaves that open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Somebody else has the store open.
    #[error("the store {path} is in use by {}; stop it, or use another data directory", holder_name(holder.as_ref()))]
    Held {
        /// The database file.
        path: PathBuf,
        /// Who; unknown for the moment between locking the store and saying so.
        holder: Option<Holder>,
    },
    /// The database file cannot be opened, is damaged, or is something else.
    #[error("cannot open the store {path}: {reason}")]
    Open {
        /// The database file.
        path: PathBuf,
        /// What the file system or the database says.
        reason: String,
    },
    /// The file holds a store of another format.
    #[error(
        "the store {path} has format {found}, this version of trifold reads format {known}; use the version that \
             wrote it, or remove the file and replay the events"
    )]
    Format {
        /// The database file.
        path: PathBuf,
        /// The format found.
        found: u64,
        /// The format that can be read.
        known: u64,
    },
    /// The database failed during an operation.
    #[error("the store {path} failed to {action}: {reason}")]
    Database {
        /// The database file.
        path: PathBuf,
        /// What it was to do.
        action: &'static str,
        /// What the database says.
        reason: String,
    },
    /// A setting cannot be.
    #[error("{problem}")]
    Setting {
        /// What is wrong with it.
        problem: String,
    },
    /// A store elsewhere, or the way to it, failed.
    #[error("the Redis at {address} could not {action}: {reason}")]
    Remote {
        /// Where it is.
        address: String,
        /// What it was to do.
        action: &'static str,
        /// What it says, or its client.
        reason: String,
    },
    /// A store elsewhere had said nothing when those who asked gave up.
    #[error("the store did not answer within {millis} ms, when whoever asked gave up")]
    Silent {
        /// How long it had said nothing.
        millis: u64,
    },
    /// What lies under the keys of a store elsewhere is not ours.
    #[error("the Redis at {address} could not {action}: {reason}; something else wrote there, remove it")]
    Foreign {
        /// Where it is.
        address: String,
        /// What it was to do.
        action: &'static str,
        /// What it says, or its client.
        reason: String,
    },
    /// The store failed a moment ago and is spared.
    #[error("{reason}; it is tried again in a moment")]
    Resting {
        /// How it failed.
        reason: String,
    },
    /// Too many read at once.
    #[error(
        "{reads} reads of the store are under way, which are as many as there may be: ask again, or raise `redis.reads-max`"
    )]
    Busy {
        /// The most.
        reads: usize,
    },
    /// A store answered something else than it was asked.
    #[error("the store answered something else than it was asked")]
    Answer,
    /// A state follows another log of changes.
    #[error(
        "state {state} in the Redis at {address} follows {stored}, and this is {given}: name another prefix with \
         `redis.prefix`, or another Redis"
    )]
    OtherSource {
        /// The state.
        state: StateId,
        /// Where it is.
        address: String,
        /// What it follows.
        stored: String,
        /// What it was to follow.
        given: String,
    },
    /// The bytes of a record are damaged.
    #[error("the record of state {state}, key {key}: {damage}; clear the state and replay its events")]
    DamagedRecord {
        /// The state.
        state: StateId,
        /// The entity.
        key: EntityKey,
        /// What is wrong.
        damage: Damage,
    },
    /// The bytes of a marker are damaged.
    #[error("the marker of state {state}: {damage}; clear the state and replay its events")]
    DamagedMarker {
        /// The state.
        state: StateId,
        /// What is wrong.
        damage: Damage,
    },
    /// An entity key is too long to be stored.
    #[error("state {state}: an entity key has {bytes} bytes, the most is {KEY_BYTES_MAX}; it begins {head}")]
    KeyTooLarge {
        /// The state.
        state: StateId,
        /// The first bytes of the key in hexadecimal.
        head: String,
        /// The key's size.
        bytes: usize,
    },
    /// A slot is too large to be stored.
    #[error("state {state}, key {key}: the slot {slot:?} has {bytes} bytes, the most is {RECORD_BYTES_MAX}")]
    SlotTooLarge {
        /// The state.
        state: StateId,
        /// The entity.
        key: EntityKey,
        /// The slot.
        slot: Slot,
        /// The slot's size.
        bytes: usize,
    },
    /// The place of a slot is damaged.
    #[error("a slot of state {state}: {damage}; clear the state and replay its events")]
    DamagedSlot {
        /// The state.
        state: StateId,
        /// What is wrong.
        damage: Damage,
    },
    /// What says who computed rows is damaged.
    #[error("a switch of state {state}: {damage}; clear the state and replay its events")]
    DamagedSwitch {
        /// The state.
        state: StateId,
        /// What is wrong.
        damage: Damage,
    },
    /// A record is too large to be stored.
    #[error("state {state}, key {key}: the record has {bytes} bytes, the most is {RECORD_BYTES_MAX}")]
    RecordTooLarge {
        /// The state.
        state: StateId,
        /// The entity.
        key: EntityKey,
        /// The encoded record's size.
        bytes: usize,
    },
    /// A commit names another incarnation than the state has.
    #[error(
        "state {state} has incarnation {stored} and the commit names {given}; clear the state before it is filled anew"
    )]
    Incarnation {
        /// The state.
        state: StateId,
        /// The state's incarnation.
        stored: u64,
        /// The commit's incarnation.
        given: u64,
    },
    /// A commit comes from another log than the state does.
    #[error(
        "state {state} follows the log {stored} and the commit comes from {given}; clear the state before it is filled anew"
    )]
    Log {
        /// The state.
        state: StateId,
        /// The state's log.
        stored: String,
        /// The commit's log.
        given: String,
    },
    /// A commit comes from events that were read in another way than those of the state.
    #[error(
        "state {state} was filled from events read as {stored} and the commit comes from events read as {given}; \
         clear the state before it is filled anew"
    )]
    Source {
        /// The state.
        state: StateId,
        /// How the state's events were read.
        stored: String,
        /// How the commit's events were read.
        given: String,
    },
    /// A commit would move a position back.
    #[error(
        "state {state}: partition {partition} is applied up to offset {stored} and the commit says {given}; another \
             worker is ahead of this one"
    )]
    Backwards {
        /// The state.
        state: StateId,
        /// The partition.
        partition: u32,
        /// The next offset of the state.
        stored: u64,
        /// The next offset of the commit.
        given: u64,
    },
}

impl StoreError {
    /// Whether somebody else has the store open, so that trying again later may help.
    pub fn is_held(&self) -> bool {
        matches!(self, StoreError::Held { .. })
    }

    /// Whether the store, or the way to it, failed, so that others who ask now will hardly do better.
    pub fn is_down(&self) -> bool {
        matches!(self, StoreError::Remote { .. } | StoreError::Silent { .. })
    }

    /// Whether the store was not asked or did not answer, so that what is there is not known.
    pub fn is_unasked(&self) -> bool {
        self.is_down() || matches!(self, StoreError::Resting { .. } | StoreError::Busy { .. })
    }

    /// Whether what lies there is not ours, which fails those who ask for it and nobody else.
    pub fn is_foreign(&self) -> bool {
        matches!(self, StoreError::Foreign { .. })
    }

    /// Whether stored bytes are damaged.
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            StoreError::DamagedRecord { .. }
                | StoreError::DamagedMarker { .. }
                | StoreError::DamagedSlot { .. }
                | StoreError::DamagedSwitch { .. }
        )
    }
}

/// What is wrong with the bytes of a record or a marker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The first byte names a format that is not known.
    #[error("byte 0 names format {0}, which is not known")]
    Format(u8),
    /// The bytes end too early.
    #[error("{what} ends after byte {bytes}")]
    Truncated {
        /// The part that is cut off.
        what: &'static str,
        /// How many bytes there are.
        bytes: usize,
    },
    /// There are bytes after the end.
    #[error("{0} bytes follow the end")]
    Trailing(usize),
    /// Digits are no number.
    #[error("{0} is no number")]
    Number(&'static str),
    /// Text is not UTF-8.
    #[error("{0} is not valid UTF-8")]
    Utf8(&'static str),
    /// A byte that is neither 0 nor 1.
    #[error("{what} has byte {byte} where 0 or 1 must stand")]
    Flag {
        /// Where it stands.
        what: &'static str,
        /// The byte.
        byte: u8,
    },
    /// The partitions of a marker do not ascend.
    #[error("partition {0} is out of order")]
    PartitionOrder(u32),
}

fn holder_name(holder: Option<&Holder>) -> String {
    holder.map_or_else(|| "another process".to_owned(), Holder::to_string)
}

//! How changes come into a Redis: from where the last ones ended, or not at all.

use std::collections::BTreeSet;

use futures::future::try_join_all;
use redis::{Cmd, ErrorKind, Script, ServerErrorKind, Value};
use trifold_model::{LogId, StateId};

use crate::changelog::Entry;
use crate::codec::{encode_record, encode_slot};
use crate::error::StoreError;
use crate::record::Marker;
use crate::redis_store::RedisStore;
use crate::redis_store::layout::{BUCKETS, Held, Stamp, offset};
use crate::redis_store::runs::{Kind, Run, runs};

/// What runs within the Redis.
#[derive(Debug)]
pub(crate) struct Scripts {
    begin: Script,
    apply: Script,
    pub(crate) remove: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Scripts {
            begin: Script::new(include_str!("begin.lua")),
            apply: Script::new(include_str!("apply.lua")),
            remove: Script::new(include_str!("remove.lua")),
        }
    }
}

/// The log of changes that is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// Its name, which tells it from all other logs.
    pub source: String,
    /// How many partitions it has.
    pub partitions: u32,
}

/// What the name of a source begins with that is no log of changes: a state as a whole, brought once. No name of a cluster
/// begins so.
const LOADED: &str = "a load of ";

fn is_load(source: &str) -> bool {
    source.starts_with(LOADED)
}

impl Followed {
    /// A state that was made of a log of events elsewhere, and is brought as a whole. It gives way to a log of changes, for
    /// nobody brings it further.
    pub fn load(log: &LogId, partitions: u32) -> Self {
        Followed { source: format!("{LOADED}{}", log.0), partitions }
    }
}

/// What is in a Redis of one partition of a state, and the way more comes in.
#[derive(Debug)]
pub struct Feeding {
    store: RedisStore,
    state: StateId,
    partition: u32,
    followed: Followed,
    /// What each bucket says of the partition.
    held: Vec<Option<Held>>,
}

/// Changes to bring.
#[derive(Debug)]
pub struct Step<'a> {
    /// The changes, in the order of their log.
    pub entries: &'a [Entry],
    /// The offset behind the last of them.
    pub next: u64,
    /// The last marker at or before that offset; none before the first transaction.
    pub marker: Option<&'a Marker>,
    /// Whether every state that the log had up to that offset can be told from it: nothing was taken out of it, and the
    /// changes end with a transaction.
    pub complete: bool,
    /// The time, in microseconds since 1970.
    pub now: u64,
}

/// Whether what was to be written is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Fed {
    /// It is, now or since before.
    In,
    /// What it builds on is not there: it was lost, or somebody else began anew. Look again what is there.
    Lost,
}

impl RedisStore {
    /// What is there of a partition, and the way more comes in. Another log of changes does not give way.
    pub async fn feeding(
        &self,
        state: StateId,
        partition: u32,
        followed: Followed,
    ) -> Result<Feeding, StoreError> {
        let feeding = self.replacing(state, partition, followed).await?;
        let given = &feeding.followed.source;
        let stays = feeding.others().find(|source| is_load(given) || !is_load(source));
        if let Some(stored) = stays.map(str::to_owned) {
            let (address, given) = (self.connection.address().to_owned(), given.clone());
            return Err(StoreError::OtherSource { state, address, stored, given });
        }
        Ok(feeding)
    }

    /// The same, whatever it is that is there.
    pub async fn replacing(
        &self,
        state: StateId,
        partition: u32,
        followed: Followed,
    ) -> Result<Feeding, StoreError> {
        let held = self.held(state, partition).await?;
        Ok(Feeding { store: self.clone(), state, partition, followed, held })
    }

    /// What each bucket says of a partition.
    async fn held(&self, state: StateId, partition: u32) -> Result<Vec<Option<Held>>, StoreError> {
        let reads = (0..BUCKETS).map(|bucket| async move {
            let mut command = redis::cmd("HGET");
            command.arg(self.names(state).marker(bucket)).arg(partition);
            let held: Option<Vec<u8>> = command.query_async(&mut self.connection.clone()).await?;
            Ok(held)
        });
        let held = try_join_all(reads).await.map_err(self.connection.failed("read how far a state is"))?;
        let decode =
            |bytes: Vec<u8>| Held::decode(&bytes).map_err(|damage| StoreError::DamagedMarker { state, damage });
        held.into_iter().map(|bytes| bytes.map(decode).transpose()).collect()
    }

    /// Checks that nothing but the feeder takes anything out of it.
    pub async fn check(&self) -> Result<(), StoreError> {
        let mut command = redis::cmd("INFO");
        let answer: Result<Value, _> = command.arg("memory").query_async(&mut self.connection.clone()).await;
        // Some services do not let users ask.
        let Ok(answer) = answer else { return Ok(()) };
        match evicting(&answer) {
            Some(policy) => Err(StoreError::Setting {
                problem: format!(
                    "the Redis at {} has maxmemory-policy {policy}, by which it takes out entities when memory is short, \
                     and lookups would not find them: set it to noeviction",
                    self.connection.address()
                ),
            }),
            None => Ok(()),
        }
    }
}

/// The policy by which keys without a time to live are taken out, if one does that.
fn evicting(info: &Value) -> Option<String> {
    match info {
        Value::BulkString(text) => evicting_text(&String::from_utf8_lossy(text)),
        Value::VerbatimString { text, .. } => evicting_text(text),
        // A cluster answers for each node.
        Value::Array(values) => values.iter().find_map(evicting),
        Value::Map(values) => values.iter().find_map(|(_, value)| evicting(value)),
        _ => None,
    }
}

fn evicting_text(text: &str) -> Option<String> {
    let policy = text.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"))?.trim();
    policy.starts_with("allkeys").then(|| policy.to_owned())
}

impl Feeding {
    /// The other sources that buckets are of.
    fn others(&self) -> impl Iterator<Item = &str> {
        let sources = self.held.iter().flatten().map(|held| held.source.as_str());
        sources.filter(|source| *source != self.followed.source)
    }

    /// Whether some of what is there is of another source, so that nothing goes on from it.
    pub fn is_of_another(&self) -> bool {
        self.others().next().is_some()
    }

    /// The offset from which changes are wanted; `None` if some of what was there is lost, or there never was any.
    pub fn next(&self) -> Option<u64> {
        let next = |held: &Option<Held>| held.as_ref().map(|held| held.next);
        self.held.iter().map(next).min().flatten()
    }

    /// The furthest offset that a bucket has, and the lives of the state that buckets have changes of: several if some were
    /// not begun anew with the others.
    pub fn reach(&self) -> (u64, BTreeSet<u64>) {
        let held = || self.held.iter().flatten();
        let lives = held().filter_map(|held| held.marker.as_ref()).map(|marker| marker.incarnation);
        (held().map(|held| held.next).max().unwrap_or_default(), lives.collect())
    }

    /// Whether lookups are answered from all of it.
    pub fn is_complete(&self) -> bool {
        let complete = |held: &Held| held.complete && held.partitions == self.followed.partitions;
        self.held.iter().all(|held| held.as_ref().is_some_and(complete))
    }

    /// Whether all that was brought is still there.
    pub async fn is_there(&self) -> Result<bool, StoreError> {
        let found = self.store.held(self.state, self.partition).await?;
        let goes_on = |(known, found): (&Option<Held>, &Option<Held>)| match (known, found) {
            (Some(known), Some(found)) => {
                found.stamp == known.stamp && found.next >= known.next
                    // A feeder that knew less may have come late.
                    && (found.complete || !known.complete)
            }
            _ => false,
        };
        Ok(self.held.iter().zip(&found).all(goes_on))
    }

    /// When all of it was last known to be all that there was, or else when it was begun, in microseconds since 1970.
    pub fn current(&self) -> Option<u64> {
        self.held.iter().map(|held| held.as_ref().map(|held| held.current)).min().flatten()
    }

    /// The marker that the changes have come to.
    pub fn marker(&self) -> Option<&Marker> {
        let held = self.held.iter().flatten().min_by_key(|held| held.next);
        held.and_then(|held| held.marker.as_ref())
    }

    /// Says that changes come from the beginning of the log: for all of the partition, or for what is lost of it. `life`
    /// must be a number that was never given before. What another source said of whichever partition is gone then.
    pub async fn begin(&mut self, all: bool, life: u64, now: u64) -> Result<Fed, StoreError> {
        let names = self.store.names(self.state);
        let begun = Held {
            stamp: Stamp { partition: self.partition, life },
            next: 0,
            complete: false,
            current: now,
            partitions: self.followed.partitions,
            source: self.followed.source.clone(),
            marker: None,
        };
        let wanted = |(_, held): &(usize, &Option<Held>)| all || held.is_none();
        let writes = self.held.iter().enumerate().filter(wanted).map(|(bucket, held)| {
            let mut call = self.store.scripts.begin.key(names.marker(bucket));
            call.arg(self.partition).arg(held.as_ref().map_or_else(Vec::new, Held::encode)).arg(begun.encode());
            let mut connection = self.store.connection.clone();
            async move { Ok((bucket, call.invoke_async::<u8>(&mut connection).await?)) }
        });
        let written = try_join_all(writes).await.map_err(self.store.connection.failed("begin a state"))?;
        let mut fed = Fed::In;
        for (bucket, written) in written {
            match written {
                1 => self.held[bucket] = Some(begun.clone()),
                _ => fed = Fed::Lost,
            }
        }
        Ok(fed)
    }

    /// Brings changes in. After an error some buckets may have them and others not, which the same step mends.
    pub async fn apply(&mut self, step: &Step<'_>) -> Result<Fed, StoreError> {
        let runs = runs(step.entries);
        let this = &*self;
        let calls = this.held.iter().zip(&runs).enumerate().map(|(place, (held, runs))| {
            let mut connection = this.store.connection.clone();
            // Made when its turn comes, while the Redis has the ones before.
            async move {
                let Some(held) = held else { return Ok(None) };
                if step.next < held.next {
                    return Ok(Some(held.clone()));
                }
                let after = Held {
                    next: step.next,
                    complete: step.complete,
                    current: if step.complete { step.now } else { held.current },
                    partitions: this.followed.partitions,
                    marker: step.marker.or(held.marker.as_ref()).cloned(),
                    ..held.clone()
                };
                let call = this.call(place, (held, &after), runs);
                let written: Result<u8, _> = call.query_async(&mut connection).await;
                let written = match written {
                    Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                        this.store.scripts.apply.load_async(&mut connection).await?;
                        call.query_async(&mut connection).await?
                    }
                    written => written?,
                };
                Ok((written == 1).then_some(after))
            }
        });
        let written = try_join_all(calls).await.map_err(self.store.connection.failed("write changes"))?;
        let mut fed = Fed::In;
        for (held, written) in self.held.iter_mut().zip(written) {
            match written {
                Some(written) => *held = Some(written),
                None => fed = Fed::Lost,
            }
        }
        Ok(fed)
    }

    /// The call of the script for one bucket.
    fn call(&self, place: usize, (before, after): (&Held, &Held), runs: &[Run<'_>]) -> Cmd {
        let names = self.store.names(self.state);
        let (entity, events) = (names.entities(place), names.events_of_entities(place));
        let stamp = before.stamp.text();
        let mut call = redis::cmd("EVALSHA");
        call.arg(self.store.scripts.apply.get_hash()).arg(1 + runs.len()).arg(names.marker(place));
        let mut scratch = Vec::new();
        for run in runs {
            let (name, key) = match run {
                Run::Slots(key, Kind { is_events: true, .. }, _) => (&events, key),
                Run::Slots(key, ..) | Run::Record(key, _) => (&entity, key),
            };
            scratch.clear();
            scratch.extend_from_slice(name);
            scratch.extend_from_slice(&key.0);
            call.arg(&scratch);
        }
        call.arg(self.partition).arg(&stamp);
        call.arg(offset(before.next)).arg(offset(after.next)).arg(after.encode());
        for run in runs {
            match run {
                Run::Record(_, record) => {
                    let mut bytes = Vec::with_capacity(record.encoded_bytes());
                    encode_record(record, &mut bytes);
                    scratch.clear();
                    scratch.extend_from_slice(stamp.as_bytes());
                    scratch.extend_from_slice(&bytes);
                    call.arg("s").arg(&scratch);
                }
                Run::Slots(_, kind, slots) => {
                    call.arg(if kind.is_removal { "d" } else { "p" });
                    call.arg(slots.len() * if kind.is_removal { 1 } else { 2 });
                    for entry in *slots {
                        let Entry::Slot(change) = entry else { continue };
                        scratch.clear();
                        encode_slot(change.slot, &mut scratch);
                        call.arg(&scratch);
                        change.bytes.iter().for_each(|bytes| {
                            call.arg(&bytes[..]);
                        });
                    }
                }
            }
        }
        call
    }
}

//! Reading what a Redis holds.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all, try_join_all};
use redis::{Cmd, ErrorKind, ServerErrorKind, Value};
use trifold_model::{EntityKey, Positions, StateId};

use crate::api::{Ask, Entities, Found, OnlineStore};
use crate::codec::{decode_record, decode_slot};
use crate::error::{Damage, StoreError};
use crate::record::{EntityQuery, Marker, SlotSnapshot, Slots, Snapshot};
use crate::redis_store::RedisStore;
use crate::redis_store::layout::{BUCKETS, Held, LIFE, STAMP_BYTES, Stamp, bucket};

/// The fields of a hash, with what they hold.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// What the marker of a bucket says, by partition.
#[derive(Default)]
struct BucketMarker(BTreeMap<u32, Held>);

impl BucketMarker {
    /// Whether everything up to the positions is in the bucket, of every partition.
    fn is_complete(&self) -> bool {
        let partitions = self.0.values().next().map_or(u32::MAX, |held| held.partitions);
        let of_log = || self.0.range(..partitions).map(|(_, held)| held);
        of_log().count() as u64 == u64::from(partitions)
            && of_log().all(|held| held.complete && held.partitions == partitions)
    }

    /// Which partition something that carries a stamp is of and how far that is, if it is part of the bucket.
    fn next(&self, stamp: Option<Stamp>) -> Option<(u32, u64)> {
        let stamp = stamp?;
        let held = self.0.get(&stamp.partition).filter(|held| held.stamp == stamp)?;
        Some((stamp.partition, held.marker.as_ref()?.positions.next(stamp.partition)))
    }
}

/// What is read of one bucket at once.
struct BucketRead {
    marker: BucketMarker,
    /// One answer for each command behind the first.
    answers: Vec<Value>,
}

/// The places of what is read, by bucket.
fn by_bucket<'a>(keys: impl Iterator<Item = &'a EntityKey>) -> BTreeMap<usize, Vec<usize>> {
    let mut buckets: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (place, key) in keys.enumerate() {
        buckets.entry(bucket(key)).or_default().push(place);
    }
    buckets
}

/// What is asked about some entities of one state.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    Records(&'a [EntityKey]),
    Slots(&'a [EntityQuery]),
    /// No entity, but the markers of all buckets.
    Markers,
}

/// What is asked of one bucket: its marker, and behind it some of its entities.
struct BucketAsk {
    state: StateId,
    bucket: usize,
    /// The places of the entities among those that are asked for.
    places: Vec<usize>,
    commands: Vec<Cmd>,
}

impl RedisStore {
    /// What some entities take, by bucket.
    fn bucket_asks(&self, state: StateId, wanted: Wanted<'_>) -> Vec<BucketAsk> {
        let names = self.names(state);
        let buckets = match wanted {
            Wanted::Records(keys) => by_bucket(keys.iter()),
            Wanted::Slots(queries) => by_bucket(queries.iter().map(|query| &query.key)),
            Wanted::Markers => (0..BUCKETS).map(|bucket| (bucket, Vec::new())).collect(),
        };
        let asks = buckets.into_iter().map(|(bucket, places)| {
            let mut commands = vec![command("HGETALL", names.marker(bucket))];
            for &place in &places {
                match wanted {
                    Wanted::Records(keys) => commands.push(command("GET", names.entity(bucket, &keys[place]))),
                    Wanted::Slots(queries) => {
                        let query = &queries[place];
                        commands.push(command("HGETALL", names.entity(bucket, &query.key)));
                        if !query.events.is_empty() {
                            commands.push(command("HGETALL", names.events(bucket, &query.key)));
                        }
                    }
                    Wanted::Markers => {}
                }
            }
            BucketAsk { state, bucket, places, commands }
        });
        asks.collect()
    }

    /// What the commands of each bucket are answered, within the time that an answer may take: connecting anew and asking again
    /// come out of the same time.
    ///
    /// One Redis is asked once, by one transaction that leaves in one piece. A cluster has buckets on several nodes, and takes
    /// from one transaction only what one node has: there is one for each bucket, which share the connection to their node.
    async fn ask(&self, asks: &[BucketAsk]) -> Result<Vec<Vec<Value>>, StoreError> {
        let asked = async {
            match self.connection.is_cluster() {
                false => self.transaction(asks).await,
                true => {
                    let each = try_join_all(asks.chunks(1).map(|ask| self.transaction(ask))).await?;
                    Ok(each.into_iter().flatten().collect())
                }
            }
        };
        tokio::time::timeout(self.timeout, asked).await.unwrap_or_else(|_| {
            Err(StoreError::Remote {
                address: self.connection.address().to_owned(),
                action: READ,
                reason: format!("no answer within {} ms", self.timeout.as_millis()),
            })
        })
    }

    async fn transaction(&self, asks: &[BucketAsk]) -> Result<Vec<Vec<Value>>, StoreError> {
        let Some(first) = asks.first() else { return Ok(Vec::new()) };
        let failed = self.connection.failed(READ);
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        for command in asks.iter().flat_map(|ask| &ask.commands) {
            pipeline.add_command(command.clone());
        }
        let ask = || async {
            let answers: Result<Vec<Value>, _> = pipeline.query_async(&mut self.connection.clone()).await;
            answers
        };
        let answers = match ask().await {
            // That a connection is gone shows when it is used. It is made again for the next that use it.
            Err(error) if error.is_connection_dropped() || error.is_io_error() && !error.is_timeout() => {
                ask().await
            }
            // A bucket that went to another node of a cluster: a single command is sent on, and the client learns of it.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::ExecAbort) => {
                let single = command("HLEN", self.names(first.state).marker(first.bucket));
                single.query_async::<u64>(&mut self.connection.clone()).await.map_err(&failed)?;
                ask().await
            }
            answers => answers,
        };
        let mut answers = answers.map_err(failed)?.into_iter();
        Ok(asks.iter().map(|ask| answers.by_ref().take(ask.commands.len()).collect()).collect())
    }

    /// What a bucket says of itself, and the other answers.
    fn bucket(&self, state: StateId, answers: Vec<Value>) -> Result<BucketRead, StoreError> {
        let mut answers = answers.into_iter();
        let fields = pairs(answers.next().unwrap_or(Value::Nil)).map_err(self.connection.failed(READ))?;
        let damaged = |damage| StoreError::DamagedMarker { state, damage };
        let held = fields.into_iter().map(|(partition, held)| {
            let partition = std::str::from_utf8(&partition).ok().and_then(|text| text.parse().ok());
            let partition = partition.ok_or_else(|| damaged(Damage::Number("a partition")))?;
            Ok((partition, Held::decode(&held).map_err(damaged)?))
        });
        let marker = BucketMarker(held.collect::<Result<_, StoreError>>()?);
        Ok(BucketRead { marker, answers: answers.collect() })
    }

    fn buckets(&self, state: StateId, answers: Vec<Vec<Value>>) -> Result<Vec<BucketRead>, StoreError> {
        answers.into_iter().map(|answers| self.bucket(state, answers)).collect()
    }

    fn records(
        &self,
        state: StateId,
        keys: &[EntityKey],
        asks: &[BucketAsk],
        answers: Vec<Vec<Value>>,
    ) -> Result<Snapshot, StoreError> {
        let reads = self.buckets(state, answers)?;
        let base = merged(&reads.iter().map(|read| &read.marker).collect::<Vec<_>>());
        let mut snapshot = Snapshot { marker: base, records: vec![None; keys.len()], ..Snapshot::default() };
        for (ask, read) in asks.iter().zip(reads) {
            for (&place, answer) in ask.places.iter().zip(read.answers) {
                let bytes: Option<Vec<u8>> = redis::from_redis_value(answer)
                    .map_err(|error| self.connection.failed("read a record")(error.into()))?;
                let Some(bytes) = bytes else { continue };
                let damaged = |damage| StoreError::DamagedRecord { state, key: keys[place].clone(), damage };
                let (stamp, record) = split_stamp(&bytes).map_err(damaged)?;
                if let Some(reached) = read.marker.next(stamp) {
                    snapshot.records[place] = Some(decode_record(record).map_err(damaged)?);
                    note(&mut snapshot.ahead, snapshot.marker.as_ref(), place, reached);
                }
            }
        }
        Ok(snapshot)
    }

    fn slots(
        &self,
        state: StateId,
        queries: &[EntityQuery],
        asks: &[BucketAsk],
        answers: Vec<Vec<Value>>,
    ) -> Result<SlotSnapshot, StoreError> {
        let reads = self.buckets(state, answers)?;
        let base = merged(&reads.iter().map(|read| &read.marker).collect::<Vec<_>>());
        let entities = vec![Slots::new(); queries.len()];
        let mut snapshot = SlotSnapshot { marker: base, entities, ..SlotSnapshot::default() };
        for (ask, read) in asks.iter().zip(reads) {
            let mut answers = read.answers.into_iter();
            for &place in &ask.places {
                let query = &queries[place];
                let mut slots = Slots::new();
                for _ in 0..=usize::from(!query.events.is_empty()) {
                    let fields = pairs(answers.next().unwrap_or(Value::Nil));
                    let fields = fields.map_err(self.connection.failed("read tiles"))?;
                    if let Some(reached) = read.marker.next(stamp(&fields)) {
                        append(state, fields, &mut slots)?;
                        note(&mut snapshot.ahead, snapshot.marker.as_ref(), place, reached);
                    }
                }
                slots.retain(|(slot, _)| query.wants(slot));
                slots.sort_unstable_by_key(|(slot, _)| *slot);
                snapshot.entities[place] = slots;
            }
        }
        Ok(snapshot)
    }

    async fn whole_marker(&self, state: StateId) -> Result<Option<Marker>, StoreError> {
        let answers = self.ask(&self.bucket_asks(state, Wanted::Markers)).await?;
        let reads = self.buckets(state, answers)?;
        Ok(merged(&reads.iter().map(|read| &read.marker).collect::<Vec<_>>()))
    }

    async fn read_one(&self, ask: &Ask) -> Result<Found, StoreError> {
        Ok(match &ask.entities {
            Entities::Records(keys) => Found::Records(self.read(ask.state, keys).await?),
            Entities::Slots(queries) => Found::Slots(self.read_slots(ask.state, queries).await?),
        })
    }

    async fn read_together(&self, asks: &[Ask]) -> Vec<Result<Found, StoreError>> {
        let wanted = asks.iter().map(|ask| {
            let wanted = match &ask.entities {
                Entities::Records(keys) => Wanted::Records(keys),
                Entities::Slots(queries) => Wanted::Slots(queries),
            };
            self.bucket_asks(ask.state, wanted)
        });
        let wanted: Vec<_> = wanted.collect();
        let counts: Vec<_> = wanted.iter().map(Vec::len).collect();
        let mut together: Vec<_> = wanted.into_iter().flatten().collect();
        let answers = match self.ask(&together).await {
            Ok(answers) => answers,
            // What lies under one view's keys fails all that are asked with it.
            Err(error) if error.is_foreign() && asks.len() > 1 => {
                return join_all(asks.iter().map(|ask| self.read_one(ask))).await;
            }
            Err(error) => return vec![Err(error); asks.len()],
        };
        let mut answers = answers.into_iter();
        let found = asks.iter().zip(counts).map(|(ask, count)| {
            let of_ask: Vec<_> = together.drain(..count).collect();
            let answers = answers.by_ref().take(count).collect();
            Ok(match &ask.entities {
                Entities::Records(keys) => Found::Records(self.records(ask.state, keys, &of_ask, answers)?),
                Entities::Slots(queries) => Found::Slots(self.slots(ask.state, queries, &of_ask, answers)?),
            })
        });
        found.collect()
    }
}

impl OnlineStore for RedisStore {
    fn read<'a>(&'a self, state: StateId, keys: &'a [EntityKey]) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        async move {
            let asks = self.bucket_asks(state, Wanted::Records(keys));
            self.records(state, keys, &asks, self.ask(&asks).await?)
        }
        .boxed()
    }

    fn read_slots<'a>(
        &'a self,
        state: StateId,
        queries: &'a [EntityQuery],
    ) -> BoxFuture<'a, Result<SlotSnapshot, StoreError>> {
        async move {
            let asks = self.bucket_asks(state, Wanted::Slots(queries));
            self.slots(state, queries, &asks, self.ask(&asks).await?)
        }
        .boxed()
    }

    fn marker(&self, state: StateId) -> BoxFuture<'_, Result<Option<Marker>, StoreError>> {
        self.whole_marker(state).boxed()
    }

    fn read_all<'a>(&'a self, asks: &'a [Ask]) -> BoxFuture<'a, Vec<Result<Found, StoreError>>> {
        self.read_together(asks).boxed()
    }
}

/// What fails where entities cannot be read.
const READ: &str = "read entities";

fn command(name: &str, key: impl redis::ToRedisArgs) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(key);
    command
}

/// How far all of some buckets are, if each is complete.
fn merged(buckets: &[&BucketMarker]) -> Option<Marker> {
    if !buckets.iter().all(|bucket| bucket.is_complete()) {
        return None;
    }
    let held = || buckets.iter().flat_map(|bucket| &bucket.0);
    let markers = || held().filter_map(|(partition, held)| Some((*partition, held.marker.as_ref()?)));
    let mut positions = BTreeMap::new();
    for (&partition, held) in held() {
        // Before its first transaction nothing of a partition is in any bucket.
        let next = held.marker.as_ref().map_or(0, |marker| marker.positions.next(partition));
        positions.entry(partition).and_modify(|least: &mut u64| *least = next.min(*least)).or_insert(next);
    }
    // Each partition's entities are forgotten by its own clock. Which partition an entity that is not there belongs to
    // is not known, so all clocks are those of the one that is the furthest.
    let latest = markers().flat_map(|(_, marker)| marker.arrivals.values()).max().copied();
    let arrivals = positions.keys().filter_map(|partition| Some((*partition, latest?))).collect();
    let (_, any) = markers().next()?;
    Some(Marker {
        incarnation: markers().map(|(_, marker)| marker.incarnation).max()?,
        release: markers().map(|(_, marker)| marker.release).max()?,
        positions: Positions(positions),
        arrivals,
        ..any.clone()
    })
}

/// Notes that what was read at a place includes more than all of what was read.
fn note(
    ahead: &mut BTreeMap<usize, Positions>,
    whole: Option<&Marker>,
    place: usize,
    (partition, next): (u32, u64),
) {
    if whole.is_some_and(|whole| whole.positions.next(partition) < next) {
        ahead.insert(place, Positions(BTreeMap::from([(partition, next)])));
    }
}

fn split_stamp(bytes: &[u8]) -> Result<(Option<Stamp>, &[u8]), Damage> {
    let truncated = || Damage::Truncated { what: "the stamp", bytes: bytes.len() };
    let (stamp, rest) = bytes.split_at_checked(STAMP_BYTES).ok_or_else(truncated)?;
    Ok((Stamp::parse(stamp), rest))
}

fn stamp(fields: &Pairs) -> Option<Stamp> {
    let life = fields.iter().find(|(field, _)| field == LIFE);
    life.and_then(|(_, stamp)| Stamp::parse(stamp))
}

/// The slots of a hash.
fn append(state: StateId, fields: Pairs, slots: &mut Slots) -> Result<(), StoreError> {
    for (field, value) in fields.into_iter().filter(|(field, _)| field != LIFE) {
        let slot = decode_slot(&field).map_err(|damage| StoreError::DamagedSlot { state, damage })?;
        slots.push((slot, Bytes::from(value)));
    }
    Ok(())
}

/// The fields and values of a hash.
fn pairs(answer: Value) -> Result<Pairs, redis::RedisError> {
    Ok(redis::from_redis_value(answer)?)
}

#[cfg(test)]
mod tests {
    use trifold_model::LogId;

    use super::*;

    /// What a bucket says of two partitions: how far it is, and the latest arrival.
    fn bucket_marker(said: [Option<(u64, i64)>; 2]) -> BucketMarker {
        let held = (0..).zip(said).map(|(partition, said)| {
            let marker = said.map(|(next, latest)| Marker {
                incarnation: 7 + u64::from(partition),
                log: LogId("cluster/events".into()),
                source: "event_time".to_owned(),
                positions: Positions(BTreeMap::from([(partition, next)])),
                consumed: Vec::new(),
                release: Some(1),
                arrivals: BTreeMap::from([(partition, latest)]),
            });
            let stamp = Stamp { partition, life: 1 };
            let source = "cluster/changes".to_owned();
            (partition, Held { stamp, next: 9, complete: true, current: 1, partitions: 2, source, marker })
        });
        BucketMarker(held.collect())
    }

    #[test]
    fn a_marker_names_what_all_buckets_have_and_the_furthest_clock() {
        let buckets = [
            bucket_marker([Some((5, 100)), Some((2, 40))]),
            bucket_marker([Some((7, 300)), Some((2, 40))]),
            bucket_marker([Some((6, 200)), None]),
        ];
        let whole = merged(&buckets.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(whole.positions.0, BTreeMap::from([(0, 5), (1, 0)]));
        assert_eq!(whole.arrivals, BTreeMap::from([(0, 300), (1, 300)]));
        assert_eq!(whole.incarnation, 8);
        let nothing = bucket_marker([None, None]);
        assert_eq!(merged(&[&nothing]), None);
    }

    #[test]
    fn a_bucket_is_complete_once_all_partitions_are() {
        let mut marker = bucket_marker([Some((5, 100)), Some((2, 40))]);
        assert!(marker.is_complete());
        // One that the log had in an earlier life.
        let more = marker.0[&1].clone();
        marker.0.insert(2, Held { stamp: Stamp { partition: 2, life: 1 }, partitions: 3, ..more });
        assert!(marker.is_complete());
        if let Some(held) = marker.0.get_mut(&1) {
            held.complete = false;
        }
        assert!(!marker.is_complete());
        assert_eq!(merged(&[&marker]), None);
        marker.0.remove(&1);
        assert!(!marker.is_complete());
        assert!(!BucketMarker::default().is_complete());
    }
}

//! Stores with views of many features, and what reads as much of them without a runtime of features.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use redb::{Database, ReadableDatabase, TableDefinition};
use redis::aio::MultiplexedConnection;
use tokio::sync::watch;
use tonic::Status;
use tonic::codegen::Bytes;
use trifold_eventlog::Events;
use trifold_model::{ArrivalTime, EventTime, LogId, Positions};
use trifold_pipeline::{Changes, Ingest, LiveVersion, WindowIngest};
use trifold_sandbox::Budget;
use trifold_server::api::column::Values;
use trifold_server::api::{Column, GetFeaturesRequest, Int64s};
use trifold_store::{Commit, EmbeddedStore, Followed, Holder, Marker, RedisSettings, RedisStore, StateStore};
use trifold_stream::{FeedId, Load};
use trifold_test_servers::Redis;

use crate::online::NOW;
use crate::online::bare::Answers;
use crate::random::Random;

/// How many entities there are.
pub(crate) const ENTITIES: u64 = 10_000;
/// How many events each has in its windows.
const EVENTS_EACH: u64 = 20;
const DAY_MICROS: i64 = 86_400_000_000;
/// The entities of one commit.
const ENTITIES_AT_ONCE: u64 = 500;
/// A log that nothing is read from.
const LOG: &str = "bench";

/// A store with the state of a version, as a stream worker would leave it.
pub(crate) async fn fill(directory: &Path, version: &LiveVersion) -> anyhow::Result<EmbeddedStore> {
    let holder = Holder { pid: std::process::id(), command: "bench".to_owned(), since: NOW };
    let store = EmbeddedStore::open(&directory.join("online.redb"), &holder)?;
    let (mut next, mut random) = (0, Random::new(7));
    for first in (0..ENTITIES).step_by(ENTITIES_AT_ONCE as usize) {
        let sensors = first..first + ENTITIES_AT_ONCE;
        let events = events(version, sensors, next, &mut random)?;
        next += events.times.len() as u64;
        let changes = match version.view().windows() {
            Some(_) => {
                let ingest = WindowIngest::new(version, &version.transform, events, &mut Budget::unlimited())?;
                let stored = vec![Vec::new(); ingest.queries().len()];
                ingest.fold(stored, None, &mut Budget::unlimited())?.changes
            }
            None => {
                let ingest = Ingest::new(version.view(), events)?;
                let stored = vec![None; ingest.entities().len()];
                ingest.fold(&stored, version, true, &mut Budget::unlimited())?.changes
            }
        };
        let (puts, slots) = match changes {
            Changes::Records(puts) => (puts, Vec::new()),
            Changes::Slots(slots) => (Vec::new(), slots.stored),
        };
        let marker = Marker {
            incarnation: 1,
            log: LogId(LOG.into()),
            source: String::new(),
            positions: Positions([(0, next)].into()),
            consumed: Vec::new(),
            release: Some(1),
            arrivals: Default::default(),
        };
        store
            .commit(vec![Commit { state: version.state_id(), marker, puts, slots, switches: Vec::new() }])
            .await?;
    }
    Ok(store)
}

/// The events of some sensors, sensor after sensor, spread over the last day.
fn events(
    version: &LiveVersion,
    sensors: std::ops::Range<u64>,
    first_offset: u64,
    random: &mut Random,
) -> anyhow::Result<Events> {
    let rows = ((sensors.end - sensors.start) * EVENTS_EACH) as usize;
    let each = |row: usize| sensors.start + row as u64 / EVENTS_EACH;
    let step = DAY_MICROS / EVENTS_EACH as i64;
    let time = |row: usize| EventTime(NOW.0 - (row as i64 % EVENTS_EACH as i64) * step);
    let columns = version.view().inputs.iter().map(|input| -> ArrayRef {
        match input.name.as_str() {
            "sensor" => Arc::new(Int64Array::from_iter_values((0..rows).map(|row| each(row) as i64))),
            _ => Arc::new(Float64Array::from_iter_values((0..rows).map(|_| random.float(100.0)))),
        }
    });
    let columns = columns.collect();
    Ok(Events {
        partition: 0,
        offsets: (first_offset..first_offset + rows as u64).collect(),
        times: (0..rows).map(time).collect(),
        ids: StringArray::from_iter_values((0..rows).map(|row| format!("{:010}", first_offset + row as u64))),
        arrivals: Some((0..rows).map(|row| ArrivalTime(time(row).0)).collect()),
        inputs: RecordBatch::try_new(version.view().input_schema().clone(), columns)?,
        aside: Vec::new(),
    })
}

/// The same state in a Redis.
pub(crate) async fn bring(
    version: &LiveVersion,
    from: &EmbeddedStore,
    redis: &Redis,
) -> anyhow::Result<RedisStore> {
    let to = RedisStore::open(&RedisSettings::new(redis.url())).await?;
    let feeding = to.feeding(version.state_id(), 0, Followed::load(&LogId(LOG.into()), 1)).await?;
    let (_running, stop) = watch::channel(false);
    let feed = FeedId::of(version);
    let load = Load { feed: &feed, partition: 0, store: from };
    load.bring(feeding, || 1, &stop, &mut |_| {}).await?;
    Ok(to)
}

/// A request for all features of some sensors, picked at random.
pub(crate) fn request(random: &mut Random, entities: u64) -> GetFeaturesRequest {
    let values = (0..entities).map(|_| random.below(ENTITIES) as i64).collect();
    GetFeaturesRequest {
        features: vec!["bench_many".to_owned()],
        entities: vec![Column {
            name: "sensor".to_owned(),
            null_rows: Vec::new(),
            values: Some(Values::Int64s(Int64s { values })),
        }],
        as_of_micros: None,
        row_digests: false,
        in_hand: Vec::new(),
    }
}

/// The sensors of a request.
fn asked(request: &GetFeaturesRequest) -> Result<&[i64], Status> {
    match request.entities.first().and_then(|column| column.values.as_ref()) {
        Some(Values::Int64s(sensors)) => Ok(&sensors.values),
        _ => Err(Status::invalid_argument("no sensors")),
    }
}

/// The bytes that a store keeps of an entity, on average.
pub(crate) async fn bytes_each(version: &LiveVersion, store: &EmbeddedStore) -> anyhow::Result<usize> {
    const SOME: usize = 100;
    let state = version.state_id();
    let bytes: usize = match version.view().windows() {
        Some(_) => {
            let page = store.scan_slots(state, None, SOME).await?;
            page.entities.iter().flat_map(|(_, slots)| slots).map(|(_, bytes)| bytes.len()).sum()
        }
        None => {
            let page = store.scan(state, None, SOME).await?;
            let of = |fields: &[u8], kept: usize| fields.len() + kept;
            let records = page.entries.iter().map(|(_, record)| record);
            records
                .map(|record| of(&record.fields, record.output.as_ref().map_or(0, |kept| kept.fields.len())))
                .sum()
        }
    };
    if bytes == 0 {
        bail!("the store is empty");
    }
    Ok(bytes / SOME)
}

const TABLE: TableDefinition<'_, i64, &[u8]> = TableDefinition::new("values");

/// One get of as many bytes for each entity, and an answer as large.
#[derive(Clone)]
pub(crate) struct BareEmbedded {
    database: Arc<Database>,
    answer: Bytes,
}

impl BareEmbedded {
    pub(crate) fn fill(directory: &Path, bytes_each: usize, answer: Bytes) -> anyhow::Result<Self> {
        let database = Database::create(directory.join("bare.redb"))?;
        let writing = database.begin_write()?;
        let mut table = writing.open_table(TABLE)?;
        for sensor in 0..ENTITIES as i64 {
            table.insert(sensor, vec![7; bytes_each].as_slice())?;
        }
        drop(table);
        writing.commit()?;
        Ok(BareEmbedded { database: Arc::new(database), answer })
    }

    fn read(&self, sensors: &[i64]) -> Result<usize, redb::Error> {
        let table = self.database.begin_read()?.open_table(TABLE)?;
        let mut bytes = 0;
        for sensor in sensors {
            bytes += table.get(sensor)?.map_or(0, |value| value.value().to_vec().len());
        }
        Ok(bytes)
    }
}

impl Answers for BareEmbedded {
    type Asked = GetFeaturesRequest;

    async fn answer(&self, request: GetFeaturesRequest) -> Result<Bytes, Status> {
        match self.read(asked(&request)?) {
            Ok(bytes) if bytes > 0 => Ok(self.answer.clone()),
            Ok(_) => Err(Status::not_found("nothing is there")),
            Err(error) => Err(Status::internal(error.to_string())),
        }
    }
}

/// One MGET of as many bytes for each entity, and an answer as large.
#[derive(Clone)]
pub(crate) struct BareRedis {
    connection: MultiplexedConnection,
    answer: Bytes,
}

impl BareRedis {
    pub(crate) async fn fill(redis: &Redis, bytes_each: usize, answer: Bytes) -> anyhow::Result<Self> {
        let mut connection = redis::Client::open(redis.url())?.get_multiplexed_async_connection().await?;
        let mut pipeline = redis::pipe();
        for sensor in 0..ENTITIES as i64 {
            pipeline.set(name(sensor), vec![7_u8; bytes_each]).ignore();
        }
        pipeline.query_async::<()>(&mut connection).await.context("filling the Redis")?;
        Ok(BareRedis { connection, answer })
    }
}

fn name(sensor: i64) -> String {
    format!("bare:{sensor}")
}

impl Answers for BareRedis {
    type Asked = GetFeaturesRequest;

    async fn answer(&self, request: GetFeaturesRequest) -> Result<Bytes, Status> {
        let names: Vec<_> = asked(&request)?.iter().map(|sensor| name(*sensor)).collect();
        let read = redis::cmd("MGET").arg(names).query_async::<Vec<Vec<u8>>>(&mut self.connection.clone()).await;
        match read {
            Ok(values) if values.iter().all(|value| !value.is_empty()) => Ok(self.answer.clone()),
            Ok(_) => Err(Status::not_found("nothing is there")),
            Err(error) => Err(Status::unavailable(error.to_string())),
        }
    }
}

//! The log in files, and the views over it.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use arrow_array::{ArrayRef, RecordBatch};
use payments_generator::{Payment, payment_batch, payment_schema, write_log};
use trifold_eventlog::{FileLog, RowFormat, read_row_files};
use trifold_model::view::{EVENT_ID, EVENT_TIME};
use trifold_model::{EntityKey, EventTime};
use trifold_oracle::{Value, coded};
use trifold_pipeline::{LiveVersion, read_rows};
use trifold_server::client::InHand;
use trifold_stream::{NoSink, Worker};
use trifold_tests::live::{transform, version};
use trifold_tests::random::SplitMix64;
use trifold_tests::recorded::Recorded;
use trifold_tests::rows::{self, Row};

use crate::log::Log;

/// The column of arrivals.
pub(crate) const ARRIVAL: &str = "arrived_at";
/// The views that the stream keeps: two of windows, one of them folded in the order of event time, and a row view.
pub(crate) const STORED: [&str; 3] = ["card-spend", "card-recent", "card-profile"];
/// The view that reads them.
pub(crate) const RISK: &str = "payment-risk";

/// The versions of [`STORED`] and [`RISK`].
pub(crate) fn versions() -> &'static [LiveVersion] {
    static VERSIONS: OnceLock<Vec<LiveVersion>> = OnceLock::new();
    VERSIONS.get_or_init(|| {
        let packages = STORED.iter().chain([&RISK]).zip(1..);
        packages.map(|(package, number)| version(number, transform(package, &[]))).collect()
    })
}

/// Those that the stream keeps.
pub(crate) fn stored() -> &'static [LiveVersion] {
    &versions()[..STORED.len()]
}

/// The log in files, written as the generator's command writes it.
pub(crate) struct Site {
    pub(crate) log: Log,
    pub(crate) recorded: Recorded,
}

/// A row that the stream emitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Emitted {
    pub(crate) key: EntityKey,
    pub(crate) as_of: EventTime,
    pub(crate) row: Row,
}

impl Site {
    pub(crate) fn new(seed: u64) -> Self {
        let (log, recorded) = (Log::new(seed), Recorded::new(Some(ARRIVAL)));
        let (account, files) = write_log(&log.config, &recorded.log(), RowFormat::Parquet, 3).unwrap();
        assert_eq!((account, files.len()), (log.account, 3), "seed {seed}");
        Site { log, recorded }
    }

    /// What the stream emits for each view, by offset, with deaths of the worker.
    pub(crate) fn stream(&self, rows_max: usize, seed: u64) -> Vec<BTreeMap<u64, Emitted>> {
        let streamed = self.recorded.stream(stored(), rows_max, &mut SplitMix64(seed));
        let of_version = |version: &LiveVersion| {
            let mut emitted = BTreeMap::new();
            for batch in read_row_files(&streamed.rows(version), None).unwrap() {
                let read = read_rows(version.view(), &batch.unwrap()).unwrap();
                let rows = rows::answered(&read.rows).into_iter().zip(read.keys).zip(read.as_of);
                for (((row, key), as_of), number) in rows.zip(read.numbers) {
                    let row = Emitted { key, as_of, row };
                    assert!(emitted.insert(number, row).is_none(), "offset {number} stands twice");
                }
            }
            emitted
        };
        stored().iter().map(of_version).collect()
    }
}

/// Brings a worker to an offset.
pub(crate) async fn advance(worker: &mut Worker<FileLog, NoSink>, offset: u64) {
    while let Some(polled) = worker.poll(Some(offset)).unwrap() {
        let step = worker.process(polled).await.unwrap();
        worker.commit(step).await.unwrap();
    }
}

/// The key of a payment's card.
pub(crate) fn key(payment: &Payment) -> EntityKey {
    EntityKey(coded(&[Value::Text(payment.card_text())]).into())
}

/// A payment as it is sent in hand.
pub(crate) fn in_hand(version: &LiveVersion, payment: &Payment) -> InHand {
    let (view, payments) = (version.view(), payment_batch(&payment_schema(), &[*payment]).unwrap());
    let own = view.inputs.iter().map(|input| input.name.as_str());
    let others = own.filter(|name| ![EVENT_TIME, EVENT_ID, "card"].contains(name));
    let names = [EVENT_TIME, EVENT_ID].into_iter().chain(others);
    let column = |name| -> (&str, ArrayRef, bool) { (name, payments.column_by_name(name).unwrap().clone(), true) };
    let events = RecordBatch::try_from_iter_with_nullable(names.map(column)).unwrap();
    InHand { view: view.name.to_string(), events }
}

//! What is measured, in what unit and against what.

mod online;

use crate::measure::Effort;
use crate::report::Entry;

/// Measures a group of entries; those that are not wanted may be left out.
pub(crate) type Run = fn(Effort, &dyn Fn(&str) -> bool) -> anyhow::Result<Vec<Entry>>;

/// What a ratio, or a value, should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    ValueBelow(f64),
    /// The value, and the ratio.
    BothAtLeast(f64, f64),
}

/// One entry of the report.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) goal: Option<Goal>,
    pub(crate) value: &'static str,
    pub(crate) baseline: &'static str,
}

const CATALOG: &[Measured] = &[
    Measured {
        name: "sandbox.apply.numeric.1",
        unit: "ns/row",
        goal: None,
        value: "a row through a component: an integer and 3 floats in, 3 floats out, one logarithm",
        baseline: "the same Rust function over the same Arrow batch, native",
    },
    Measured {
        name: "sandbox.apply.numeric.16",
        unit: "ns/row",
        goal: None,
        value: "16 rows through a component: an integer and 3 floats in, 3 floats out, one logarithm",
        baseline: "the same Rust function over the same Arrow batch, native",
    },
    Measured {
        name: "sandbox.apply.numeric.256",
        unit: "ns/row",
        goal: None,
        value: "256 rows through a component: an integer and 3 floats in, 3 floats out, one logarithm",
        baseline: "the same Rust function over the same Arrow batch, native",
    },
    Measured {
        name: "sandbox.apply.numeric.4096",
        unit: "ns/row",
        goal: Some(Goal::AtMost(2.0)),
        value: "4,096 rows through a component: an integer and 3 floats in, 3 floats out, one logarithm",
        baseline: "the same Rust function over the same Arrow batch, native",
    },
    Measured {
        name: "sandbox.apply.numeric.65536",
        unit: "ns/row",
        goal: None,
        value: "65,536 rows through a component: an integer and 3 floats in, 3 floats out, one logarithm",
        baseline: "the same Rust function over the same Arrow batch, native",
    },
    Measured {
        name: "sandbox.apply.text.1",
        unit: "ns/row",
        goal: None,
        value: "a row through a component: 3 texts in, 2 texts and a hash out",
        baseline: "the same Rust function over the same Arrow batch, native",
    },
    Measured {
        name: "sandbox.apply.text.16",
        unit: "ns/row",
        goal: None,
        value: "16 rows through a component: 3 texts in, 2 texts and a hash out",
        baseline: "the same Rust function over the same Arrow batch, native",
    },
    Measured {
        name: "sandbox.apply.text.256",
        unit: "ns/row",
        goal: None,
        value: "256 rows through a component: 3 texts in, 2 texts and a hash out",
        baseline: "the same Rust function over the same Arrow batch, native",
    },
    Measured {
        name: "sandbox.apply.text.4096",
        unit: "ns/row",
        goal: Some(Goal::AtMost(2.0)),
        value: "4,096 rows through a component: 3 texts in, 2 texts and a hash out",
        baseline: "the same Rust function over the same Arrow batch, native",
    },
    Measured {
        name: "sandbox.apply.text.65536",
        unit: "ns/row",
        goal: None,
        value: "65,536 rows through a component: 3 texts in, 2 texts and a hash out",
        baseline: "the same Rust function over the same Arrow batch, native",
    },
    Measured {
        name: "sandbox.flags.numeric.4096",
        unit: "ns/row",
        goal: Some(Goal::AtLeast(3.0)),
        value: "4,096 rows in wasmtime with fuel and its own canonical NaNs, the call of the guest alone",
        baseline: "all of sandbox.apply.numeric.4096",
    },
    Measured {
        name: "sandbox.call.one_row",
        unit: "us",
        goal: Some(Goal::ValueBelow(1.0)),
        value: "one row of the numeric component in an instance that is there",
        baseline: "the same Rust function over the same Arrow batch, native",
    },
    Measured {
        name: "sandbox.call.columns_50",
        unit: "us",
        goal: Some(Goal::ValueBelow(5.0)),
        value: "one row of 50 columns in and 50 out in an instance that is there",
        baseline: "the same Rust function over the same Arrow batch, native",
    },
    Measured {
        name: "sandbox.instantiate",
        unit: "us",
        goal: Some(Goal::ValueBelow(5.0)),
        value: "what a fresh instance adds to the call of sandbox.call.one_row, from the pool to its return",
        baseline: "the whole call in a fresh instance",
    },
    Measured {
        name: "release.visible.admin.p99",
        unit: "ms",
        goal: Some(Goal::ValueBelow(50.0)),
        value: "from the call of a release to a server until its first answer of it, to a client that asks all the while",
        baseline: "writing the record of the release by itself, so that it outlasts a loss of power",
    },
    Measured {
        name: "release.visible.watch.p99",
        unit: "ms",
        goal: None,
        value: "from the call of a release of the registry until a server that looks every 500 ms answers with it",
        baseline: "release.visible.admin.p99",
    },
    Measured {
        name: "release.swap.p99",
        unit: "us",
        goal: Some(Goal::AtMost(1.2)),
        value: "the time of an answer which 99 of 100 do not exceed, while two versions swap every 50 ms; 16 clients",
        baseline: "the same while none does",
    },
    Measured {
        name: "release.compile.cold.calendar",
        unit: "ms",
        goal: None,
        value: "admission of calendar, compiled in a process of its own",
        baseline: "the bare engine compiling the same bytes, in this process",
    },
    Measured {
        name: "release.compile.cached.calendar",
        unit: "us",
        goal: None,
        value: "admission of calendar, its code from the compile cache",
        baseline: "the bare engine deserialising its own code of the same bytes, from memory",
    },
    Measured {
        name: "release.compile.cold.text_embedding",
        unit: "ms",
        goal: None,
        value: "admission of text_embedding, compiled in a process of its own",
        baseline: "the bare engine compiling the same bytes, in this process",
    },
    Measured {
        name: "release.compile.cached.text_embedding",
        unit: "us",
        goal: None,
        value: "admission of text_embedding, its code from the compile cache",
        baseline: "the bare engine deserialising its own code of the same bytes, from memory",
    },
    Measured {
        name: "release.compile.cold.flight_profile",
        unit: "ms",
        goal: None,
        value: "admission of flight_profile, compiled in a process of its own",
        baseline: "the bare engine compiling the same bytes, in this process",
    },
    Measured {
        name: "release.compile.cached.flight_profile",
        unit: "us",
        goal: None,
        value: "admission of flight_profile, its code from the compile cache",
        baseline: "the bare engine deserialising its own code of the same bytes, from memory",
    },
    Measured {
        name: "release.compile.cold.card_spend",
        unit: "ms",
        goal: None,
        value: "admission of card_spend, compiled in a process of its own",
        baseline: "the bare engine compiling the same bytes, in this process",
    },
    Measured {
        name: "release.compile.cached.card_spend",
        unit: "us",
        goal: None,
        value: "admission of card_spend, its code from the compile cache",
        baseline: "the bare engine deserialising its own code of the same bytes, from memory",
    },
    Measured {
        name: "release.start.100",
        unit: "ms",
        goal: Some(Goal::ValueBelow(1_000.0)),
        value: "from the start of the process of `trifold serve` to its first answer over gRPC, with 100 views in force \
                whose code is in the compile cache",
        baseline: "the same with no view",
    },
    Measured {
        name: "backfill.rows",
        unit: "rows/s",
        goal: Some(Goal::AtLeast(0.5)),
        value: "every event of a Parquet log in the order of event time, to Parquet",
        baseline: "a scan of the same columns and a write of the same rows, same settings, files and threads",
    },
    Measured {
        name: "backfill.rows.sorted",
        unit: "rows/s",
        goal: None,
        value: "the same events in another order, which have to be sorted by entity and time",
        baseline: "as above: no sorting",
    },
    Measured {
        name: "backfill.memory",
        unit: "MiB",
        goal: Some(Goal::AtMost(1.2)),
        value: "most resident memory of a backfill over ten times the rows, sorting within 64 MiB",
        baseline: "the same over the rows once",
    },
    Measured {
        name: "backfill.point_in_time.1M",
        unit: "s",
        goal: Some(Goal::AtMost(3.0)),
        value: "the card_spend of 100,000 cards at a tenth as many rows of a spine as there are events, cut by arrival",
        baseline: "DataFusion's sort of the same events by card, time and id, read to its end",
    },
    Measured {
        name: "backfill.point_in_time.3M",
        unit: "s",
        goal: Some(Goal::AtMost(3.0)),
        value: "the card_spend of 100,000 cards at a tenth as many rows of a spine as there are events, cut by arrival",
        baseline: "DataFusion's sort of the same events by card, time and id, read to its end",
    },
    Measured {
        name: "backfill.point_in_time.10M",
        unit: "s",
        goal: Some(Goal::AtMost(3.0)),
        value: "the card_spend of 100,000 cards at a tenth as many rows of a spine as there are events, cut by arrival",
        baseline: "DataFusion's sort of the same events by card, time and id, read to its end",
    },
    Measured {
        name: "backfill.point_in_time.memory",
        unit: "MiB",
        goal: Some(Goal::ValueBelow(1024.0)),
        value: "most resident memory of backfill.point_in_time.10M, sorting within 512 MiB",
        baseline: "that of the sort, within 512 MiB",
    },
    Measured {
        name: "windows.stream",
        unit: "events/s",
        goal: Some(Goal::BothAtLeast(100_000.0, 0.67)),
        value: "events per second of one processor through the worker: 100,000 cards, 3 windows x 5 aggregates",
        baseline: "the same steps with the view's functions as native Rust",
    },
    Measured {
        name: "windows.stream.state_bytes",
        unit: "bytes/event",
        goal: None,
        value: "keys, tiles and ids in the store after a million events in three hours",
        baseline: "the same events in Parquet",
    },
    Measured {
        name: "windows.out_of_order.any.1",
        unit: "events/s",
        goal: None,
        value: "windows.stream where 1 event in 100 comes up to half an hour late",
        baseline: "windows.stream",
    },
    Measured {
        name: "windows.out_of_order.any.10",
        unit: "events/s",
        goal: None,
        value: "windows.stream where 10 events in 100 come up to half an hour late",
        baseline: "windows.stream",
    },
    Measured {
        name: "windows.out_of_order.event_time.0",
        unit: "events/s",
        goal: None,
        value: "windows.stream folded in the order of time, of events that come in order",
        baseline: "windows.stream",
    },
    Measured {
        name: "windows.out_of_order.event_time.1",
        unit: "events/s",
        goal: None,
        value: "windows.stream folded in the order of time where 1 event in 100 comes up to half an hour late",
        baseline: "windows.stream",
    },
    Measured {
        name: "windows.out_of_order.event_time.10",
        unit: "events/s",
        goal: None,
        value: "windows.stream folded in the order of time where 10 events in 100 come up to half an hour late",
        baseline: "windows.stream",
    },
    Measured {
        name: "windows.read.1",
        unit: "us",
        goal: None,
        value: "a lookup of an entity with 1 tile in its window, from the embedded store to the row",
        baseline: "reading the tiles",
    },
    Measured {
        name: "windows.read.10",
        unit: "us",
        goal: None,
        value: "a lookup of an entity with 10 tiles in its window, from the embedded store to the row",
        baseline: "reading the tiles",
    },
    Measured {
        name: "windows.read.100",
        unit: "us",
        goal: Some(Goal::ValueBelow(20.0)),
        value: "a lookup of an entity with 100 tiles in its window, from the embedded store to the row",
        baseline: "reading the tiles",
    },
    Measured {
        name: "windows.read.300",
        unit: "us",
        goal: None,
        value: "a lookup of an entity with 300 tiles in its window, from the embedded store to the row",
        baseline: "reading the tiles",
    },
    Measured {
        name: "materialize.redis",
        unit: "changes/s",
        goal: Some(Goal::AtLeast(0.7)),
        value: "changes of 5 tiles of 80 bytes of each of 3,000 entities into a Redis, with markers and in steps of 15,000",
        baseline: "HSET of the same fields and values, in one pipeline",
    },
    Measured {
        name: "redis.read.1",
        unit: "us",
        goal: None,
        value: "reading 100 tiles of an entity from a Redis, with the marker",
        baseline: "HGETALL of as much, alone",
    },
    Measured {
        name: "redis.read.100",
        unit: "us",
        goal: None,
        value: "reading 5 tiles of each of 100 entities from a Redis, with the markers",
        baseline: "HGETALL of as much, in one pipeline",
    },
    Measured {
        name: "stream.kafka.exactly_once",
        unit: "events/s",
        goal: Some(Goal::BothAtLeast(50_000.0, 0.5)),
        value: "events per second of one processor through a worker on Kafka, its clients included: 100,000 cards, \
                3 windows x 6 aggregates",
        baseline: "a bare copier that reads the same events and writes the worker's records, in transactions likewise",
    },
    Measured {
        name: "stream.restore",
        unit: "records/s",
        goal: None,
        value: "changes from which a worker without a local store brings a state up to date",
        baseline: "a bare consumer that reads the same records",
    },
    Measured {
        name: "stream.freshness.p50",
        unit: "ms",
        goal: None,
        value: "from sending an event until its entity can be read in a Redis, at half of what worker and feeder take",
        baseline: "a bare consumer that reads the same events and puts them into a Redis, without transactions",
    },
    Measured {
        name: "stream.freshness.p99",
        unit: "ms",
        goal: Some(Goal::ValueBelow(250.0)),
        value: "the time which 99 of 100 of the same events do not exceed",
        baseline: "the same of the bare consumer",
    },
];

/// Everything that is measured.
pub(crate) fn all() -> impl Iterator<Item = &'static Measured> {
    online::CATALOG.iter().chain(CATALOG)
}

/// The catalog's line for a name.
pub(crate) fn find(name: &str) -> Option<&'static Measured> {
    all().find(|measured| measured.name == name)
}

/// The whole catalog as text.
pub(crate) fn list() -> String {
    let lines = all().map(|Measured { name, unit, value, baseline, goal }| {
        let goal = goal.map_or_else(String::new, |goal| format!("\n    goal: {goal}"));
        format!("{name} ({unit})\n    {value}\n    against {baseline}{goal}\n")
    });
    lines.collect()
}

impl Goal {
    pub(crate) fn is_met(self, entry: &Entry) -> bool {
        match self {
            Goal::AtLeast(least) => entry.ratio >= least,
            Goal::AtMost(most) => entry.ratio <= most,
            Goal::ValueBelow(bound) => entry.value < bound,
            Goal::BothAtLeast(value, ratio) => entry.value >= value && entry.ratio >= ratio,
        }
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Goal::AtLeast(least) => write!(f, "ratio >= {least}"),
            Goal::AtMost(most) => write!(f, "ratio <= {most}"),
            Goal::ValueBelow(bound) => write!(f, "value < {bound}"),
            Goal::BothAtLeast(value, ratio) => write!(f, "value >= {value}, ratio >= {ratio}"),
        }
    }
}

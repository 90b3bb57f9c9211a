//! Workers on a real Kafka: what a group of them makes of payments or departures, whatever happens to its workers and to
//! the cluster, is what a backfill makes of them.
//!
//! [`topic`] speaks to the cluster, [`resp`] to a Redis, [`worker`] is a worker's process, [`data`] the events,
//! [`site`] a topic of them and its workers, [`expected`] what must come of them; [`group`] runs workers to the end, [`encodings`] with events in Avro and Protobuf, [`faults`] lets them die and
//! come back on the way, [`refusals`] is what a worker says of a cluster that is not as it must be,
//! [`replays`] feeds dead letters back, [`releases`] swaps versions meanwhile; [`schedules`] drives the
//! worker's state machine through thousands of histories of a cluster in memory; [`feeding`] brings what workers committed
//! into a Redis, and [`lanes`] does so with logs in memory that are compacted on the way; [`archive`] keeps
//! the topic's records beyond its retention, and computes from them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail where they stand")]
#![expect(clippy::print_stderr, reason = "a failure says what led to it")]

mod archive;
mod data;
mod encodings;
mod expected;
mod faults;
mod feeding;
mod group;
mod lanes;
mod refusals;
mod rekey;
mod releases;
mod replays;
mod resp;
mod schedules;
mod site;
mod topic;
mod worker;

//! Groups that come to the end of their topic.

use trifold_test_servers::Kafka;

use crate::site::{PACKAGES, PARTITIONS, Site, TOPIC};
use crate::worker::Worker;

#[test]
fn workers_of_a_group_make_of_a_topic_what_one_makes_of_a_file() {
    let kafka = Kafka::start().unwrap();
    let site = Site::new(&kafka, kafka.bootstrap(), 3, 3_000);
    let (first, later) = PACKAGES.split_at(1);
    site.release(first);
    site.produce(0..1_000);
    // One alone, from the beginning.
    let summary = site.run_to_end("a");
    assert_eq!(summary["rows-known"], 1_000, "{summary}");
    // Two, while payments come and views that begin with the first of them.
    let mut workers = ["a", "b"].map(|name| site.follow(name));
    workers.iter_mut().for_each(|worker| worker.wait_for("partitions taken up"));
    site.produce(1_000..1_500);
    workers.iter_mut().for_each(|worker| worker.wait_for("transaction committed"));
    site.release(later);
    workers.iter_mut().for_each(|worker| worker.wait_for("version in force view=card_profile"));
    site.produce(1_500..2_000);
    workers.iter_mut().for_each(|worker| worker.wait_for("transaction committed"));
    workers.into_iter().for_each(Worker::terminate);
    // Another one, with nothing but the topics of changes.
    site.produce(2_000..3_000);
    site.run_to_end("c");
    site.check();
    assert_eq!(site.cluster.topics()[TOPIC], PARTITIONS as u32);
}

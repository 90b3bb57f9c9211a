//! Loads of an archive whose partitions stand at different times.

use std::fs;
use std::path::{Path, PathBuf};

use payments_generator::Payment;
use serde_json::json;
use trifold_eventlog::archive::{ArchiveLimits, ArchiveWriter, Finished, Manifest};
use trifold_eventlog::{JsonLines, Places, RawBatch, RawRows};

use crate::log::{counts, identity};
use crate::materialize::{HOUR, Remote, Site, VIEWS, check_equal};
use crate::site::ARRIVAL;

/// Where each partition begins.
const BEGINS: [u64; 3] = [0, 0, 7];

/// The payments of one partition, with their lines.
fn partition(site: &Site, partition: usize) -> Vec<(Payment, String)> {
    let read = |file: &PathBuf| fs::read_to_string(file).unwrap();
    let lines: Vec<String> = site.files.iter().map(read).flat_map(|text| lines_of(&text)).collect();
    assert_eq!(lines.len(), site.log.payments.len());
    let payments = site.log.payments.iter().copied().zip(lines);
    payments.filter(|(payment, _)| payment.card as usize % BEGINS.len() == partition).collect()
}

/// Where a payment stands in the log.
fn offset(site: &Site, payment: &Payment) -> u64 {
    let place = |other: &Payment| (other.arrived_at, identity(other)) == (payment.arrived_at, identity(payment));
    site.log.payments.iter().position(place).unwrap() as u64
}

fn lines_of(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// Adds the payments of a partition up to one of them.
fn archive(dir: &Path, partition: usize, payments: &[(Payment, String)]) {
    let manifest = Manifest::new("cluster/payments", Some(ARRIVAL.to_owned()), BEGINS.to_vec());
    let limits = ArchiveLimits { rows_max: 100, bytes_max: 1 << 20, memory_bytes_max: 1 << 20 };
    let writer = ArchiveWriter::open(dir, &manifest, limits).unwrap();
    let mut writer = writer.partition(partition as u32).unwrap();
    let first = writer.next();
    let payments = &payments[(first - BEGINS[partition]) as usize..];
    let next_offset = first + payments.len() as u64;
    let places = Places {
        offsets: (first..next_offset).collect(),
        append_times: vec![None; payments.len()],
        keys: Some(payments.iter().map(|(payment, _)| Some(payment.card_text().into_bytes())).collect()),
        bad: Vec::new(),
        carried: None,
        next_offset,
    };
    let lines: JsonLines = payments.iter().map(|(_, line)| line.as_bytes()).collect();
    let raw = RawBatch {
        partition: partition as u32,
        first_offset: first,
        places: Some(places),
        file: dir.into(),
        rows: RawRows::Lines(lines),
    };
    let times: Vec<_> = payments.iter().map(|(payment, _)| Some(payment.arrived_at)).collect();
    assert!(!matches!(writer.push(&raw, &times).unwrap(), Finished::Overtaken(_)));
    assert!(!matches!(writer.finish().unwrap(), Finished::Overtaken(_)));
}

#[test]
fn a_partition_that_is_far_behind_loses_nothing_to_those_that_are_ahead() {
    let (site, remote) = (Site::new(15), Remote::start());
    fs::remove_dir_all(&site.dir).unwrap();
    let partitions = [0, 1, 2].map(|number| partition(&site, number));
    // Behind a payment of which a copy comes next, when the others are hours ahead.
    let is_old = |payment: &Payment| payment.event_time < site.end() - 4 * HOUR;
    let is_copy =
        |payment: &Payment| counts(payment) && is_old(payment) && site.log.copy(offset(&site, payment)).is_some();
    let few = partitions[0].iter().rposition(|(payment, _)| is_copy(payment)).unwrap();
    assert!(few > partitions[0].len() / 3, "{few}");
    archive(&site.dir, 0, &partitions[0][..few]);
    archive(&site.dir, 1, &partitions[1]);
    archive(&site.dir, 2, &partitions[2]);
    let first = site.load(&VIEWS, &[]).succeeded().json();
    let all: usize = partitions.iter().map(Vec::len).sum();
    let left = partitions[0].len() - few;
    assert_eq!(first["views"][0]["events"], json!(all - left), "{first}");

    // What it reads now arrived long before what the others have read.
    archive(&site.dir, 0, &partitions[0]);
    let more = site.load(&VIEWS, &[]).succeeded().json();
    assert_eq!(more["views"][0]["events"], json!(left), "{more}");
    let ends: Vec<_> = partitions.iter().zip(BEGINS).map(|(of, begin)| of.len() as u64 + begin).collect();
    assert_eq!(more["views"][0]["next-offsets"], json!({"0": ends[0], "1": ends[1], "2": ends[2]}));
    let whole = site.load(&VIEWS, &remote.named()).succeeded().json();
    assert_eq!((&whole["views"][0]["events"], &whole["log"]), (&json!(all), &json!("cluster/payments")));
    check_equal(&site.values(site.embedded()), &site.values(remote.store()));
    site.audit(&["serve"]);
    site.audit(&["serve", "--redis", remote.redis.url()]);
}

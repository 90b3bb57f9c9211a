//! Records of one partition in memory.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use trifold_eventlog::{Carried, JsonLines, Places, RawBatch, RawRows};

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fetched {
    /// Its offset.
    pub offset: u64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value as JSON, or as it is where there is a problem.
    pub value: Vec<u8>,
    /// Why the value is no event that could be read.
    pub problem: Option<String>,
    /// When the broker appended it, in microseconds, if the topic is set to say so.
    pub append_time: Option<i64>,
    /// Where it stood first, in a topic that was partitioned anew.
    pub origin: Option<Origin>,
}

/// Where a record that was partitioned anew comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The partition in which it stood.
    pub partition: u32,
    /// Its offset there. Without one it is no event, and all that it says is how far the partition's arrivals are.
    pub offset: Option<u64>,
    /// When it arrived there, in microseconds, never decreasing within the partition, if that could be read.
    pub arrival: Option<i64>,
}

impl Fetched {
    fn is_event(&self) -> bool {
        self.origin.is_none_or(|origin| origin.offset.is_some())
    }
}

/// What all records of a topic have in common.
#[derive(Debug, Clone)]
pub(crate) struct Topic {
    /// Its name.
    pub(crate) name: Arc<Path>,
    /// Whether keys must be those of the events' entities.
    pub(crate) checks_keys: bool,
    /// How many partitions the topic has from which this one was made, if it was.
    pub(crate) made_of: Option<u32>,
}

/// All records that a partition has from one offset to another. Offsets that are skipped have none.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    topic: Topic,
    partition: u32,
    first: u64,
    next: u64,
    records: VecDeque<Fetched>,
}

impl Span {
    /// Nothing yet, from an offset on.
    pub(crate) fn new(topic: Topic, partition: u32, first: u64) -> Self {
        Span { topic, partition, first, next: first, records: VecDeque::new() }
    }

    /// The offset before which everything is known.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it can say what stands at an offset, or will be able to.
    pub(crate) fn reaches(&self, offset: u64) -> bool {
        self.first <= offset
    }

    /// Adds the record that comes next.
    pub(crate) fn push(&mut self, record: Fetched) {
        self.next = record.offset + 1;
        self.records.push_back(record);
    }

    /// Forgets what stands before an offset.
    pub(crate) fn forget(&mut self, before: u64) {
        while self.records.front().is_some_and(|record| record.offset < before) {
            self.records.pop_front();
        }
        self.first = self.first.max(before.min(self.next));
    }

    /// A batch that has no records, from the first offset up to another.
    pub(crate) fn skipped(mut self, next: u64) -> RawBatch {
        self.next = next;
        self.batch(self.first, next, 0..0)
    }

    /// The records from an offset on, of so many offsets at most. `None` if nothing is known from there on. A batch may
    /// have no records: all that it knows is that there are none.
    pub(crate) fn read(&self, from: u64, offsets_max: u64) -> Option<RawBatch> {
        let end = from.saturating_add(offsets_max).min(self.next);
        if from < self.first || end <= from {
            return None;
        }
        let first = self.records.partition_point(|record| record.offset < from);
        let last = self.records.partition_point(|record| record.offset < end);
        Some(self.batch(from, end, first..last))
    }

    fn batch(&self, from: u64, end: u64, which: Range<usize>) -> RawBatch {
        let all = || self.records.range(which.clone());
        let records = || all().filter(|record| record.is_event());
        let clock = |record: &Fetched| {
            let origin = record.origin?;
            Some((record.offset, origin.partition, origin.arrival?))
        };
        let carried = self.topic.made_of.map(|partition_count| Carried {
            arrivals: records().map(|record| record.origin.and_then(|origin| origin.arrival)).collect(),
            places: records()
                .map(|record| record.origin.and_then(|of| Some((of.partition, of.offset?))))
                .collect(),
            clocks: all().filter_map(clock).collect(),
            partition_count,
        });
        let bad = records().enumerate().filter_map(|(row, record)| Some((row, record.problem.clone()?)));
        let places = Places {
            offsets: records().map(|record| record.offset).collect(),
            append_times: records().map(|record| record.append_time).collect(),
            carried,
            keys: self.topic.checks_keys.then(|| records().map(|record| record.key.clone()).collect()),
            bad: bad.collect(),
            next_offset: end,
        };
        let lines: JsonLines = records().map(|record| record.value.as_slice()).collect();
        RawBatch {
            partition: self.partition,
            first_offset: from,
            places: Some(places),
            file: self.topic.name.clone(),
            rows: RawRows::Lines(lines),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(first: u64, offsets: &[u64]) -> Span {
        let topic = Topic { name: Path::new("flights").into(), checks_keys: false, made_of: None };
        let mut span = Span::new(topic, 3, first);
        for &offset in offsets {
            span.push(Fetched { offset, value: offset.to_string().into_bytes(), ..Fetched::default() });
        }
        span
    }

    fn read(span: &Span, from: u64, offsets_max: u64) -> Option<(Vec<u64>, u64)> {
        let raw = span.read(from, offsets_max)?;
        assert_eq!(raw.first_offset, from);
        let offsets: Vec<_> = (0..raw.rows()).map(|row| raw.offset(row)).collect();
        let RawRows::Lines(lines) = &raw.rows else { panic!("records are lines") };
        let values: Vec<_> = lines.iter().map(|line| String::from_utf8(line.to_vec()).unwrap()).collect();
        assert_eq!(values, offsets.iter().map(u64::to_string).collect::<Vec<_>>());
        Some((offsets, raw.next_offset()))
    }

    #[test]
    fn offsets_that_are_skipped_are_passed() {
        let span = span(10, &[10, 11, 15, 16]);
        assert_eq!(read(&span, 10, 100), Some((vec![10, 11, 15, 16], 17)));
        assert_eq!(read(&span, 11, 2), Some((vec![11], 13)));
        assert_eq!(read(&span, 12, 3), Some((vec![], 15)));
        assert_eq!(read(&span, 12, 4), Some((vec![15], 16)));
        assert_eq!(read(&span, 17, 4), None);
        assert_eq!(read(&span, 9, 4), None);
    }

    #[test]
    fn what_was_forgotten_is_not_known() {
        let mut span = span(10, &[10, 15]);
        span.forget(12);
        assert_eq!((span.len(), span.reaches(11), span.reaches(12)), (1, false, true));
        assert_eq!(read(&span, 12, 9), Some((vec![15], 16)));
        span.forget(100);
        assert!(span.reaches(16) && span.len() == 0);
        assert_eq!(read(&span, 15, 9), None);
    }
}

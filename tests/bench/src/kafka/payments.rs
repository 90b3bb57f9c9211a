//! Payments as the records of a topic, which is partitioned by the card.

use anyhow::Context;
use arrow_array::cast::AsArray;
use payments_generator::{Account, Batches, Config, Generator};
use trifold_eventlog::row_json;

use crate::kafka::PARTITIONS;

const BATCH_ROWS: usize = 8192;

/// One payment as a record.
pub(crate) struct Event {
    pub(crate) partition: u32,
    pub(crate) key: String,
    pub(crate) value: String,
}

/// So many payments of 100,000 cards, some of them out of order, late, or there twice; and how many of each.
pub(crate) fn payments(count: u64) -> anyhow::Result<(Vec<Event>, Account)> {
    let mut batches = Batches::new(Generator::new(Config { events: count, ..Config::default() })?, BATCH_ROWS);
    let mut events = Vec::with_capacity(count as usize);
    for batch in batches.by_ref() {
        let batch = batch?;
        let cards = batch.column_by_name("card").context("payments have cards")?.as_string::<i32>();
        events.extend(cards.iter().flatten().enumerate().map(|(row, card)| Event {
            partition: partition(card),
            key: card.to_owned(),
            value: row_json(&batch, row),
        }));
    }
    Ok((events, batches.account()))
}

/// Any function of the card would do.
fn partition(card: &str) -> u32 {
    let hash = card.bytes().fold(0_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    hash.wrapping_mul(0x9E37_79B9).rotate_left(8) % PARTITIONS
}

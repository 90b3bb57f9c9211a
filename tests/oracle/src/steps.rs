//! The fold of the guest `window-fold`: chains of hashes, which show every difference in order and grouping.

use crate::aggregate::hash64;
use crate::value::bits;
use crate::{Asked, Event, Tile, Value};

/// How many ids a state keeps.
const KEPT: usize = 3;

/// The guest refuses events without an id.
pub fn refuses(event: &Event) -> bool {
    event.id.is_empty()
}

#[derive(Clone, Default)]
struct Steps {
    count: u64,
    chain: u64,
    first_at: i64,
    last_at: i64,
    ids: Vec<String>,
}

/// The row of a walker's foot over two windows.
pub fn finish(asked: &Asked<'_>) -> Vec<Value> {
    let over = |tiles: &Vec<Tile<'_>>| tiles.iter().map(fold).reduce(merge).unwrap_or_default();
    let (short, long) = (over(&asked.windows[0]), over(&asked.windows[1]));
    let some = |value: i64| if long.count > 0 { Value::Int(value) } else { Value::Null };
    let who = match asked.entity {
        [Value::Text(walker), Value::Int(foot)] => format!("{walker}/{foot}"),
        other => panic!("{other:?} is no walker's foot"),
    };
    vec![
        Value::Int(short.count as i64),
        Value::Int(long.count as i64),
        Value::Int(short.chain as i64),
        Value::Int(long.chain as i64),
        Value::Texts(long.ids.clone()),
        some(long.first_at),
        some(asked.at.saturating_sub(long.last_at)),
        Value::Text(who),
    ]
}

fn fold(tile: &Tile<'_>) -> Steps {
    let mut steps = Steps { first_at: tile[0].time, ..Steps::default() };
    for event in tile {
        let length = match event.get("length") {
            Value::Float(length) => bits(*length).to_le_bytes().to_vec(),
            _ => Vec::new(),
        };
        steps.count += 1;
        steps.last_at = event.time;
        steps.chain = chain(steps.chain, &[event.time as u64, hash64(event.id.as_bytes()), hash64(&length)]);
        steps.ids.push(event.id.clone());
    }
    kept(steps)
}

fn merge(left: Steps, right: Steps) -> Steps {
    kept(Steps {
        count: left.count + right.count,
        chain: chain(left.chain, &[right.count, right.chain]),
        first_at: left.first_at,
        last_at: right.last_at,
        ids: [left.ids, right.ids].concat(),
    })
}

/// The last ids are kept.
fn kept(mut steps: Steps) -> Steps {
    steps.ids = steps.ids.split_off(steps.ids.len().saturating_sub(KEPT));
    steps
}

fn chain(from: u64, links: &[u64]) -> u64 {
    links.iter().fold(from, |chain, link| hash64(&[chain.to_le_bytes(), link.to_le_bytes()].concat()))
}

//! Burns as much fuel and takes as much memory as a row says, and answers what the row said.

use std::hint::black_box;

use trifold_sdk::prelude::*;

/// What to use up.
#[derive(Input)]
pub struct Order {
    /// Whose row it is.
    #[entity]
    pub key: i64,
    /// How often to go round a loop.
    pub turns: i64,
    /// How many bytes to take.
    pub bytes: i64,
}

/// What was used up.
#[derive(Output)]
pub struct Bill {
    /// As often as the loop was gone round.
    pub turns: i64,
    /// As many bytes as were taken.
    pub bytes: i64,
}

/// Burns fuel and takes memory.
#[row_view(fuel = 200_000, memory = "4MiB")]
pub fn burner(order: Order) -> Bill {
    let mut turns = 0;
    while turns < black_box(order.turns) {
        turns += 1;
    }
    // Taken and not touched: the limit is on the size of the memory.
    let taken: Vec<u8> = black_box(Vec::with_capacity(order.bytes.max(0) as usize));
    Bill { turns, bytes: taken.capacity() as i64 }
}

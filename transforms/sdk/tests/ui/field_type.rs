use std::time::Duration;

use trifold_sdk::prelude::*;

#[derive(Input)]
struct Row {
    #[entity]
    key: i64,
    count: u32,
    letter: Option<char>,
}

#[derive(Output)]
struct Features {
    count: Option<usize>,
}

#[derive(Input)]
struct Foreign {
    #[entity]
    key: i64,
    span: Duration,
    vector: [f32; 4],
}

#[derive(Output)]
struct Spans {
    span: Option<Duration>,
    borrowed: &'static str,
}

fn main() {}

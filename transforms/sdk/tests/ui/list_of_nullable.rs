use trifold_sdk::prelude::*;

#[derive(Input)]
struct Row {
    #[entity]
    key: i64,
    values: Vec<Option<f64>>,
}

#[derive(Output)]
struct Features {
    words: Option<Vec<Option<String>>>,
    twice: Option<Option<bool>>,
}

fn main() {}

use trifold_sdk::prelude::*;

#[derive(Input)]
struct Tuple(i64);

#[derive(Output)]
struct Unit;

#[derive(Output)]
enum Either {
    Left,
}

#[derive(Input)]
struct Generic<'a, T> {
    #[entity]
    key: &'a str,
    value: T,
}

#[derive(Output)]
struct Borrowing<'a> {
    text: &'a str,
}

#[derive(Output)]
#[allow(non_snake_case)]
struct Named {
    airTime: f64,
}

#[derive(Input)]
struct Times {
    #[entity]
    key: i64,
    event_time: i64,
    event_id: Option<String>,
}

fn main() {}

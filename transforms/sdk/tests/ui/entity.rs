use trifold_sdk::prelude::*;

#[derive(Input)]
struct Nullable<'a> {
    #[entity]
    key: Option<&'a str>,
}

#[derive(Input)]
struct Float {
    #[entity]
    key: f64,
}

#[derive(Input)]
struct List<'a> {
    #[entity]
    key: &'a [i64],
}

#[derive(Input)]
struct Ordered {
    #[entity(1)]
    key: i64,
}

#[derive(Input)]
struct Keyless {
    value: f64,
}

fn main() {}

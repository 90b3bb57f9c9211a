use trifold_sdk::prelude::*;

#[derive(Input)]
struct Event {
    #[entity]
    key: i64,
}

#[derive(Output)]
struct Context {
    key: i64,
}

#[on_demand_view]
pub fn context(event: Event) -> Context {
    Context { key: event.key }
}

fn main() {}

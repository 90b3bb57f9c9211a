use trifold_sdk::prelude::*;

#[derive(Input)]
pub struct Row<'a> {
    #[entity]
    pub key: &'a str,
    pub value: Option<f64>,
}

#[window_view(event = Row<'_>, windows = "1h")]
pub struct NoOf {
    pub rows: Count,
    #[of(event.value)]
    #[of(event.key)]
    pub twice: Sum,
    #[of(event.value, event.key)]
    pub two: Sum,
    #[of(())]
    pub Name: Count,
}

#[window_view(event = Row<'_>, windows = "1h")]
pub struct NoAggregator {
    #[of(event.value)]
    pub sum: f64,
    #[of(event.key)]
    pub last: Option<String>,
}

#[window_view(event = Row<'_>, windows = "1h")]
pub struct Tuple(Count);

#[window_view(event = Row<'_>, windows = "1h")]
pub struct Nothing {}

#[window_view(event = Row<'_>, windows = "1h")]
pub struct Generic<T> {
    #[of(())]
    pub rows: T,
}

fn main() {}

use trifold_sdk::prelude::*;

#[derive(Input)]
pub struct Row<'a> {
    #[entity]
    pub key: &'a str,
    pub value: Option<f64>,
}

#[window_view(event = Row<'_>, windows = "1h")]
pub struct WrongItem {
    #[of(event.key)]
    pub sum: Sum,
}

fn main() {}

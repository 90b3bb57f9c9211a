use trifold_sdk::prelude::*;

#[derive(Input)]
struct Row<'a> {
    #[entity]
    key: &'a str,
}

#[derive(Output)]
struct Features {
    y: f64,
}

#[row_view(name = "Flight-Profile")]
fn view(_row: Row<'_>) -> Features {
    Features { y: 0.0 }
}

#[row_view]
fn _hidden(_row: Row<'_>) -> Features {
    Features { y: 0.0 }
}

fn main() {}

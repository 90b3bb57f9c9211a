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

#[row_view(tll = "30d")]
fn view(_row: Row<'_>) -> Features {
    Features { y: 0.0 }
}

#[row_view(ttl = "1d", ttl = "2d")]
fn twice(_row: Row<'_>) -> Features {
    Features { y: 0.0 }
}

fn main() {}

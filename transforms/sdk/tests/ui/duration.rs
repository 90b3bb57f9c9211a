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

#[row_view(ttl = "30 days")]
fn unit(_row: Row<'_>) -> Features {
    Features { y: 0.0 }
}

#[row_view(ttl = 30)]
fn number(_row: Row<'_>) -> Features {
    Features { y: 0.0 }
}

#[row_view(memory = "64MB")]
fn size(_row: Row<'_>) -> Features {
    Features { y: 0.0 }
}

#[row_view(fuel = "much")]
fn fuel(_row: Row<'_>) -> Features {
    Features { y: 0.0 }
}

fn main() {}

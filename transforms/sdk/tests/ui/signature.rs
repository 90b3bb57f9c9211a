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

#[row_view]
fn by_reference(_row: &Row<'_>) -> Features {
    Features { y: 0.0 }
}

#[row_view]
fn two(_row: Row<'_>, _more: i64) -> Features {
    Features { y: 0.0 }
}

#[row_view]
fn none() -> Features {
    Features { y: 0.0 }
}

#[row_view]
fn silent(_row: Row<'_>) {}

#[row_view]
async fn waiting(_row: Row<'_>) -> Features {
    Features { y: 0.0 }
}

#[row_view]
fn generic<T>(_row: Row<'_>) -> Features {
    Features { y: 0.0 }
}

fn main() {}

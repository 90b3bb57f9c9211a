use trifold_sdk::prelude::*;

#[derive(Request)]
struct Required {
    #[reads("load.mean_1h")]
    mean: f64,
}

#[derive(Request)]
struct Names {
    #[reads("load")]
    undotted: Option<f64>,
    #[reads("load.Mean")]
    capital: Option<f64>,
    #[reads]
    nothing: Option<f64>,
    #[request("other")]
    renamed: f64,
}

#[derive(Request)]
struct Both {
    #[request]
    #[reads("load.mean_1h")]
    mean: Option<f64>,
}

#[derive(Request)]
struct Flight {
    delay: f64,
}

#[derive(Output)]
struct Context {
    excess: f64,
}

#[on_demand_view(ttl = "1h")]
fn living(flight: Flight) -> Context {
    Context { excess: flight.delay }
}

#[on_demand_view(price = 3)]
fn priced(flight: Flight) -> Context {
    Context { excess: flight.delay }
}

fn main() {}

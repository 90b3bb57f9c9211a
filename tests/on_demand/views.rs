//! The views of these tests. All but the window view answer their inputs as their outputs.

use serde_json::{Value, json};
use trifold_wat_guest::Guest;

/// A field that comes from `source`; a `?` behind its type makes it nullable.
pub(crate) fn input(name: &str, ty: &str, source: Value) -> Value {
    let nullable = ty.ends_with('?');
    json!({"name": name, "type": ty.trim_end_matches('?'), "nullable": nullable, "source": source})
}

/// The source of an input that is a feature, as in `latest.value_out`.
pub(crate) fn feature(text: &str) -> Value {
    let (view, feature) = text.split_once('.').unwrap();
    json!({"view": view, "feature": feature})
}

/// A view whose outputs are its inputs, called `<input>_out`.
pub(crate) fn echo(name: &str, kind: &str, inputs: &[Value]) -> Value {
    let output = |input: &Value| {
        let mut output = input.clone();
        output["name"] = json!(format!("{}_out", input["name"].as_str().unwrap()));
        output
    };
    let outputs: Vec<_> = inputs.iter().map(output).collect();
    json!({"contract": 1, "view": name, "kind": kind, "inputs": inputs, "outputs": outputs})
}

/// The row view `latest`, keyed by `key` as the window view `window_numbers` is.
pub(crate) fn latest() -> Guest {
    latest_for(600)
}

/// A version of the row view `latest` whose values live so many seconds.
pub(crate) fn latest_for(seconds: u64) -> Guest {
    let mut view =
        echo("latest", "row", &[input("key", "int64", json!("event")), input("value", "int64?", json!("event"))]);
    view["entity"] = json!(["key"]);
    view["ttl-seconds"] = json!(seconds);
    Guest::new(view)
}

/// The description of the on-demand view `context`: two fields of the request, two features of `window_numbers` and
/// one of `latest`.
pub(crate) fn context() -> Value {
    echo(
        "context",
        "on-demand",
        &[
            input("key", "int64", json!("request")),
            input("amount", "float64?", json!("request")),
            input("count", "int64?", feature("window_numbers.events_1h")),
            input("last", "int64?", feature("latest.value_out")),
            input("share", "float64?", feature("window_numbers.share_1m")),
        ],
    )
}

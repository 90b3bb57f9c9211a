//! Descriptions.

use serde_json::{Value, json};

/// A required field.
pub fn field(name: &str, ty: &str) -> Value {
    json!({"name": name, "type": ty, "nullable": false, "source": "event"})
}

/// The description of a row view whose entity is its first input.
pub fn row_view(name: &str, inputs: &[Value], outputs: &[Value]) -> Value {
    let entity: Vec<_> = inputs.iter().take(1).map(|input| input["name"].clone()).collect();
    json!({
        "contract": 1, "view": name, "kind": "row", "doc": "A guest of the tests.", "entity": entity,
        "inputs": inputs, "outputs": outputs, "windows": [], "state-version": 1
    })
}

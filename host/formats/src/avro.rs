//! Avro's binary encoding.
//!
//! The library of Avro reads schemas and nothing else. Its reader of values takes what is cut off for null (a text, a
//! bool, a union at the end of a value), follows a schema that contains itself until the stack ends, and reserves what
//! a value says of its lengths; and it makes a tree of every value, which would be walked once more.
//!
//! Instead the schema with which a value was written, together with the schema by which it is read, becomes a
//! [`Plan`](plan::Plan) once; a value is then turned into text in one pass over its bytes.
//!
//! Reading order: `plan`, `names` (types of a schema, by name), `resolve` with `leaf` (from schemas to a plan),
//! `cursor` and `run` (a value), `decimal`, `default` (values for fields that the writer does not have).

mod cursor;
mod decimal;
mod default;
mod leaf;
mod names;
mod plan;
mod resolve;
mod run;

use apache_avro::Schema;
use serde_json::{Value, json};

pub(crate) use plan::Plan;

use names::Names;

/// The name of the record that holds a schema and what that refers to.
const HOLDER: &str = "__trifold_holder";

/// A schema that was read, with those that it refers to.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// A record whose last field has the schema as its type, and whose others have what it refers to.
    holder: Schema,
}

impl Parsed {
    /// Reads a schema, given as JSON, and those that it refers to, each of which may refer to those before it.
    ///
    /// They become one schema, in which a name is known to all that stands behind it, also if it is a name within one of
    /// them. The library's own way with several schemas takes them in an order that differs from run to run, and fails
    /// with such names in some.
    pub(crate) fn new(text: &str, references: &[String]) -> Result<Parsed, String> {
        let mut fields = Vec::new();
        for (index, text) in references.iter().map(String::as_str).chain([text]).enumerate() {
            let schema: Value = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
            fields.push(json!({ "name": format!("f{index}"), "type": schema }));
        }
        let holder = json!({ "type": "record", "name": HOLDER, "fields": fields });
        Ok(Parsed { holder: Schema::parse(&holder).map_err(|error| error.to_string())? })
    }

    fn schema(&self) -> Result<&Schema, String> {
        match &self.holder {
            Schema::Record(holder) => holder.fields.last().map(|field| &field.schema),
            _ => None,
        }
        .ok_or_else(|| "it is no schema".to_owned())
    }

    /// How values that were written with this schema become text, read by another schema if there is one.
    pub(crate) fn plan(&self, reader: Option<&Parsed>) -> Result<Plan, String> {
        let names = Names::new(&self.holder);
        match reader {
            None => resolve::plan(self.schema()?, &names, None),
            Some(reader) => {
                let reader_names = Names::new(&reader.holder);
                resolve::plan(self.schema()?, &names, Some((reader.schema()?, &reader_names)))
            }
        }
    }
}

/// Appends a value as text.
pub(crate) fn decode(plan: &Plan, value: &[u8], out: &mut Vec<u8>) -> Result<(), crate::error::Bad> {
    run::run(plan, value, out)
}

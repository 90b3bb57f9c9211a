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

pub(crate) use plan::Plan;

use names::Names;

/// A schema that was read, and those that it refers to.
#[derive(Debug)]
pub(crate) struct Parsed {
    schema: Schema,
    references: Vec<Schema>,
}

impl Parsed {
    /// Reads a schema, given as JSON, and those that it refers to.
    pub(crate) fn new(text: &str, references: &[String]) -> Result<Parsed, String> {
        let (schema, references) =
            Schema::parse_str_with_list(text, references).map_err(|error| error.to_string())?;
        Ok(Parsed { schema, references })
    }

    fn names(&self) -> Names<'_> {
        Names::new(self.references.iter().chain([&self.schema]))
    }

    /// How values that were written with this schema become text, read by another schema if there is one.
    pub(crate) fn plan(&self, reader: Option<&Parsed>) -> Result<Plan, String> {
        let writer = self.names();
        match reader {
            None => resolve::plan(&self.schema, &writer, None),
            Some(reader) => resolve::plan(&self.schema, &writer, Some((&reader.schema, &reader.names()))),
        }
    }
}

/// Appends a value as text.
pub(crate) fn decode(plan: &Plan, value: &[u8], out: &mut Vec<u8>) -> Result<(), crate::error::Bad> {
    run::run(plan, value, out)
}

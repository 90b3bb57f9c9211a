//! The types of a schema that have names.

use std::collections::BTreeMap;

use apache_avro::Schema;
use apache_avro::schema::{Alias, Name};

/// The named types, by their full names.
pub(super) struct Names<'s>(BTreeMap<String, &'s Schema>);

impl<'s> Names<'s> {
    /// Those of a schema and of all that is in it.
    pub(super) fn new(schema: &'s Schema) -> Names<'s> {
        let mut names = Names(BTreeMap::new());
        names.add(schema);
        names
    }

    fn add(&mut self, schema: &'s Schema) {
        match schema {
            Schema::Array(array) => self.add(&array.items),
            Schema::Map(map) => self.add(&map.types),
            Schema::Union(union) => union.variants().iter().for_each(|variant| self.add(variant)),
            Schema::Record(record) => {
                self.0.insert(full(&record.name), schema);
                record.fields.iter().for_each(|field| self.add(&field.schema));
            }
            Schema::Ref { .. } => {}
            other => {
                if let Some(name) = other.name() {
                    self.0.insert(full(name), schema);
                }
            }
        }
    }

    /// The type itself, where a schema only names it.
    pub(super) fn follow(&self, schema: &'s Schema) -> Result<&'s Schema, String> {
        match schema {
            Schema::Ref { name } => {
                let name = full(name);
                self.0.get(&name).copied().ok_or_else(|| format!("nothing says what {name} is"))
            }
            other => Ok(other),
        }
    }
}

/// A name with its namespace.
pub(super) fn full(name: &Name) -> String {
    name.fullname(None)
}

/// Whether a reader's type is meant for a writer's: by its name, whatever its namespace, or by an alias.
pub(super) fn is_for(reader: &Name, aliases: Option<&Vec<Alias>>, writer: &Name) -> bool {
    let mut aliases = aliases.into_iter().flatten();
    reader.name() == writer.name() || aliases.any(|alias| alias.fullname(None) == full(writer))
}

//! From the schema with which values are written, and the one by which they are read, to a plan: Avro's rules of schema
//! resolution.

use std::collections::BTreeMap;

use apache_avro::Schema;
use apache_avro::schema::{EnumSchema, RecordField, RecordSchema};

use super::names::{Names, full, is_for};
use super::plan::{Field, Node, NodeId, Plan, Record};
use super::{default, leaf};
use crate::limits::SCHEMA_DEPTH_MAX;
use crate::text;

/// Makes the plan for a writer's schema, and a reader's with its own names if there is one.
pub(super) fn plan<'s>(
    writer: &'s Schema,
    names: &Names<'s>,
    reader: Option<(&'s Schema, &Names<'s>)>,
) -> Result<Plan, String> {
    let (reader, reader_names) = reader.unzip();
    let mut resolver = Resolver { names, reader_names, nodes: Vec::new(), records: BTreeMap::new(), depth: 0 };
    let root = resolver.resolve(writer, reader)?;
    Ok(Plan { nodes: resolver.nodes, root })
}

struct Resolver<'n, 's> {
    names: &'n Names<'s>,
    reader_names: Option<&'n Names<'s>>,
    nodes: Vec<Node>,
    /// What pairs of records came to, by their names; the reader's is missing for values that are read as they are.
    records: BTreeMap<(String, Option<String>), Result<NodeId, String>>,
    depth: u32,
}

impl<'s> Resolver<'_, 's> {
    /// The node for a writer's type, read by a reader's or as it is; or why that one cannot read it.
    fn resolve(&mut self, writer: &'s Schema, reader: Option<&'s Schema>) -> Result<NodeId, String> {
        if self.depth == SCHEMA_DEPTH_MAX {
            return Err(format!("it is nested more than {SCHEMA_DEPTH_MAX} levels deep"));
        }
        self.depth += 1;
        let node = self.type_of(writer, reader);
        self.depth -= 1;
        node
    }

    fn type_of(&mut self, writer: &'s Schema, reader: Option<&'s Schema>) -> Result<NodeId, String> {
        let writer = self.names.follow(writer)?;
        let reader = match (reader, self.reader_names) {
            (Some(reader), Some(names)) => Some(names.follow(reader)?),
            _ => None,
        };
        match (writer, reader) {
            (Schema::Union(union), _) => {
                let members = union.variants().iter().map(|member| self.resolve(member, reader));
                let members: Vec<_> = members.collect();
                match members.iter().find_map(|member| member.as_ref().err()) {
                    Some(problem) if members.iter().all(Result::is_err) => Err(problem.clone()),
                    _ => Ok(self.push(Node::Union(members))),
                }
            }
            (_, Some(Schema::Union(union))) => self.member(writer, union.variants()),
            (Schema::Record(writer), None) => self.record(writer, None),
            (Schema::Record(writer), Some(Schema::Record(reader)))
                if is_for(&reader.name, reader.aliases.as_ref(), &writer.name) =>
            {
                self.record(writer, Some(reader))
            }
            (Schema::Enum(writer), None) => Ok(self.push(symbols(writer, writer))),
            (Schema::Enum(writer), Some(Schema::Enum(reader)))
                if is_for(&reader.name, reader.aliases.as_ref(), &writer.name) =>
            {
                Ok(self.push(symbols(writer, reader)))
            }
            (Schema::Array(writer), None) => {
                let items = self.resolve(&writer.items, None)?;
                Ok(self.push(Node::Array(items)))
            }
            (Schema::Array(writer), Some(Schema::Array(reader))) => {
                let items = self.resolve(&writer.items, Some(&reader.items))?;
                Ok(self.push(Node::Array(items)))
            }
            (Schema::Map(writer), None) => {
                let values = self.resolve(&writer.types, None)?;
                Ok(self.push(Node::Map(values)))
            }
            (Schema::Map(writer), Some(Schema::Map(reader))) => {
                let values = self.resolve(&writer.types, Some(&reader.types))?;
                Ok(self.push(Node::Map(values)))
            }
            _ => leaf::node(writer, reader.unwrap_or(writer)).map(|node| self.push(node)),
        }
    }

    /// The first member of a reader's union that reads a writer's type: one of the same type before others.
    fn member(&mut self, writer: &'s Schema, members: &'s [Schema]) -> Result<NodeId, String> {
        let mut problem = None;
        for same in [true, false] {
            for member in members {
                let followed = self.reader_names.map_or(Ok(member), |names| names.follow(member))?;
                if same != leaf::are_alike(writer, followed) {
                    continue;
                }
                match self.resolve(writer, Some(member)) {
                    Ok(node) => return Ok(node),
                    Err(of_member) => problem = problem.or(Some(of_member)),
                }
            }
        }
        Err(problem.unwrap_or_else(|| "the reader's union is empty".to_owned()))
    }

    fn record(&mut self, writer: &'s RecordSchema, reader: Option<&'s RecordSchema>) -> Result<NodeId, String> {
        let names = (full(&writer.name), reader.map(|reader| full(&reader.name)));
        if let Some(known) = self.records.get(&names) {
            return known.clone();
        }
        // A record may contain itself: what is in it finds it here.
        let node = self.push(Node::Record(Record::default()));
        self.records.insert(names.clone(), Ok(node));
        match self.fields(writer, reader) {
            Ok(record) => {
                self.nodes[node] = Node::Record(record);
                Ok(node)
            }
            Err(problem) => {
                self.nodes[node] = Node::Unreadable(problem.clone());
                self.records.insert(names, Err(problem.clone()));
                Err(problem)
            }
        }
    }

    fn fields(&mut self, writer: &'s RecordSchema, reader: Option<&'s RecordSchema>) -> Result<Record, String> {
        let Some(reader) = reader else {
            let fields = writer.fields.iter().map(|field| self.field(field, Some((&field.name, None))));
            return Ok(Record { fields: fields.collect::<Result<_, _>>()?, defaults: Vec::new() });
        };
        let sources: Vec<_> = reader.fields.iter().map(|field| source(field, writer)).collect();
        let mut record = Record::default();
        for (index, field) in writer.fields.iter().enumerate() {
            let target = sources.iter().position(|source| *source == Some(index)).map(|at| &reader.fields[at]);
            let target = target.map(|target| (&target.name, Some(&target.schema)));
            record.fields.push(self.field(field, target)?);
        }
        for (field, _) in reader.fields.iter().zip(&sources).filter(|(_, source)| source.is_none()) {
            let missing = |what: &str| format!("{}: the writer has no such field, and {what}", field.name);
            let json = field.default.as_ref().ok_or_else(|| missing("it has no default"))?;
            let names = self.reader_names.unwrap_or(self.names);
            if !record.defaults.is_empty() {
                record.defaults.push(b',');
            }
            record.defaults.extend(text::key(&field.name));
            default::write(json, &field.schema, names, &mut record.defaults)
                .map_err(|problem| missing(&format!("its default {problem}")))?;
        }
        Ok(record)
    }

    /// A field of the writer, with the name and the type that it has for the reader, if that has it.
    fn field(
        &mut self,
        field: &'s RecordField,
        target: Option<(&String, Option<&'s Schema>)>,
    ) -> Result<Field, String> {
        let reader = target.and_then(|(_, schema)| schema);
        let node = self.resolve(&field.schema, reader).map_err(|problem| format!("{}: {problem}", field.name))?;
        Ok(Field { name: field.name.clone(), key: target.map(|(name, _)| text::key(name)), node })
    }

    fn push(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }
}

/// The writer's field that a reader's field is read from: the one of its name, or the first of an alias.
fn source(field: &RecordField, writer: &RecordSchema) -> Option<usize> {
    let mut names = [&field.name].into_iter().chain(&field.aliases);
    names.find_map(|name| writer.fields.iter().position(|field| field.name == *name))
}

fn symbols(writer: &EnumSchema, reader: &EnumSchema) -> Node {
    let text = |symbol: &String| {
        let known = reader.symbols.contains(symbol).then_some(symbol).or(reader.default.as_ref());
        let known = known.ok_or_else(|| format!("it has no symbol {symbol}, and no default"))?;
        let mut out = Vec::new();
        text::write(known, &mut out);
        Ok(out)
    };
    Node::Enum(writer.symbols.iter().map(text).collect())
}

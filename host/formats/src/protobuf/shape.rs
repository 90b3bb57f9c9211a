//! What messages become.

use std::collections::BTreeMap;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, Syntax};

use crate::text;

/// A shape, by its place.
pub(super) type ShapeId = usize;

/// The shapes of messages, which may contain each other and themselves.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    pub(super) shapes: Vec<Vec<Field>>,
    /// By the full names of the messages.
    known: BTreeMap<String, ShapeId>,
}

/// A field, as it is written.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) descriptor: FieldDescriptor,
    /// The text of its name, which is that of the `.proto` file.
    pub(super) key: Vec<u8>,
    /// Whether it is left out when it is not there.
    pub(super) is_optional: bool,
    pub(super) kind: Item,
    pub(super) cardinality: Cardinality,
}

/// How often a field's values come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cardinality {
    Once,
    List,
    Map,
}

/// What one value of a field is.
#[derive(Debug)]
pub(super) enum Item {
    /// What the value says itself.
    Scalar,
    /// The text of each number.
    Enum {
        names: BTreeMap<i32, Vec<u8>>,
        /// Whether other numbers are as if they were not there, by the rules of proto2.
        is_closed: bool,
    },
    /// `google.protobuf.Timestamp`.
    Timestamp,
    /// A message that holds one value and is there to be missing, as `google.protobuf.Int64Value`.
    Wrapper,
    Message(ShapeId),
}

impl Shapes {
    /// The shape of a message, and with it those of all that it contains.
    pub(super) fn shape(&mut self, message: &MessageDescriptor) -> ShapeId {
        if let Some(known) = self.known.get(message.full_name()) {
            return *known;
        }
        let id = self.shapes.len();
        self.shapes.push(Vec::new());
        self.known.insert(message.full_name().to_owned(), id);
        let fields = message.fields().map(|field| self.field(field)).collect();
        self.shapes[id] = fields;
        id
    }

    fn field(&mut self, descriptor: FieldDescriptor) -> Field {
        let (kind, cardinality) = match descriptor.kind() {
            Kind::Message(entry) if descriptor.is_map() => {
                (self.item(&entry.map_entry_value_field().kind()), Cardinality::Map)
            }
            kind if descriptor.is_list() => (self.item(&kind), Cardinality::List),
            kind => (self.item(&kind), Cardinality::Once),
        };
        // A default that the schema gives is the value of a field that is not there.
        let has_default = descriptor.field_descriptor_proto().default_value.is_some();
        Field {
            key: text::key(descriptor.name()),
            is_optional: descriptor.supports_presence() && !has_default,
            kind,
            cardinality,
            descriptor,
        }
    }

    fn item(&mut self, kind: &Kind) -> Item {
        match kind {
            Kind::Enum(members) => {
                let mut names = BTreeMap::new();
                for member in members.values() {
                    // Of several names for a number, the first.
                    names.entry(member.number()).or_insert_with(|| {
                        let mut name = Vec::new();
                        text::write(member.name(), &mut name);
                        name
                    });
                }
                Item::Enum { names, is_closed: members.parent_file().syntax() == Syntax::Proto2 }
            }
            Kind::Message(message) => match message.full_name() {
                "google.protobuf.Timestamp" => Item::Timestamp,
                "google.protobuf.DoubleValue"
                | "google.protobuf.FloatValue"
                | "google.protobuf.Int64Value"
                | "google.protobuf.UInt64Value"
                | "google.protobuf.Int32Value"
                | "google.protobuf.UInt32Value"
                | "google.protobuf.BoolValue"
                | "google.protobuf.StringValue"
                | "google.protobuf.BytesValue" => Item::Wrapper,
                _ => Item::Message(self.shape(message)),
            },
            _ => Item::Scalar,
        }
    }
}

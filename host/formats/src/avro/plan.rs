//! What is to be done with the bytes of a value.

use crate::time::Unit;

/// A node of a plan, by its place.
pub(crate) type NodeId = usize;

/// How values of one schema become text. A schema may contain itself, so that nodes name each other by their places.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(super) nodes: Vec<Node>,
    pub(super) root: NodeId,
}

/// What comes next in a value, and what it becomes.
#[derive(Debug)]
pub(super) enum Node {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    /// Base64, of as many bytes as the value says.
    Bytes,
    /// A text, of as many bytes as the value says.
    Text,
    /// Base64 of a number of bytes.
    Fixed(usize),
    /// A UUID as its 16 bytes; without a size, the value says how many there are.
    Uuid(Option<usize>),
    /// A decimal number; without a size, the value says how many bytes it has.
    Decimal {
        scale: usize,
        size: Option<usize>,
    },
    /// A decimal number that brings its scale.
    BigDecimal,
    Time(Unit),
    /// The text of each symbol, or why the reader cannot have it.
    Enum(Vec<Result<Vec<u8>, String>>),
    Array(NodeId),
    Map(NodeId),
    /// Each member, or why the reader cannot have it.
    Union(Vec<Result<NodeId, String>>),
    Record(Record),
    /// A value that the reader cannot have.
    Unreadable(String),
}

/// What a record becomes.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// In the writer's order.
    pub(super) fields: Vec<Field>,
    /// The text of the fields that the writer does not have, keys and values.
    pub(super) defaults: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Field {
    /// The writer's name, for errors.
    pub(super) name: String,
    /// The text of the reader's name; none if the reader has no such field.
    pub(super) key: Option<Vec<u8>>,
    pub(super) node: NodeId,
}

//! How much a value may ask for. What it says of itself is never taken for it: nothing is reserved by a length that a
//! value names, and what takes no bytes is counted.

/// The longest text that a value becomes: the longest line of an event file (16 MiB), beyond which nobody reads it.
pub const TEXT_BYTES_MAX: usize = 16 << 20;

/// The parts of a value, those that the reader has no use for included. A part that is written takes two bytes of text
/// at least, so that this is twice what fits; items of a list that take no bytes of the value would be without end.
pub const STEPS_MAX: u32 = 1 << 24;

/// How deep records, lists, maps and unions may be nested: the depth at which Protobuf's own libraries end, and below
/// that at which readers of JSON do.
pub const DEPTH_MAX: u32 = 100;

/// How deep a schema of Avro may be nested, from one type to the next. No text of a schema is nested more deeply than 128
/// levels, but each may refer to another.
pub const SCHEMA_DEPTH_MAX: u32 = 300;

/// The longest decimal number, as its bytes. 256 bytes have 616 digits; the time to write them grows with the square.
pub const DECIMAL_BYTES_MAX: usize = 256;

/// The schemas that are kept. When one more comes they are all forgotten, and those in use are asked for again: a topic
/// has a few, and only values that are made up have more.
pub const SCHEMAS_MAX: usize = 10_000;

/// The schemas that one schema may refer to, in all.
pub const REFERENCES_MAX: usize = 1_000;

/// The longest answer of a registry.
pub const ANSWER_BYTES_MAX: u64 = 16 << 20;

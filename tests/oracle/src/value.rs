//! Values and their canonical bytes.

/// A value of an event or of a row. A timestamp is its microseconds, whose bytes are the same.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// A bool.
    Bool(bool),
    /// An int64 or a timestamp.
    Int(i64),
    /// A float64.
    Float(f64),
    /// A utf8.
    Text(String),
    /// A list of float64.
    Floats(Vec<f64>),
    /// A list of utf8.
    Texts(Vec<String>),
}

impl Value {
    /// Appends the canonical bytes.
    pub fn write(&self, row: &mut Vec<u8>) {
        row.push(u8::from(*self != Value::Null));
        match self {
            Value::Null => {}
            Value::Bool(value) => row.push(u8::from(*value)),
            Value::Int(value) => row.extend(value.to_le_bytes()),
            Value::Float(value) => write_float(*value, row),
            Value::Text(value) => write_text(value, row),
            Value::Floats(values) => {
                write_length(values.len(), row);
                values.iter().for_each(|value| write_float(*value, row));
            }
            Value::Texts(values) => {
                write_length(values.len(), row);
                values.iter().for_each(|value| write_text(value, row));
            }
        }
    }
}

/// The canonical bytes of some values, as those of an entity key.
pub fn coded(values: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    values.iter().for_each(|value| value.write(&mut bytes));
    bytes
}

fn write_length(length: usize, row: &mut Vec<u8>) {
    row.extend((length as u32).to_le_bytes());
}

fn write_text(text: &str, row: &mut Vec<u8>) {
    write_length(text.len(), row);
    row.extend(text.as_bytes());
}

fn write_float(value: f64, row: &mut Vec<u8>) {
    row.extend(bits(value).to_le_bytes());
}

/// The bits of a double, in which all NaNs are alike.
pub(crate) fn bits(value: f64) -> u64 {
    if value.is_nan() { 0x7ff8_0000_0000_0000 } else { value.to_bits() }
}

impl From<Option<f64>> for Value {
    fn from(value: Option<f64>) -> Self {
        value.map_or(Value::Null, Value::Float)
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        value.map_or(Value::Null, Value::Int)
    }
}

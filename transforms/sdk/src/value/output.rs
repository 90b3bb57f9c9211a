//! Writing outputs.

use bytemuck::Pod;

use crate::slab::Writer;
use crate::time::Timestamp;

/// A struct that holds one row of outputs; derive it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an output struct",
    label = "the view's function returns this",
    note = "write `#[derive(Output)]` on the struct, and return it or `Result<_, RowError>`"
)]
pub trait Output: Sized {
    /// The columns of a batch.
    type Columns;
    /// The fields in declared order.
    const FIELDS: &'static [OutputField];
    /// The struct's documentation.
    const DOC: &'static str;
    /// Empty columns with room for so many rows.
    fn columns(rows: usize) -> Self::Columns;
    /// Appends a row.
    fn push(self, columns: &mut Self::Columns);
    /// Appends a row that nobody will read.
    fn push_default(columns: &mut Self::Columns);
    /// Writes the columns into a slab.
    fn write(columns: &Self::Columns, writer: &mut Writer);
}

/// What `describe` says of an output.
#[derive(Debug, Clone, Copy)]
pub struct OutputField {
    /// The name.
    pub name: &'static str,
    /// The type's name.
    pub ty: &'static str,
    /// Whether it may be absent.
    pub nullable: bool,
    /// The documentation.
    pub doc: &'static str,
}

/// A type that an output field can have.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the type of an output field",
    label = "not a type of the contract",
    note = "write bool, i64, f64, f32, Timestamp, String, Vec<u8>, Vec<f32>, Vec<f64>, Vec<i64> or Vec<String>, \
            or an Option of one of them"
)]
pub trait OutputValue: Sized {
    /// The type's name in `describe`.
    const TYPE: &'static str;
    /// Whether it may be absent.
    const NULLABLE: bool = false;
    /// A column of a batch.
    type Column: OutputColumn<Self>;
}

/// A growing column of values of one type.
pub trait OutputColumn<T>: Sized {
    /// An empty column with room for so many rows.
    fn with_rows(rows: usize) -> Self;
    /// Appends a value.
    fn push(&mut self, value: T);
    /// Appends a value that nobody will read.
    fn push_default(&mut self);
    /// Writes the column into a slab.
    fn write(&self, writer: &mut Writer);
}

macro_rules! output {
    ($($name:literal: $type:ty, $column:ty;)*) => {$(
        impl OutputValue for $type {
            const TYPE: &'static str = $name;
            type Column = $column;
        }
    )*};
}

output! {
    "bool": bool, Bitmap;
    "int64": i64, Fixed<i64>;
    "float64": f64, Fixed<f64>;
    "float32": f32, Fixed<f32>;
    "timestamp": Timestamp, Fixed<i64>;
    "utf8": String, Text;
    "binary": Vec<u8>, Lists<u8>;
    "list<float32>": Vec<f32>, Lists<f32>;
    "list<float64>": Vec<f64>, Lists<f64>;
    "list<int64>": Vec<i64>, Lists<i64>;
    "list<utf8>": Vec<String>, TextLists;
}

impl<T: OutputValue> OutputValue for Option<T> {
    const TYPE: &'static str = T::TYPE;
    const NULLABLE: bool = true;
    type Column = Nullable<T::Column>;
}

/// A column of bits.
#[derive(Debug)]
pub struct Bitmap {
    bytes: Vec<u8>,
    rows: usize,
}

impl OutputColumn<bool> for Bitmap {
    fn with_rows(rows: usize) -> Self {
        Bitmap { bytes: Vec::with_capacity(rows.div_ceil(8)), rows: 0 }
    }

    fn push(&mut self, value: bool) {
        match self.bytes.last_mut() {
            Some(last) if self.rows & 7 != 0 => *last |= u8::from(value) << (self.rows & 7),
            _ => self.bytes.push(value.into()),
        }
        self.rows += 1;
    }

    fn push_default(&mut self) {
        self.push(false);
    }

    fn write(&self, writer: &mut Writer) {
        writer.buffer(&self.bytes);
    }
}

/// A column of fixed-width values.
#[derive(Debug)]
pub struct Fixed<T>(Vec<T>);

impl<T: Pod> OutputColumn<T> for Fixed<T> {
    fn with_rows(rows: usize) -> Self {
        Fixed(Vec::with_capacity(rows))
    }

    fn push(&mut self, value: T) {
        self.0.push(value);
    }

    fn push_default(&mut self) {
        self.0.push(T::zeroed());
    }

    fn write(&self, writer: &mut Writer) {
        writer.buffer(&self.0);
    }
}

impl OutputColumn<Timestamp> for Fixed<i64> {
    fn with_rows(rows: usize) -> Self {
        Fixed(Vec::with_capacity(rows))
    }

    fn push(&mut self, value: Timestamp) {
        self.0.push(value.micros());
    }

    fn push_default(&mut self) {
        self.0.push(0);
    }

    fn write(&self, writer: &mut Writer) {
        writer.buffer(&self.0);
    }
}

/// A column of lists of fixed-width items, or of bytes.
#[derive(Debug)]
pub struct Lists<T> {
    offsets: Vec<i32>,
    items: Vec<T>,
}

impl<T: Pod> Lists<T> {
    fn new(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Lists { offsets, items: Vec::new() }
    }

    fn extend(&mut self, items: &[T]) {
        self.items.extend_from_slice(items);
        self.end();
    }

    fn end(&mut self) {
        // A guest's memory limit is far below the items that would overflow an offset.
        self.offsets.push(self.items.len() as i32);
    }

    fn put(&self, writer: &mut Writer) {
        writer.buffer(&self.offsets);
        writer.buffer(&self.items);
    }
}

impl<T: Pod> OutputColumn<Vec<T>> for Lists<T> {
    fn with_rows(rows: usize) -> Self {
        Lists::new(rows)
    }

    fn push(&mut self, value: Vec<T>) {
        self.extend(&value);
    }

    fn push_default(&mut self) {
        self.end();
    }

    fn write(&self, writer: &mut Writer) {
        self.put(writer);
    }
}

/// A column of text.
#[derive(Debug)]
pub struct Text(Lists<u8>);

impl OutputColumn<String> for Text {
    fn with_rows(rows: usize) -> Self {
        Text(Lists::new(rows))
    }

    fn push(&mut self, value: String) {
        self.0.extend(value.as_bytes());
    }

    fn push_default(&mut self) {
        self.0.end();
    }

    fn write(&self, writer: &mut Writer) {
        self.0.put(writer);
    }
}

/// A column of lists of text.
#[derive(Debug)]
pub struct TextLists {
    offsets: Vec<i32>,
    items: Lists<u8>,
}

impl OutputColumn<Vec<String>> for TextLists {
    fn with_rows(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        TextLists { offsets, items: Lists::new(rows) }
    }

    fn push(&mut self, value: Vec<String>) {
        for item in &value {
            self.items.extend(item.as_bytes());
        }
        self.push_default();
    }

    fn push_default(&mut self) {
        self.offsets.push((self.items.offsets.len() - 1) as i32);
    }

    fn write(&self, writer: &mut Writer) {
        writer.buffer(&self.offsets);
        self.items.put(writer);
    }
}

/// A column whose values may be absent.
#[derive(Debug)]
pub struct Nullable<C> {
    present: Bitmap,
    values: C,
}

impl<T, C: OutputColumn<T>> OutputColumn<Option<T>> for Nullable<C> {
    fn with_rows(rows: usize) -> Self {
        Nullable { present: Bitmap::with_rows(rows), values: C::with_rows(rows) }
    }

    fn push(&mut self, value: Option<T>) {
        self.present.push(value.is_some());
        match value {
            Some(value) => self.values.push(value),
            None => self.values.push_default(),
        }
    }

    fn push_default(&mut self) {
        self.push(None);
    }

    fn write(&self, writer: &mut Writer) {
        self.present.write(writer);
        self.values.write(writer);
    }
}

//! Writing outputs.

use std::marker::PhantomData;

use bytemuck::Pod;

use crate::slab::{Places, Tail};
use crate::time::Timestamp;

/// A struct that holds one row of outputs; derive it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an output struct",
    label = "the view's function returns this",
    note = "write `#[derive(Output)]` on the struct, and return it or `Result<_, RowError>`"
)]
pub trait Output: Sized {
    /// The columns of a batch, over the words of an answer.
    type Columns<'a>;
    /// The struct's documentation.
    const DOC: &'static str;
    /// Shows the fields in declared order.
    fn fields(each: &mut dyn FnMut(OutputField<'_>));
    /// The words that the columns of so many rows take, tails apart.
    fn words(rows: usize) -> usize;
    /// Columns in their places.
    fn columns<'a>(places: &mut Places<'a>) -> Self::Columns<'a>;
    /// Writes a row; rows come in order.
    fn set(self, columns: &mut Self::Columns<'_>, row: usize);
    /// Leaves out a row, which nobody will read.
    fn skip(columns: &mut Self::Columns<'_>, row: usize);
    /// What the columns hold outside of their places.
    fn tails(columns: Self::Columns<'_>, tails: &mut Vec<Tail>);
}

/// What `describe` says of an output.
#[derive(Debug, Clone, Copy)]
pub struct OutputField<'a> {
    /// The name.
    pub name: &'a str,
    /// The type's name.
    pub ty: &'static str,
    /// Whether it may be absent.
    pub nullable: bool,
    /// The documentation.
    pub doc: &'a str,
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
    type Column<'a>: OutputColumn<'a, Self>;
}

/// A column of values of one type, over its place in an answer.
pub trait OutputColumn<'a, T>: Sized {
    /// The words that so many rows take, tails apart.
    fn words(rows: usize) -> usize;
    /// A column in the next place.
    fn new(places: &mut Places<'a>) -> Self;
    /// Writes a value; rows come in order.
    fn set(&mut self, row: usize, value: T);
    /// Leaves out a value that nobody will read.
    fn skip(&mut self, row: usize);
    /// What the column holds outside of its place.
    fn tails(self, tails: &mut Vec<Tail>);
}

macro_rules! output {
    ($($name:literal: $type:ty, $column:ty;)*) => {$(
        impl OutputValue for $type {
            const TYPE: &'static str = $name;
            type Column<'a> = $column;
        }
    )*};
}

output! {
    "bool": bool, Bitmap<'a>;
    "int64": i64, Fixed<'a, i64>;
    "int64": u64, Fixed<'a, u64>;
    "float64": f64, Fixed<'a, f64>;
    "float32": f32, Fixed<'a, f32>;
    "timestamp": Timestamp, Fixed<'a, i64>;
    "utf8": String, Text<'a>;
    "utf8": &str, Text<'a>;
    "binary": Vec<u8>, Lists<'a, u8>;
    "binary": &[u8], Lists<'a, u8>;
    "list<float32>": Vec<f32>, Lists<'a, f32>;
    "list<float64>": Vec<f64>, Lists<'a, f64>;
    "list<int64>": Vec<i64>, Lists<'a, i64>;
    "list<utf8>": Vec<String>, TextLists<'a>;
}

impl<T: OutputValue> OutputValue for Option<T> {
    const TYPE: &'static str = T::TYPE;
    const NULLABLE: bool = true;
    type Column<'a> = Nullable<'a, T::Column<'a>>;
}

/// A column of bits.
#[derive(Debug)]
pub struct Bitmap<'a>(&'a mut [u8]);

impl<'a> OutputColumn<'a, bool> for Bitmap<'a> {
    fn words(rows: usize) -> usize {
        Places::words::<u8>(rows.div_ceil(8))
    }

    #[inline]
    fn new(places: &mut Places<'a>) -> Self {
        Bitmap(places.bits())
    }

    #[inline]
    fn set(&mut self, row: usize, value: bool) {
        self.0[row >> 3] |= u8::from(value) << (row & 7);
    }

    #[inline]
    fn skip(&mut self, _row: usize) {}

    fn tails(self, _tails: &mut Vec<Tail>) {}
}

/// A column of fixed-width values.
#[derive(Debug)]
pub struct Fixed<'a, T>(&'a mut [T]);

impl<'a, T: Pod> OutputColumn<'a, T> for Fixed<'a, T> {
    fn words(rows: usize) -> usize {
        Places::words::<T>(rows)
    }

    #[inline]
    fn new(places: &mut Places<'a>) -> Self {
        Fixed(places.rows())
    }

    #[inline]
    fn set(&mut self, row: usize, value: T) {
        self.0[row] = value;
    }

    #[inline]
    fn skip(&mut self, _row: usize) {}

    fn tails(self, _tails: &mut Vec<Tail>) {}
}

impl<'a> OutputColumn<'a, Timestamp> for Fixed<'a, i64> {
    fn words(rows: usize) -> usize {
        <Self as OutputColumn<'a, i64>>::words(rows)
    }

    #[inline]
    fn new(places: &mut Places<'a>) -> Self {
        OutputColumn::<i64>::new(places)
    }

    #[inline]
    fn set(&mut self, row: usize, value: Timestamp) {
        OutputColumn::set(self, row, value.micros());
    }

    #[inline]
    fn skip(&mut self, _row: usize) {}

    fn tails(self, _tails: &mut Vec<Tail>) {}
}

/// A column of lists of fixed-width items, or of bytes.
#[derive(Debug)]
pub struct Lists<'a, T> {
    offsets: &'a mut [i32],
    before: usize,
    items: Vec<u8>,
    item: PhantomData<T>,
}

impl<'a, T: Pod> Lists<'a, T> {
    #[inline]
    fn set_items(&mut self, row: usize, items: &[T]) {
        self.items.extend_from_slice(bytemuck::cast_slice(items));
        self.end(row);
    }

    #[inline]
    fn end(&mut self, row: usize) {
        // A guest's memory limit is far below the items that would overflow an offset.
        self.offsets[row + 1] = (self.items.len() / size_of::<T>()) as i32;
    }

    fn tail(self) -> Tail {
        Tail { before: self.before, bytes: self.items }
    }
}

impl<'a, T: Pod, V: AsRef<[T]>> OutputColumn<'a, V> for Lists<'a, T> {
    fn words(rows: usize) -> usize {
        Places::words::<i32>(rows + 1)
    }

    #[inline]
    fn new(places: &mut Places<'a>) -> Self {
        let offsets = places.offsets();
        Lists { offsets, before: places.end(), items: Vec::new(), item: PhantomData }
    }

    #[inline]
    fn set(&mut self, row: usize, value: V) {
        self.set_items(row, value.as_ref());
    }

    #[inline]
    fn skip(&mut self, row: usize) {
        self.end(row);
    }

    fn tails(self, tails: &mut Vec<Tail>) {
        tails.push(self.tail());
    }
}

/// A column of text.
#[derive(Debug)]
pub struct Text<'a>(Lists<'a, u8>);

impl<'a, V: AsRef<str>> OutputColumn<'a, V> for Text<'a> {
    fn words(rows: usize) -> usize {
        Places::words::<i32>(rows + 1)
    }

    #[inline]
    fn new(places: &mut Places<'a>) -> Self {
        Text(OutputColumn::<Vec<u8>>::new(places))
    }

    #[inline]
    fn set(&mut self, row: usize, value: V) {
        self.0.set_items(row, value.as_ref().as_bytes());
    }

    #[inline]
    fn skip(&mut self, row: usize) {
        self.0.end(row);
    }

    fn tails(self, tails: &mut Vec<Tail>) {
        tails.push(self.0.tail());
    }
}

/// A column of lists of text.
#[derive(Debug)]
pub struct TextLists<'a> {
    offsets: &'a mut [i32],
    before: usize,
    /// Where the texts end, as little-endian offsets.
    ends: Vec<u8>,
    text: Vec<u8>,
}

impl<'a> OutputColumn<'a, Vec<String>> for TextLists<'a> {
    fn words(rows: usize) -> usize {
        Places::words::<i32>(rows + 1)
    }

    fn new(places: &mut Places<'a>) -> Self {
        let offsets = places.offsets();
        TextLists { offsets, before: places.end(), ends: vec![0; size_of::<i32>()], text: Vec::new() }
    }

    fn set(&mut self, row: usize, value: Vec<String>) {
        for item in &value {
            self.text.extend_from_slice(item.as_bytes());
            self.ends.extend_from_slice(&(self.text.len() as i32).to_le_bytes());
        }
        self.skip(row);
    }

    fn skip(&mut self, row: usize) {
        self.offsets[row + 1] = (self.ends.len() / size_of::<i32>() - 1) as i32;
    }

    fn tails(self, tails: &mut Vec<Tail>) {
        let before = self.before;
        tails.extend([self.ends, self.text].map(|bytes| Tail { before, bytes }));
    }
}

/// A column whose values may be absent.
#[derive(Debug)]
pub struct Nullable<'a, C> {
    present: Bitmap<'a>,
    values: C,
}

impl<'a, T, C: OutputColumn<'a, T>> OutputColumn<'a, Option<T>> for Nullable<'a, C> {
    fn words(rows: usize) -> usize {
        Bitmap::words(rows) + C::words(rows)
    }

    #[inline]
    fn new(places: &mut Places<'a>) -> Self {
        Nullable { present: Bitmap::new(places), values: C::new(places) }
    }

    #[inline]
    fn set(&mut self, row: usize, value: Option<T>) {
        match value {
            Some(value) => {
                self.present.set(row, true);
                self.values.set(row, value);
            }
            None => self.values.skip(row),
        }
    }

    #[inline]
    fn skip(&mut self, row: usize) {
        self.values.skip(row);
    }

    fn tails(self, tails: &mut Vec<Tail>) {
        self.values.tails(tails);
    }
}

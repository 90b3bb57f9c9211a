//! Reading inputs.

use bytemuck::Pod;

use crate::slab::{Bits, Offsets, Reader, SlabError};
use crate::time::Timestamp;

/// A struct that holds one row of columns.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from columns",
    note = "write `#[derive(Input)]` on the struct of an event, and `#[derive(Prepared)]` on what is left of it"
)]
pub trait Record<'a>: Sized {
    /// The columns of a batch.
    type Columns;
    /// Finds the columns in a slab.
    fn read(reader: &mut Reader<'a>) -> Result<Self::Columns, SlabError>;
    /// One row of the columns.
    fn row(columns: &Self::Columns, row: usize) -> Self;
}

/// A struct that holds one row of inputs; derive it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an input struct",
    label = "the view's function takes this",
    note = "write `#[derive(Input)]` on the struct, and take it by value"
)]
pub trait Input<'a>: Record<'a> {
    /// The entity's key: the type of its field, or a tuple where there are several.
    type Key;
    /// The fields in declared order.
    const FIELDS: &'static [InputField];
}

/// What `describe` says of an input.
#[derive(Debug, Clone, Copy)]
pub struct InputField {
    /// The name.
    pub name: &'static str,
    /// The type's name.
    pub ty: &'static str,
    /// Whether it may be absent.
    pub nullable: bool,
    /// Whether it is part of the entity's key.
    pub is_entity: bool,
    /// The documentation.
    pub doc: &'static str,
}

/// A struct that holds one row of an on-demand view's inputs; derive it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a request struct",
    label = "the view's function takes this",
    note = "write `#[derive(Request)]` on the struct, and take it by value"
)]
pub trait Request<'a>: Record<'a> {
    /// The fields in declared order.
    const FIELDS: &'static [RequestField];
}

/// What `describe` says of an input of an on-demand view.
#[derive(Debug, Clone, Copy)]
pub struct RequestField {
    /// The name.
    pub name: &'static str,
    /// The type's name.
    pub ty: &'static str,
    /// Whether it may be absent.
    pub nullable: bool,
    /// The view and its output, where it is no field of the request.
    pub feature: Option<(&'static str, &'static str)>,
    /// The documentation.
    pub doc: &'static str,
}

/// A type that an input field can have.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the type of an input field",
    label = "not a type of the contract",
    note = "write bool, i64, f64, f32, Timestamp, &'a str, &'a [u8], &'a [f32], &'a [f64], &'a [i64], \
            Vec<&'a str> or the owned String and Vec, or an Option of one of them"
)]
pub trait InputValue<'a>: Sized {
    /// The type's name in `describe`.
    const TYPE: &'static str;
    /// Whether it may be absent.
    const NULLABLE: bool = false;
    /// A column of a batch.
    type Column;
    /// Finds the column in a slab.
    fn read(reader: &mut Reader<'a>) -> Result<Self::Column, SlabError>;
    /// The value of a row.
    fn get(column: &Self::Column, row: usize) -> Self;
}

macro_rules! input {
    ($($name:literal: $type:ty, $column:ty, |$reader:ident| $read:expr, |$from:ident, $row:ident| $get:expr;)*) => {$(
        impl<'a> InputValue<'a> for $type {
            const TYPE: &'static str = $name;
            type Column = $column;

            #[inline]
            fn read($reader: &mut Reader<'a>) -> Result<$column, SlabError> {
                $read
            }

            #[inline]
            fn get($from: &$column, $row: usize) -> Self {
                $get
            }
        }
    )*};
}

input! {
    "bool": bool, Bits<'a>, |reader| reader.bits(), |column, row| column.get(row);
    "int64": i64, &'a [i64], |reader| reader.rows(), |column, row| column[row];
    "int64": u64, &'a [u64], |reader| reader.rows(), |column, row| column[row];
    "float64": f64, &'a [f64], |reader| reader.rows(), |column, row| column[row];
    "float32": f32, &'a [f32], |reader| reader.rows(), |column, row| column[row];
    "timestamp": Timestamp, &'a [i64], |reader| reader.rows(), |column, row| Timestamp::from_micros(column[row]);
    "utf8": &'a str, Text<'a>, |reader| Text::read(reader), |column, row| column.get(row);
    "utf8": String, Text<'a>, |reader| Text::read(reader), |column, row| column.get(row).to_owned();
    "binary": &'a [u8], Lists<'a, u8>, |reader| Lists::read(reader), |column, row| column.get(row);
    "binary": Vec<u8>, Lists<'a, u8>, |reader| Lists::read(reader), |column, row| column.get(row).to_vec();
    "list<float32>": &'a [f32], Lists<'a, f32>, |reader| Lists::read(reader), |column, row| column.get(row);
    "list<float32>": Vec<f32>, Lists<'a, f32>, |reader| Lists::read(reader), |column, row| column.get(row).to_vec();
    "list<float64>": &'a [f64], Lists<'a, f64>, |reader| Lists::read(reader), |column, row| column.get(row);
    "list<float64>": Vec<f64>, Lists<'a, f64>, |reader| Lists::read(reader), |column, row| column.get(row).to_vec();
    "list<int64>": &'a [i64], Lists<'a, i64>, |reader| Lists::read(reader), |column, row| column.get(row);
    "list<int64>": Vec<i64>, Lists<'a, i64>, |reader| Lists::read(reader), |column, row| column.get(row).to_vec();
    "list<utf8>": Vec<&'a str>, TextLists<'a>, |reader| TextLists::read(reader), |column, row| column.get(row).collect();
    "list<utf8>": Vec<String>, TextLists<'a>, |reader| TextLists::read(reader),
        |column, row| column.get(row).map(str::to_owned).collect();
}

impl<'a, T: InputValue<'a>> InputValue<'a> for Option<T> {
    const TYPE: &'static str = T::TYPE;
    const NULLABLE: bool = true;
    type Column = (Bits<'a>, T::Column);

    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self::Column, SlabError> {
        Ok((reader.bits()?, T::read(reader)?))
    }

    #[inline]
    fn get((present, values): &Self::Column, row: usize) -> Self {
        present.get(row).then(|| T::get(values, row))
    }
}

/// A column of text.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    offsets: Offsets<'a>,
    text: &'a str,
}

impl<'a> Text<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, SlabError> {
        let offsets = reader.row_offsets()?;
        Ok(Text { offsets, text: reader.text(offsets)? })
    }

    #[inline]
    fn get(&self, row: usize) -> &'a str {
        // Offsets that `Reader::text` has found to be on the text's characters would be checked once more by an index.
        #[expect(
            unsafe_code,
            reason = "the reader checks that offsets ascend, end within the text and cut no character"
        )]
        unsafe {
            self.text.get_unchecked(self.offsets.range(row))
        }
    }
}

/// A column of lists of fixed-width items, or of bytes.
#[derive(Debug, Clone, Copy)]
pub struct Lists<'a, T> {
    offsets: Offsets<'a>,
    items: &'a [T],
}

impl<'a, T: Pod> Lists<'a, T> {
    /// Finds the column in a slab.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, SlabError> {
        let offsets = reader.row_offsets()?;
        Ok(Lists { offsets, items: reader.buffer(offsets.end())? })
    }

    /// The items of a row.
    #[inline]
    pub(crate) fn get(&self, row: usize) -> &'a [T] {
        &self.items[self.offsets.range(row)]
    }
}

/// A column of lists of text.
#[derive(Debug, Clone, Copy)]
pub struct TextLists<'a> {
    offsets: Offsets<'a>,
    items: Text<'a>,
}

impl<'a> TextLists<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, SlabError> {
        let offsets = reader.row_offsets()?;
        let items = reader.offsets(offsets.end())?;
        Ok(TextLists { offsets, items: Text { offsets: items, text: reader.text(items)? } })
    }

    fn get(&self, row: usize) -> impl ExactSizeIterator<Item = &'a str> {
        let items = self.items;
        self.offsets.range(row).map(move |item| items.get(item))
    }
}

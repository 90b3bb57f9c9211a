//! What stands in any number of columns: nothing, a value, or a tuple of values.

use crate::slab::{Places, Reader, SlabError, Tail};
use crate::value::{InputValue, OutputColumn, OutputValue};

/// The type of one column, as `describe` has it.
#[derive(Debug, Clone, Copy)]
pub struct ColumnType {
    /// The type's name.
    pub name: &'static str,
    /// Whether values may be absent.
    pub nullable: bool,
}

impl ColumnType {
    /// Whether columns of both types have the same layout.
    const fn is(self, other: ColumnType) -> bool {
        let (name, other_name) = (self.name.as_bytes(), other.name.as_bytes());
        let mut at = 0;
        while at < name.len() && at < other_name.len() && name[at] == other_name[at] {
            at += 1;
        }
        at == name.len() && at == other_name.len() && self.nullable == other.nullable
    }

    /// Whether two lists of columns have the same layout.
    pub(crate) const fn are(columns: &[ColumnType], others: &[ColumnType]) -> bool {
        let mut at = 0;
        while at < columns.len() && at < others.len() && columns[at].is(others[at]) {
            at += 1;
        }
        at == columns.len() && at == others.len()
    }
}

/// A value of an input type, a tuple of them, or `()`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from columns",
    note = "write one of the types of input fields, or a tuple of up to eight"
)]
pub trait InputValues<'a>: Sized {
    /// The columns of a batch.
    type Columns;
    /// Finds the columns in a slab.
    fn read(reader: &mut Reader<'a>) -> Result<Self::Columns, SlabError>;
    /// The values of a row.
    fn get(columns: &Self::Columns, row: usize) -> Self;
}

/// A value of an output type, a tuple of them, or `()`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be written to columns",
    note = "write one of the types of output fields, or a tuple of up to eight"
)]
pub trait OutputValues: Sized {
    /// The types of the columns.
    const TYPES: &'static [ColumnType];
    /// The columns of a batch.
    type Columns<'w>;
    /// The words that so many rows take, tails apart.
    fn words(rows: usize) -> usize;
    /// Columns in the next places.
    fn columns<'w>(places: &mut Places<'w>) -> Self::Columns<'w>;
    /// Writes a row; rows come in order.
    fn set(self, columns: &mut Self::Columns<'_>, row: usize);
    /// Leaves out a row that nobody will read.
    fn skip(columns: &mut Self::Columns<'_>, row: usize);
    /// What the columns hold outside of their places.
    fn tails(columns: Self::Columns<'_>, tails: &mut Vec<Tail>);
}

impl<'a, V: InputValue<'a>> InputValues<'a> for V {
    type Columns = V::Column;

    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<V::Column, SlabError> {
        V::read(reader)
    }

    #[inline]
    fn get(column: &V::Column, row: usize) -> Self {
        V::get(column, row)
    }
}

impl<V: OutputValue> OutputValues for V {
    const TYPES: &'static [ColumnType] = &[ColumnType { name: V::TYPE, nullable: V::NULLABLE }];
    type Columns<'w> = V::Column<'w>;

    fn words(rows: usize) -> usize {
        V::Column::words(rows)
    }

    #[inline]
    fn columns<'w>(places: &mut Places<'w>) -> V::Column<'w> {
        V::Column::new(places)
    }

    #[inline]
    fn set(self, column: &mut V::Column<'_>, row: usize) {
        column.set(row, self);
    }

    #[inline]
    fn skip(column: &mut V::Column<'_>, row: usize) {
        column.skip(row);
    }

    fn tails(column: V::Column<'_>, tails: &mut Vec<Tail>) {
        column.tails(tails);
    }
}

macro_rules! tuples {
    ($($(($value:ident, $place:tt))*;)*) => {$(
        #[allow(unused_variables, reason = "nothing is done with no column")]
        impl<'a, $($value: InputValue<'a>),*> InputValues<'a> for ($($value,)*) {
            type Columns = ($($value::Column,)*);

            #[inline]
            fn read(reader: &mut Reader<'a>) -> Result<Self::Columns, SlabError> {
                Ok(($($value::read(reader)?,)*))
            }

            #[inline]
            #[allow(clippy::unused_unit, reason = "what is left of no column")]
            fn get(columns: &Self::Columns, row: usize) -> Self {
                ($($value::get(&columns.$place, row),)*)
            }
        }

        #[allow(unused_variables, reason = "nothing is done with no column")]
        impl<$($value: OutputValue),*> OutputValues for ($($value,)*) {
            const TYPES: &'static [ColumnType] =
                &[$(ColumnType { name: $value::TYPE, nullable: $value::NULLABLE }),*];
            type Columns<'w> = ($($value::Column<'w>,)*);

            fn words(rows: usize) -> usize {
                0 $(+ <$value::Column<'_> as OutputColumn<'_, $value>>::words(rows))*
            }

            #[inline]
            #[allow(clippy::unused_unit, reason = "what is left of no column")]
            fn columns<'w>(places: &mut Places<'w>) -> Self::Columns<'w> {
                ($(<$value::Column<'w> as OutputColumn<'w, $value>>::new(places),)*)
            }

            #[inline]
            fn set(self, columns: &mut Self::Columns<'_>, row: usize) {
                $(columns.$place.set(row, self.$place);)*
            }

            #[inline]
            fn skip(columns: &mut Self::Columns<'_>, row: usize) {
                $(OutputColumn::<'_, $value>::skip(&mut columns.$place, row);)*
            }

            fn tails(columns: Self::Columns<'_>, tails: &mut Vec<Tail>) {
                $(OutputColumn::<'_, $value>::tails(columns.$place, tails);)*
            }
        }
    )*};
}

tuples! {
    ;
    (A, 0);
    (A, 0) (B, 1);
    (A, 0) (B, 1) (C, 2);
    (A, 0) (B, 1) (C, 2) (D, 3);
    (A, 0) (B, 1) (C, 2) (D, 3) (E, 4);
    (A, 0) (B, 1) (C, 2) (D, 3) (E, 4) (F, 5);
    (A, 0) (B, 1) (C, 2) (D, 3) (E, 4) (F, 5) (G, 6);
    (A, 0) (B, 1) (C, 2) (D, 3) (E, 4) (F, 5) (G, 6) (H, 7);
}

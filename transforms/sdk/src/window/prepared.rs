//! Columns for the expressions of a struct of aggregators.

use crate::slab::{Places, Reader, SlabError, Tail};
use crate::value::{ColumnType, InputValues, OutputField, OutputValues};

/// What an expression gives for one field. Where an earlier field has the same expression and columns of the same
/// types, its columns stand for both: then `IS_FIRST` is false, and nothing is computed or written.
#[derive(Debug, Clone, Copy)]
pub struct Once<T, const IS_FIRST: bool>(pub Option<T>);

impl<T, const IS_FIRST: bool> Once<T, IS_FIRST> {
    /// Evaluates an expression unless it has been.
    #[inline]
    pub fn new(evaluate: impl FnOnce() -> T) -> Self {
        Once(IS_FIRST.then(evaluate))
    }

    /// The value, as it is read from columns.
    ///
    /// # Panics
    ///
    /// If it comes right from `prepare` and another field has it.
    #[inline]
    pub fn take(self) -> T {
        let Some(value) = self.0 else {
            panic!("prepared events go through columns before they are folded: test with `trifold_sdk::fold`")
        };
        value
    }
}

impl<'a, T: InputValues<'a>, const IS_FIRST: bool> InputValues<'a> for Once<T, IS_FIRST> {
    type Columns = Option<T::Columns>;

    fn read(reader: &mut Reader<'a>) -> Result<Self::Columns, SlabError> {
        IS_FIRST.then(|| T::read(reader)).transpose()
    }

    #[inline]
    fn get(columns: &Self::Columns, row: usize) -> Self {
        Once(columns.as_ref().map(|columns| T::get(columns, row)))
    }
}

impl<T: OutputValues, const IS_FIRST: bool> OutputValues for Once<T, IS_FIRST> {
    const TYPES: &'static [ColumnType] = if IS_FIRST { T::TYPES } else { &[] };
    type Columns<'w> = Option<T::Columns<'w>>;

    fn words(rows: usize) -> usize {
        if IS_FIRST { T::words(rows) } else { 0 }
    }

    fn columns<'w>(places: &mut Places<'w>) -> Self::Columns<'w> {
        IS_FIRST.then(|| T::columns(places))
    }

    #[inline]
    fn set(self, columns: &mut Self::Columns<'_>, row: usize) {
        if let (Some(columns), Some(value)) = (columns, self.0) {
            value.set(columns, row);
        }
    }

    #[inline]
    fn skip(columns: &mut Self::Columns<'_>, row: usize) {
        if let Some(columns) = columns {
            T::skip(columns, row);
        }
    }

    fn tails(columns: Self::Columns<'_>, tails: &mut Vec<Tail>) {
        if let Some(columns) = columns {
            T::tails(columns, tails);
        }
    }
}

/// For each field, whose columns it reads: its own or those of an earlier field. Fields come with the number of
/// their expression.
pub const fn sources<const N: usize>(fields: [(usize, &[ColumnType]); N]) -> [usize; N] {
    let mut sources = [0; N];
    let mut field = 0;
    while field < N {
        let mut source = 0;
        while fields[source].0 != fields[field].0 || !ColumnType::are(fields[source].1, fields[field].1) {
            source += 1;
        }
        sources[field] = source;
        field += 1;
    }
    sources
}

/// Whether the fields have no column at all.
pub const fn are_none<const N: usize>(fields: [(usize, &[ColumnType]); N]) -> bool {
    let mut field = 0;
    while field < N && fields[field].1.is_empty() {
        field += 1;
    }
    field == N
}

/// Reads the columns of fields, of which some are those of an earlier field.
pub struct FieldColumns<'r, 'a> {
    reader: &'r mut Reader<'a>,
    sources: &'static [usize],
    /// Where the columns of each field so far begin.
    starts: Vec<Reader<'a>>,
}

impl<'r, 'a> FieldColumns<'r, 'a> {
    /// A reader of fields that have these sources.
    pub fn new(reader: &'r mut Reader<'a>, sources: &'static [usize]) -> Self {
        FieldColumns { reader, sources, starts: Vec::with_capacity(sources.len()) }
    }

    /// The columns of the next field.
    pub fn next<T: InputValues<'a>>(&mut self, name: &'static str) -> Result<T::Columns, SlabError> {
        let field = self.starts.len();
        let source = self.sources[field];
        self.starts.push(self.reader.clone());
        let reader = if source == field { &mut *self.reader } else { &mut self.starts[source].clone() };
        T::read(reader.field(name))
    }
}

/// Shows the columns of a field, whose names go on from `next`; `doc` is the expression.
pub fn prepared<T: OutputValues>(doc: &str, next: &mut usize, each: &mut dyn FnMut(OutputField<'_>)) {
    for column in T::TYPES {
        let name = format!("column_{next}");
        each(OutputField { name: &name, ty: column.name, nullable: column.nullable, doc });
        *next += 1;
    }
}

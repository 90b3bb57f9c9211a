//! The word slab: columns as Arrow buffers, one after the other, each padded to eight bytes.

use std::fmt;

use bytemuck::Pod;

/// Words that are not the columns that the view declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlabError {
    /// A buffer that runs past the end of the slab.
    Short {
        /// The input.
        field: &'static str,
        /// The buffer's size.
        bytes: usize,
    },
    /// Offsets that do not start at zero, that fall, or that cut a character in two.
    Offsets {
        /// The input.
        field: &'static str,
        /// The first value whose offsets are wrong.
        item: usize,
    },
    /// Text that is not UTF-8.
    Utf8 {
        /// The input.
        field: &'static str,
    },
    /// Words after the last column.
    Trailing {
        /// How many.
        words: usize,
    },
}

impl fmt::Display for SlabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SlabError::Short { field, bytes } => {
                write!(f, "input {field}: a buffer of {bytes} bytes runs past the end of the slab")
            }
            SlabError::Offsets { field, item } => {
                write!(
                    f,
                    "input {field}: the offsets of item {item} do not start at zero, fall or cut a character"
                )
            }
            SlabError::Utf8 { field } => write!(f, "input {field}: the text is not valid UTF-8"),
            SlabError::Trailing { words } => write!(f, "{words} words follow the last input"),
        }
    }
}

impl std::error::Error for SlabError {}

/// Reads columns out of a slab, in the order in which they were written.
#[derive(Clone)]
pub struct Reader<'a> {
    words: &'a [u64],
    rows: usize,
    field: &'static str,
}

impl<'a> Reader<'a> {
    /// A reader of columns of so many rows.
    pub fn new(rows: usize, words: &'a [u64]) -> Self {
        Reader { words, rows, field: "" }
    }

    /// Names the input that is read next, for errors.
    pub fn field(&mut self, name: &'static str) -> &mut Self {
        self.field = name;
        self
    }

    /// The next buffer of so many values.
    #[inline]
    pub fn buffer<T: Pod>(&mut self, count: usize) -> Result<&'a [T], SlabError> {
        let bytes = count.saturating_mul(size_of::<T>());
        let short = SlabError::Short { field: self.field, bytes };
        let (head, rest) = self.words.split_at_checked(bytes.div_ceil(8)).ok_or(short)?;
        self.words = rest;
        Ok(&bytemuck::cast_slice(head)[..count])
    }

    /// The next buffer of one value per row.
    #[inline]
    pub fn rows<T: Pod>(&mut self) -> Result<&'a [T], SlabError> {
        self.buffer(self.rows)
    }

    /// The next buffer of one bit per row.
    #[inline]
    pub fn bits(&mut self) -> Result<Bits<'a>, SlabError> {
        self.buffer(self.rows.div_ceil(8)).map(Bits)
    }

    /// The offsets of one list per row.
    pub fn row_offsets(&mut self) -> Result<Offsets<'a>, SlabError> {
        self.offsets(self.rows)
    }

    /// The offsets of so many lists.
    pub fn offsets(&mut self, count: usize) -> Result<Offsets<'a>, SlabError> {
        let offsets: &[i32] = self.buffer(count + 1)?;
        if offsets[0] != 0 {
            return Err(SlabError::Offsets { field: self.field, item: 0 });
        }
        match offsets.windows(2).position(|pair| pair[0] > pair[1]) {
            Some(item) => Err(SlabError::Offsets { field: self.field, item }),
            None => Ok(Offsets(offsets)),
        }
    }

    /// The text that offsets divide.
    pub fn text(&mut self, offsets: Offsets<'a>) -> Result<&'a str, SlabError> {
        let bytes = self.buffer(offsets.end())?;
        let text = std::str::from_utf8(bytes).map_err(|_| SlabError::Utf8 { field: self.field })?;
        match offsets.0.iter().position(|offset| !text.is_char_boundary(*offset as usize)) {
            Some(item) => Err(SlabError::Offsets { field: self.field, item }),
            None => Ok(text),
        }
    }

    /// Checks that nothing is left.
    pub fn finish(self) -> Result<(), SlabError> {
        match self.words.len() {
            0 => Ok(()),
            words => Err(SlabError::Trailing { words }),
        }
    }
}

/// A bitmap, least significant bit first.
#[derive(Debug, Clone, Copy)]
pub struct Bits<'a>(&'a [u8]);

impl Bits<'_> {
    /// The bit of a row.
    #[inline]
    pub fn get(self, row: usize) -> bool {
        self.0[row >> 3] >> (row & 7) & 1 == 1
    }
}

/// Checked offsets: they start at zero and never fall.
#[derive(Debug, Clone, Copy)]
pub struct Offsets<'a>(&'a [i32]);

impl Offsets<'_> {
    /// Where the values of a row lie.
    #[inline]
    pub fn range(self, row: usize) -> std::ops::Range<usize> {
        // Checked offsets are never negative.
        self.0[row] as usize..self.0[row + 1] as usize
    }

    /// How many values there are in all.
    pub fn end(self) -> usize {
        self.0[self.0.len() - 1] as usize
    }
}

/// The words of an answer, handed out column by column before any value is known. They are zero.
pub struct Places<'a> {
    words: &'a mut [u64],
    rows: usize,
    end: usize,
}

impl<'a> Places<'a> {
    /// Places for columns of so many rows.
    pub fn new(rows: usize, words: &'a mut [u64]) -> Self {
        Places { words, rows, end: 0 }
    }

    /// The words that a buffer of so many values takes.
    pub const fn words<T>(count: usize) -> usize {
        (count * size_of::<T>()).div_ceil(8)
    }

    /// The place of the next buffer of so many values.
    #[inline]
    pub fn buffer<T: Pod>(&mut self, count: usize) -> &'a mut [T] {
        let words = Self::words::<T>(count);
        let (place, rest) = std::mem::take(&mut self.words).split_at_mut(words);
        self.words = rest;
        self.end += words;
        &mut bytemuck::cast_slice_mut(place)[..count]
    }

    /// The place of one value per row.
    #[inline]
    pub fn rows<T: Pod>(&mut self) -> &'a mut [T] {
        self.buffer(self.rows)
    }

    /// The place of one bit per row.
    #[inline]
    pub fn bits(&mut self) -> &'a mut [u8] {
        self.buffer(self.rows.div_ceil(8))
    }

    /// The place of the offsets of one list per row. The first offset stands there already.
    #[inline]
    pub fn offsets(&mut self) -> &'a mut [i32] {
        self.buffer(self.rows + 1)
    }

    /// Where the next buffer begins, in words.
    pub fn end(&self) -> usize {
        self.end
    }
}

/// A buffer whose size shows only when all rows are there.
pub struct Tail {
    /// The word of the places in front of which it belongs.
    pub before: usize,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// The whole slab: the places and between them the tails, which stand in the order of their columns.
pub fn join(places: Vec<u64>, tails: Vec<Tail>) -> Vec<u64> {
    if tails.is_empty() {
        return places;
    }
    let more: usize = tails.iter().map(|tail| Places::words::<u8>(tail.bytes.len())).sum();
    let mut words = Vec::with_capacity(places.len() + more);
    let mut from = 0;
    for Tail { before, bytes } in tails {
        words.extend_from_slice(&places[from..before]);
        from = before;
        let (whole, rest) = bytes.as_chunks::<8>();
        words.extend(whole.iter().map(|word| u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            words.push(u64::from_le_bytes(last));
        }
    }
    words.extend_from_slice(&places[from..]);
    words
}

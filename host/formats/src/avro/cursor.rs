//! The bytes of a value, from the front.

use crate::error::Reason;

/// What is left of a value.
pub(super) struct Cursor<'v>(pub(super) &'v [u8]);

impl<'v> Cursor<'v> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'v [u8], Reason> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Reason::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Reason> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Reason::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }

    /// A number of variable length in zigzag order.
    pub(super) fn long(&mut self) -> Result<i64, Reason> {
        let mut number = 0_u64;
        for (index, byte) in self.0.iter().enumerate() {
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if index == 9 && *byte > 1 {
                return Err(Reason::Number);
            }
            number |= bits << (7 * index);
            if byte & 0x80 == 0 {
                self.0 = &self.0[index + 1..];
                return Ok((number >> 1) as i64 ^ -((number & 1) as i64));
            }
        }
        Err(Reason::Truncated)
    }

    pub(super) fn int(&mut self) -> Result<i32, Reason> {
        i32::try_from(self.long()?).map_err(|_| Reason::Number)
    }

    /// Bytes that are preceded by their number.
    pub(super) fn counted(&mut self) -> Result<&'v [u8], Reason> {
        let length = self.long()?;
        if length < 0 {
            return Err(Reason::Length(length));
        }
        self.take(usize::try_from(length).map_err(|_| Reason::Truncated)?)
    }

    /// As many bytes as the schema says, or else the value.
    pub(super) fn sized(&mut self, size: Option<usize>) -> Result<&'v [u8], Reason> {
        match size {
            Some(size) => self.take(size),
            None => self.counted(),
        }
    }

    /// How many items follow in a list, none at its end.
    pub(super) fn items(&mut self) -> Result<u64, Reason> {
        let count = self.long()?;
        if count < 0 {
            // The size of the items, for those who skip them.
            self.long()?;
        }
        Ok(count.unsigned_abs())
    }
}

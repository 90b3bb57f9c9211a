//! The bytes of states.
//!
//! Everything here is canonical: a value has one encoding, and what is not that encoding is not read. So a state
//! that decodes encodes to the bytes that it came from.

use std::fmt;

/// Bytes that are not a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateError {
    /// The bytes end inside of a value.
    Short {
        /// How many more the value needs.
        bytes: usize,
    },
    /// Bytes follow the state.
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// A value that no state holds, or one that is not in its shortest form.
    Invalid {
        /// What is wrong.
        what: &'static str,
    },
}

impl StateError {
    /// A value that no state holds.
    pub const fn invalid(what: &'static str) -> Self {
        StateError::Invalid { what }
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateError::Short { bytes } => write!(f, "the state ends {bytes} bytes too early"),
            StateError::Trailing { bytes } => write!(f, "{bytes} bytes follow the state"),
            StateError::Invalid { what } => f.write_str(what),
        }
    }
}

impl std::error::Error for StateError {}

/// Reads values in the order in which they were written.
#[derive(Debug, Clone)]
pub struct StateReader<'a> {
    bytes: &'a [u8],
}

impl<'a> StateReader<'a> {
    /// A reader of a state's bytes.
    pub const fn new(bytes: &'a [u8]) -> Self {
        StateReader { bytes }
    }

    /// How many bytes are left.
    pub const fn left(&self) -> usize {
        self.bytes.len()
    }

    /// Checks that nothing is left.
    pub fn finish(self) -> Result<(), StateError> {
        match self.bytes.len() {
            0 => Ok(()),
            bytes => Err(StateError::Trailing { bytes }),
        }
    }

    /// The next bytes.
    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], StateError> {
        let (head, rest) = self.bytes.split_at_checked(count).ok_or_else(|| self.short(count))?;
        self.bytes = rest;
        Ok(head)
    }

    /// The next byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, StateError> {
        let (byte, rest) = self.bytes.split_first().ok_or(StateError::Short { bytes: 1 })?;
        self.bytes = rest;
        Ok(*byte)
    }

    /// The next eight bytes as a little-endian word.
    #[inline]
    pub fn word(&mut self) -> Result<u64, StateError> {
        let (word, rest) = self.bytes.split_first_chunk().ok_or_else(|| self.short(8))?;
        self.bytes = rest;
        Ok(u64::from_le_bytes(*word))
    }

    /// The next number, as [`put_varint`] writes it.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, StateError> {
        match self.bytes.split_first() {
            Some((byte, rest)) if *byte < 0x80 => {
                self.bytes = rest;
                Ok(u64::from(*byte))
            }
            _ => self.varint_long(),
        }
    }

    fn varint_long(&mut self) -> Result<u64, StateError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            value |= bits << shift;
            if byte < 0x80 {
                let fits = value >> shift == bits;
                let shortest = byte != 0 || shift == 0;
                return if fits && shortest { Ok(value) } else { Err(NUMBER) };
            }
        }
        Err(NUMBER)
    }

    /// The next number that is not zero.
    #[inline]
    pub fn positive(&mut self) -> Result<u64, StateError> {
        match self.varint()? {
            0 => Err(StateError::invalid("a count is zero")),
            count => Ok(count),
        }
    }

    /// The next signed number, as [`put_zigzag`] writes it.
    #[inline]
    pub fn zigzag(&mut self) -> Result<i64, StateError> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// The next length of a list whose items take at least so many bytes each, all of which must be there: nobody
    /// reserves memory for items that the state does not have.
    #[inline]
    pub fn length(&mut self, item_bytes_min: usize) -> Result<usize, StateError> {
        let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        let bytes = length.saturating_mul(item_bytes_min);
        if bytes > self.bytes.len() { Err(self.short(bytes)) } else { Ok(length) }
    }

    /// The next text, as [`put_text`] writes it.
    pub fn text(&mut self) -> Result<&'a str, StateError> {
        let length = self.length(1)?;
        std::str::from_utf8(self.take(length)?).map_err(|_| StateError::invalid("a text is not UTF-8"))
    }

    fn short(&self, bytes: usize) -> StateError {
        StateError::Short { bytes: bytes - self.bytes.len() }
    }
}

const NUMBER: StateError = StateError::invalid("a number is not in its shortest form or has more than 64 bits");

/// Writes a number in groups of seven bits, the lowest first, in as few bytes as possible.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes a signed number as a varint in which the sign is the lowest bit, so that small ones of either sign are
/// short.
#[inline]
pub fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, (value << 1 ^ value >> 63) as u64);
}

/// Writes a text after its length.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip() {
        let powers = (0..64).map(|bit| 1_u64 << bit);
        for value in powers.flat_map(|power| [power - 1, power, power + 1]).chain([u64::MAX]) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            put_zigzag(&mut bytes, value as i64);
            let mut reader = StateReader::new(&bytes);
            assert_eq!(reader.varint(), Ok(value));
            assert_eq!(reader.zigzag(), Ok(value as i64));
            assert_eq!(reader.finish(), Ok(()));
        }
    }

    #[test]
    fn a_number_has_one_form() {
        let read = |bytes: &[u8]| StateReader::new(bytes).varint();
        assert_eq!(read(&[0x80, 0x00]), Err(NUMBER));
        let mut largest = [0xFF; 10];
        largest[9] = 1;
        assert_eq!(read(&largest), Ok(u64::MAX));
        largest[9] = 2;
        assert_eq!(read(&largest), Err(NUMBER));
        assert_eq!(read(&[0xFF; 11]), Err(NUMBER));
        assert_eq!(read(&[0xFF]), Err(StateError::Short { bytes: 1 }));
    }

    #[test]
    fn a_length_is_held_against_the_bytes_that_are_there() {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, u64::MAX);
        assert!(matches!(StateReader::new(&bytes).length(8), Err(StateError::Short { .. })));
        assert_eq!(StateReader::new(&[2, 0, 0, 0]).length(2), Err(StateError::Short { bytes: 1 }));
        assert_eq!(StateReader::new(&[2, 0, 0, 0, 0]).length(2), Ok(2));
    }

    #[test]
    fn errors_name_what_is_wrong() {
        assert_eq!(StateError::Short { bytes: 3 }.to_string(), "the state ends 3 bytes too early");
        assert_eq!(StateError::Trailing { bytes: 2 }.to_string(), "2 bytes follow the state");
        assert_eq!(StateReader::new(&[1, 0xFF]).text().unwrap_err().to_string(), "a text is not UTF-8");
    }
}

//! What stands before a value whose schema is in a registry.

use crate::error::Reason;

/// The first byte.
const MAGIC: u8 = 0;
/// How many messages may be nested: no compiler of Protobuf takes more.
const INDEXES_MAX: u64 = 64;

/// The id of the schema, and what follows it.
pub(crate) fn schema_id(value: &[u8]) -> Result<(u32, &[u8]), Reason> {
    match value {
        [MAGIC, a, b, c, d, rest @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), rest)),
        [] | [MAGIC, ..] => Err(Reason::ShortHeader { bytes: value.len() }),
        [found, ..] => Err(Reason::MagicByte { found: *found }),
    }
}

/// Which message of its file a Protobuf value is: the index among the messages of the file, then that among the
/// messages in it, and so on. An empty list stands for the first message of the file, which is so common.
pub(crate) fn message_indexes(rest: &[u8]) -> Result<(Vec<usize>, &[u8]), Reason> {
    let no = |what: &str| Reason::MessageIndexes(what.to_owned());
    let (count, mut rest) = varint(rest).ok_or_else(|| no("has no number of members"))?;
    if count == 0 {
        return Ok((vec![0], rest));
    }
    if count < 0 || count.unsigned_abs() > INDEXES_MAX {
        return Err(Reason::MessageIndexes(format!("has {count} members")));
    }
    let mut indexes = Vec::new();
    for _ in 0..count {
        let index;
        (index, rest) = varint(rest).ok_or_else(|| no("ends in the middle or has a number that is too large"))?;
        indexes.push(usize::try_from(index).map_err(|_| no("has an index below zero"))?);
    }
    Ok((indexes, rest))
}

/// A number of variable length in zigzag order, and what follows it.
fn varint(mut bytes: &[u8]) -> Option<(i64, &[u8])> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        bytes = rest;
        // The tenth byte has room for one bit.
        if shift == 63 && *byte > 1 {
            return None;
        }
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(((number >> 1) as i64 ^ -((number & 1) as i64), bytes));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_zero_and_an_id() {
        assert_eq!(schema_id(&[0, 1, 2, 3, 4, 5]), Ok((0x0102_0304, &[5][..])));
        assert_eq!(schema_id(&[0, 255, 255, 255, 255]), Ok((u32::MAX, &[][..])));
        for length in 0..5 {
            assert_eq!(schema_id(&[0; 5][..length]), Err(Reason::ShortHeader { bytes: length }));
        }
        assert_eq!(schema_id(b"{\"a\":1}"), Err(Reason::MagicByte { found: b'{' }));
    }

    #[test]
    fn indexes_are_zigzag_and_an_empty_list_is_the_first_message() {
        assert_eq!(message_indexes(&[0, 9]), Ok((vec![0], &[9][..])));
        assert_eq!(message_indexes(&[2, 0, 9]), Ok((vec![0], &[9][..])));
        assert_eq!(message_indexes(&[4, 2, 4]), Ok((vec![1, 2], &[][..])));
        assert_eq!(message_indexes(&[2, 0x80, 0x02]), Ok((vec![128], &[][..])));
        for bad in [&[][..], &[4, 2], &[0x80], &[1], &[2, 1], &[0xff; 11], &[0xfe, 0xff, 0x03, 0]] {
            assert!(matches!(message_indexes(bad), Err(Reason::MessageIndexes(_))), "{bad:?}");
        }
    }
}

//! Decimal numbers: an integer in two's complement, the highest byte first, and how many of its digits stand behind the
//! point.

use super::cursor::Cursor;
use crate::error::Reason;
use crate::limits::DECIMAL_BYTES_MAX;
use crate::text;

/// Appends a decimal number with all of its digits. With digits behind the point it is rounded by who reads it as a
/// float; without, it is an integer.
pub(super) fn write(bytes: &[u8], scale: usize, out: &mut Vec<u8>) -> Result<(), Reason> {
    let (is_negative, mut digits) = digits(bytes)?;
    if is_negative {
        out.push(b'-');
    }
    if digits.len() <= scale {
        digits.insert_str(0, &"0".repeat(scale + 1 - digits.len()));
    }
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    out.extend_from_slice(whole.as_bytes());
    if scale > 0 {
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    }
    Ok(())
}

/// Appends a decimal number that brings its scale: the length of the integer, the integer, and the scale. Its power of
/// ten is an exponent, as a value may claim any.
pub(super) fn write_big(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
    let mut cursor = Cursor(bytes);
    let (is_negative, digits) = digits(cursor.counted()?)?;
    let scale = cursor.long()?;
    if !cursor.0.is_empty() {
        return Err(Reason::LeftOver { bytes: cursor.0.len() });
    }
    if is_negative {
        out.push(b'-');
    }
    out.extend_from_slice(digits.as_bytes());
    if scale != 0 {
        out.push(b'e');
        text::write(&scale.checked_neg().ok_or(Reason::Number)?, out);
    }
    Ok(())
}

/// The digits of an integer, without zeros before them, and whether it is below zero.
fn digits(bytes: &[u8]) -> Result<(bool, String), Reason> {
    const GROUP: u64 = 1_000_000_000;
    if bytes.len() > DECIMAL_BYTES_MAX {
        return Err(Reason::Decimal(bytes.len()));
    }
    let is_negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let mut magnitude = bytes.to_vec();
    if is_negative {
        let mut carry = true;
        for byte in magnitude.iter_mut().rev() {
            (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
        }
    }
    let mut groups = Vec::new();
    while magnitude.iter().any(|byte| *byte != 0) {
        let mut rest = 0;
        for byte in &mut magnitude {
            let part = rest << 8 | u64::from(*byte);
            *byte = (part / GROUP) as u8;
            rest = part % GROUP;
        }
        groups.push(rest);
    }
    let mut groups = groups.into_iter().rev();
    let mut digits = groups.next().unwrap_or_default().to_string();
    groups.for_each(|group| digits.push_str(&format!("{group:09}")));
    Ok((is_negative, digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], scale: usize, expected: &str) {
        let mut out = Vec::new();
        write(bytes, scale, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn every_digit_is_kept() {
        check(&[], 0, "0");
        check(&[], 2, "0.00");
        check(&[0], 3, "0.000");
        check(&[5], 1, "0.5");
        check(&[0xff], 2, "-0.01");
        check(&[0x80], 0, "-128");
        check(&[0x80, 0], 3, "-32.768");
        check(&[0, 0, 0x30, 0x39], 2, "123.45");
        check(&i128::MAX.to_be_bytes(), 0, &i128::MAX.to_string());
        check(&i128::MIN.to_be_bytes(), 0, &i128::MIN.to_string());
        check(&1_000_000_000_000_000_000_i64.to_be_bytes(), 9, "1000000000.000000000");
        assert_eq!(write(&[1; DECIMAL_BYTES_MAX + 1], 0, &mut Vec::new()), Err(Reason::Decimal(257)));
    }

    #[test]
    fn integers_of_all_sizes_are_what_they_are() {
        let mut number = 1_i128;
        for step in 0..500_i128 {
            number = number.wrapping_mul(3).wrapping_add(step) ^ (number >> 61);
            let number = number >> (step % 120);
            check(&number.to_be_bytes(), 0, &number.to_string());
        }
    }

    #[test]
    fn a_number_with_its_own_scale_has_an_exponent() {
        for (bytes, expected) in [
            (&[2, 5, 0][..], "5"),
            (&[2, 5, 4], "5e-2"),
            (&[2, 0xfb, 3], "-5e2"),
            (&[0, 0], "0"),
            (&[2, 1, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], "1e-9223372036854775807"),
        ] {
            let mut out = Vec::new();
            write_big(bytes, &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
        assert_eq!(write_big(&[2, 5], &mut Vec::new()), Err(Reason::Truncated));
        assert_eq!(write_big(&[4, 5], &mut Vec::new()), Err(Reason::Truncated));
        assert_eq!(write_big(&[2, 5, 0, 0], &mut Vec::new()), Err(Reason::LeftOver { bytes: 1 }));
    }
}

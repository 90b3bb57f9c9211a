//! Values as JSON text, in the conventions of event files.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::error::Reason;

/// Appends what JSON itself has: integers, bools, texts, and finite floats, which get the fewest digits that name them
/// and always a point or an exponent.
pub(crate) fn write<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    // Neither these values nor a vector can fail.
    let _ = serde_json::to_writer(out, value);
}

/// Appends a float. NaN and the infinities are texts.
///
/// A float32 is written as the float64 that equals it. Whoever wants a float64 gets just that; and whoever wants a
/// float32 rounds a text that is nearer to it than the distance to any other by far.
pub(crate) fn write_float(value: f64, out: &mut Vec<u8>) {
    match value {
        value if value.is_nan() => out.extend_from_slice(b"\"NaN\""),
        f64::INFINITY => out.extend_from_slice(b"\"Infinity\""),
        f64::NEG_INFINITY => out.extend_from_slice(b"\"-Infinity\""),
        value => write(&value, out),
    }
}

/// Appends a text, given as bytes.
pub(crate) fn write_utf8(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
    write(std::str::from_utf8(bytes).map_err(|_| Reason::Utf8)?, out);
    Ok(())
}

/// Appends bytes as base64: the standard alphabet, with padding.
pub(crate) fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let begin = out.len();
    out.resize(begin + bytes.len().div_ceil(3) * 4, 0);
    // The room is what the encoding takes.
    let _ = STANDARD.encode_slice(bytes, &mut out[begin..]);
    out.push(b'"');
}

/// The key of a field, with its colon.
pub(crate) fn key(name: &str) -> Vec<u8> {
    let mut key = Vec::new();
    write(name, &mut key);
    key.push(b':');
    key
}

/// Appends a comma, unless something begins here.
pub(crate) fn separate(out: &mut Vec<u8>) {
    if !matches!(out.last(), Some(b'{' | b'[')) {
        out.push(b',');
    }
}

/// The beginning of a text, for errors.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: f64, expected: &str) {
        let mut out = Vec::new();
        write_float(value, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_float_is_told_from_an_integer() {
        check(0.0, "0.0");
        check(-0.0, "-0.0");
        check(0.1, "0.1");
        check(f64::from(0.1_f32), "0.10000000149011612");
        check(1e15, "1000000000000000.0");
        check(f64::NAN, "\"NaN\"");
        check(-f64::NAN, "\"NaN\"");
        check(f64::NEG_INFINITY, "\"-Infinity\"");
        for value in [1e16, 1e300, f64::MAX, f64::MIN_POSITIVE, 5e-324, 9_007_199_254_740_993.0] {
            let mut out = Vec::new();
            write_float(value, &mut out);
            let text = String::from_utf8(out).unwrap();
            assert!(text.contains(['.', 'e']), "{text}");
            assert_eq!(text.parse(), Ok(value));
        }
    }
}

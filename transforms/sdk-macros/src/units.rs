//! Durations and sizes, as authors write them.

use syn::{Error, LitStr, Result};

const DURATION: &str = "write a whole number and a unit - s, m, h or d - as in \"30d\"";
const SIZE: &str = "write a whole number and a unit - KiB, MiB or GiB - as in \"64MiB\"";

/// The seconds of a duration such as `"30d"`.
pub(crate) fn seconds(text: &LitStr) -> Result<u64> {
    duration(&text.value())
        .ok_or_else(|| Error::new(text.span(), format!("`{}` is not a duration: {DURATION}", text.value())))
}

/// The seconds of a duration, if it is one.
pub(crate) fn duration(text: &str) -> Option<u64> {
    parse(text, &[("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)])
}

/// The bytes of a size such as `"64MiB"`.
pub(crate) fn bytes(text: &LitStr) -> Result<u64> {
    parse(&text.value(), &[("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)])
        .ok_or_else(|| Error::new(text.span(), format!("`{}` is not a size: {SIZE}", text.value())))
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let factor = units.iter().find(|(name, _)| *name == unit)?.1;
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proc_macro2::Span;

    fn literal(text: &str) -> LitStr {
        LitStr::new(text, Span::call_site())
    }

    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, expected) in [("45s", 45), ("5m", 300), ("2h", 7_200), ("30d", 2_592_000), ("0s", 0)] {
            assert_eq!(seconds(&literal(text)).unwrap(), expected, "{text}");
        }
        for text in ["", "5", "m", "5 m", "-5m", "1.5h", "5min", "5M", "99999999999999999999s", "213503982334602d"]
        {
            assert!(seconds(&literal(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_a_number_and_a_unit() {
        assert_eq!(bytes(&literal("64MiB")).unwrap(), 64 << 20);
        assert_eq!(bytes(&literal("8192KiB")).unwrap(), 8 << 20);
        for text in ["64", "64MB", "64 MiB", "MiB"] {
            assert!(bytes(&literal(text)).is_err(), "{text}");
        }
    }
}

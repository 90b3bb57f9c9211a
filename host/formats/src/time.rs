//! Times as text: what the readers of event files take for a timestamp and for nothing else.

use trifold_model::calendar::civil_from_days;

const DAY_SECONDS: i64 = 86_400;

/// What a number of a time counts since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Days,
    Millis,
    Micros,
    Nanos,
}

/// Appends the time that a number names.
pub(crate) fn write(count: i64, unit: Unit, out: &mut Vec<u8>) {
    let (seconds, nanos) = match unit {
        Unit::Days => (count.saturating_mul(DAY_SECONDS), 0),
        Unit::Millis => (count.div_euclid(1_000), count.rem_euclid(1_000) * 1_000_000),
        Unit::Micros => (count.div_euclid(1_000_000), count.rem_euclid(1_000_000) * 1_000),
        Unit::Nanos => (count.div_euclid(1_000_000_000), count.rem_euclid(1_000_000_000)),
    };
    write_instant(seconds, nanos, out);
}

/// Appends a time as RFC 3339 text: with six digits of fraction, or with nine where there is a fraction of a
/// microsecond, which is for the reader to refuse. Outside the years 0 to 9999, for which there is no such text, it is
/// the number of microseconds; no unit that reaches so far has fractions of those.
pub(crate) fn write_instant(seconds: i64, nanos: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil_from_days(seconds.div_euclid(DAY_SECONDS));
    if !(0..=9999).contains(&year) {
        let micros = i128::from(seconds) * 1_000_000 + i128::from(nanos / 1_000);
        out.extend_from_slice(micros.to_string().as_bytes());
        return;
    }
    let of_day = seconds.rem_euclid(DAY_SECONDS);
    out.push(b'"');
    digits(year, 4, out);
    for (sign, number) in
        [(b'-', month), (b'-', day), (b'T', of_day / 3600), (b':', of_day / 60 % 60), (b':', of_day % 60)]
    {
        out.push(sign);
        digits(number, 2, out);
    }
    out.push(b'.');
    if nanos % 1_000 == 0 {
        digits(nanos / 1_000, 6, out)
    } else {
        digits(nanos, 9, out)
    }
    out.extend_from_slice(b"Z\"");
}

/// Appends a number with zeros before it.
fn digits(number: i64, count: u32, out: &mut Vec<u8>) {
    for place in (0..count).rev() {
        out.push(b'0' + (number / 10_i64.pow(place) % 10) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(count: i64, unit: Unit, expected: &str) {
        let mut out = Vec::new();
        write(count, unit, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_time_is_text_that_names_it() {
        check(0, Unit::Days, "\"1970-01-01T00:00:00.000000Z\"");
        check(-1, Unit::Days, "\"1969-12-31T00:00:00.000000Z\"");
        check(11_016, Unit::Days, "\"2000-02-29T00:00:00.000000Z\"");
        check(1_357_035_300_007, Unit::Millis, "\"2013-01-01T10:15:00.007000Z\"");
        check(-1, Unit::Micros, "\"1969-12-31T23:59:59.999999Z\"");
        check(1_000, Unit::Nanos, "\"1970-01-01T00:00:00.000001Z\"");
        check(-1, Unit::Nanos, "\"1969-12-31T23:59:59.999999999Z\"");
        check(253_402_300_799_999, Unit::Millis, "\"9999-12-31T23:59:59.999000Z\"");
    }

    #[test]
    fn beyond_the_years_of_text_it_is_a_number() {
        check(253_402_300_800_000, Unit::Millis, "253402300800000000");
        check(-62_167_219_200_001, Unit::Millis, "-62167219200001000");
        check(i64::MAX, Unit::Millis, "9223372036854775807000");
        check(i64::MIN, Unit::Micros, "-9223372036854775808");
        check(i64::from(i32::MAX), Unit::Days, "185542587100800000000");
        check(i64::MAX, Unit::Nanos, "\"2262-04-11T23:47:16.854775807Z\"");
    }
}

//! Times as RFC 3339 text.

use trifold_model::calendar::{civil_from_days, days_from_civil};

/// A day in microseconds.
pub(crate) const DAY_MICROS: i64 = 86_400_000_000;

/// The times that an event may have: the years 1 to 9999.
pub const YEARS_1_TO_9999: std::ops::RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

/// The microseconds since 1970-01-01T00:00:00Z that an RFC 3339 text names, or what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<i64, &'static str> {
    const FORM: &str = "is not a time of the form 2013-01-01T10:15:00Z";
    let mut cursor = Cursor(text.as_bytes());
    let form = |part: Option<i64>| part.ok_or(FORM);
    let year = form(cursor.digits(4))?;
    let month = form(cursor.after(b"-", 2))?;
    let day = form(cursor.after(b"-", 2))?;
    let hour = form(cursor.after(b"Tt ", 2))?;
    let minute = form(cursor.after(b":", 2))?;
    let second = form(cursor.after(b":", 2))?;
    let micros = cursor.fraction()?;
    let offset = cursor.offset().filter(|_| cursor.0.is_empty()).ok_or(FORM)?;
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return Err("names a day that does not exist");
    }
    if hour > 23 || minute > 59 || second > 59 {
        return Err("names a time of day that does not exist (leap seconds do not)");
    }
    let seconds = (hour * 60 + minute - offset) * 60 + second;
    Ok(days_from_civil(year, month, day) * DAY_MICROS + seconds * 1_000_000 + micros)
}

/// The RFC 3339 text of a time with six digits of fraction, or `None` outside the years 0 to 9999.
pub(crate) fn format(micros: i64) -> Option<String> {
    let mut text = String::with_capacity("2013-01-01T10:15:00.000000Z".len());
    write(micros, &mut text).then_some(text)
}

/// Appends that text, unless there is none.
pub(crate) fn write(micros: i64, out: &mut String) -> bool {
    let (year, month, day) = civil_from_days(micros.div_euclid(DAY_MICROS));
    if !(0..=9999).contains(&year) {
        return false;
    }
    let of_day = micros.rem_euclid(DAY_MICROS);
    let (seconds, fraction) = (of_day / 1_000_000, of_day % 1_000_000);
    // Rows have several times each, and formatting takes ten times as long.
    let mut pair = |number: i64, end: &str| {
        out.push(char::from(b'0' + (number / 10 % 10) as u8));
        out.push(char::from(b'0' + (number % 10) as u8));
        out.push_str(end);
    };
    pair(year / 100, "");
    pair(year % 100, "-");
    pair(month, "-");
    pair(day, "T");
    pair(seconds / 3_600, ":");
    pair(seconds / 60 % 60, ":");
    pair(seconds % 60, ".");
    pair(fraction / 10_000, "");
    pair(fraction / 100 % 100, "");
    pair(fraction % 100, "Z");
    true
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        digits
            .iter()
            .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
    }

    fn one_of(&mut self, choices: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        if !choices.contains(first) {
            return None;
        }
        self.0 = rest;
        Some(*first)
    }

    fn after(&mut self, choices: &[u8], count: usize) -> Option<i64> {
        self.one_of(choices)?;
        self.digits(count)
    }

    /// The microseconds of a fraction of a second, none of which may be lost.
    fn fraction(&mut self) -> Result<i64, &'static str> {
        if self.one_of(b".").is_none() {
            return Ok(0);
        }
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        if digits.is_empty() {
            return Err("has a fraction without digits");
        }
        if digits.iter().skip(6).any(|digit| *digit != b'0') {
            return Err("has a fraction of a microsecond");
        }
        let digits = digits.iter().copied().chain(std::iter::repeat(b'0')).take(6);
        Ok(digits.fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
    }

    /// The minutes that local time is ahead of UTC.
    fn offset(&mut self) -> Option<i64> {
        let sign = match self.one_of(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Some(0),
        };
        let hours = self.digits(2)?;
        let minutes = self.after(b":", 2)?;
        (hours <= 23 && minutes <= 59).then(|| sign * (hours * 60 + minutes))
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_the_microsecond() {
        for (text, micros) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01t00:00:00.000001z", 1),
            ("1970-01-01 00:00:00.0000010000Z", 1),
            ("1969-12-31T23:59:59.999999Z", -1),
            ("2013-01-01T05:15:00-05:00", 1_357_035_300_000_000),
            ("2000-02-29T00:00:00+00:00", 951_782_400_000_000),
            ("0001-01-01T00:00:00Z", *YEARS_1_TO_9999.start()),
            ("9999-12-31T23:59:59.999999Z", *YEARS_1_TO_9999.end()),
        ] {
            assert_eq!(parse(text), Ok(micros), "{text}");
        }
    }

    #[test]
    fn other_text_is_refused() {
        for (text, problem) in [
            ("", "form"),
            ("2013-01-01", "form"),
            ("2013-01-01T10:15:00", "form"),
            ("2013-01-01T10:15:00Zx", "form"),
            ("2013-01-01T10:15:00+24:00", "form"),
            ("2013-01-01T10:15Z", "form"),
            ("+013-01-01T10:15:00Z", "form"),
            ("2013-02-29T10:15:00Z", "day"),
            ("2013-13-01T10:15:00Z", "day"),
            ("2013-01-01T24:00:00Z", "time of day"),
            ("2016-12-31T23:59:60Z", "leap"),
            ("2013-01-01T10:15:00.Z", "without digits"),
            ("2013-01-01T10:15:00.0000001Z", "fraction of a microsecond"),
        ] {
            assert!(parse(text).is_err_and(|error| error.contains(problem)), "{text}: {:?}", parse(text));
        }
    }

    #[test]
    fn every_day_of_the_calendar_round_trips() {
        let (first, last) = (days_from_civil(0, 1, 1), days_from_civil(9999, 12, 31));
        let mut before = (-1, 12, 31);
        for day in first..=last {
            let civil = civil_from_days(day);
            assert!(civil > before && civil.2 <= days_in_month(civil.0, civil.1), "{before:?} {civil:?}");
            assert_eq!(days_from_civil(civil.0, civil.1, civil.2), day);
            before = civil;
        }
        let text = format(last * DAY_MICROS + 1).unwrap();
        assert_eq!(text, "9999-12-31T00:00:00.000001Z");
        assert_eq!(parse(&text), Ok(last * DAY_MICROS + 1));
        assert_eq!(format((last + 1) * DAY_MICROS), None);
        assert_eq!(format(i64::MAX), None);
        assert_eq!(format(i64::MIN), None);
    }
}

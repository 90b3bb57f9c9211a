//! What is generated.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::error::GeneratorError;

const SECOND: i64 = 1_000_000;
const DAY: u64 = 86_400_000_000;

/// How long after it happened a payment may arrive and count in the views of this example, in microseconds.
pub const LATENESS: i64 = 3_600 * SECOND;
/// How far ahead of its arrival a payment may have happened and count in the views of this example, in microseconds.
pub const MAX_EARLY: i64 = 60 * SECOND;

/// 2026-01-01T00:00:00Z.
pub(crate) const START: i64 = 1_767_225_600 * SECOND;
/// Ten years fit any use, and every event time stays well within the years that logs may hold.
const DAYS_MAX: u64 = 3_650;
/// So that there are microseconds between two payments.
const PER_DAY: RangeInclusive<u64> = 1..=DAY / 10;

/// What is generated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// All chance comes from here.
    pub seed: u64,
    /// How many events, copies included.
    pub events: u64,
    /// How many cards there are. Some of them may not pay.
    pub cards: u64,
    /// How many merchants there are.
    pub merchants: u64,
    /// How many payments happen in a day.
    pub per_day: u64,
    /// How many payments are not as they should be.
    pub shares: Shares,
}

/// How many payments are not as they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// Arrives seconds or minutes after younger ones, and counts.
    pub out_of_order: Share,
    /// Arrives more than [`LATENESS`] after it happened.
    pub late: Share,
    /// Happened more than [`MAX_EARLY`] after its arrival, by a clock that is ahead.
    pub early: Share,
    /// Arrives twice.
    pub duplicate: Share,
    /// Arrives twice, the second time with another amount.
    pub conflicting: Share,
}

/// A part of all payments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Share {
    per_million: u32,
}

impl Share {
    const WHOLE: u32 = 1_000_000;

    /// So many of a million.
    pub const fn per_million(per_million: u32) -> Self {
        Share { per_million }
    }

    /// So many of a hundred.
    pub const fn percent(percent: u32) -> Self {
        Share { per_million: percent * 10_000 }
    }

    /// Its numbers among the first million: those from the end of the shares before it.
    pub(crate) fn after(self, end: &mut u64) -> std::ops::Range<u64> {
        let start = *end;
        *end += u64::from(self.per_million);
        start..*end
    }
}

/// Percent with up to four decimals, as in `1%` or `0.25`.
impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no share: write it as in `1%` or `0.25%`, with up to four decimals");
        let number = text.strip_suffix('%').unwrap_or(text);
        let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
        let is_number = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
        if whole.is_empty() || decimals.len() > 4 || !is_number(whole) || !is_number(decimals) {
            return Err(wrong());
        }
        let per_million = format!("{whole}{decimals:0<4}").parse().map_err(|_| wrong())?;
        if per_million > Share::WHOLE {
            return Err(format!("`{text}` is more than all"));
        }
        Ok(Share { per_million })
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:04}", self.per_million % 10_000);
        let point = if self.per_million.is_multiple_of(10_000) { "" } else { "." };
        write!(f, "{}{point}{}%", self.per_million / 10_000, decimals.trim_end_matches('0'))
    }
}

impl Default for Shares {
    /// A few in a hundred of each, and fewer clocks that are ahead.
    fn default() -> Self {
        Shares {
            out_of_order: Share::percent(3),
            late: Share::percent(1),
            early: Share::per_million(1_000),
            duplicate: Share::percent(1),
            conflicting: Share::per_million(1_000),
        }
    }
}

impl Default for Config {
    /// A million payments of a hundred thousand cards in a bit more than a day.
    fn default() -> Self {
        Config {
            seed: 7,
            events: 1_000_000,
            cards: 100_000,
            merchants: 5_000,
            per_day: 864_000,
            shares: Shares::default(),
        }
    }
}

impl Config {
    /// Fails on what cannot be generated.
    pub fn check(&self) -> Result<(), GeneratorError> {
        for (what, count) in [("events", self.events), ("cards", self.cards), ("merchants", self.merchants)] {
            // Cards and merchants are drawn from powers of two.
            if !(1..=1 << 62).contains(&count) {
                return Err(GeneratorError::Count { what, count });
            }
        }
        if !PER_DAY.contains(&self.per_day) {
            return Err(GeneratorError::PerDay { per_day: self.per_day, most: *PER_DAY.end() });
        }
        if self.events.div_ceil(self.per_day) > DAYS_MAX {
            return Err(GeneratorError::Days { events: self.events, per_day: self.per_day, most: DAYS_MAX });
        }
        let Shares { out_of_order, late, early, duplicate, conflicting } = self.shares;
        let sums = [
            ("out of order, late and early", &[out_of_order, late, early][..]),
            ("duplicate and conflicting", &[duplicate, conflicting]),
        ];
        for (what, shares) in sums {
            if shares.iter().map(|share| u64::from(share.per_million)).sum::<u64>() > Share::WHOLE.into() {
                return Err(GeneratorError::Shares { what });
            }
        }
        Ok(())
    }

    /// The time between two payments on average, in microseconds.
    pub(crate) fn gap(&self) -> u64 {
        DAY / self.per_day
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_written_in_percent() {
        let parsed = |text: &str| text.parse::<Share>().map(|share| share.to_string());
        for (text, told) in
            [("1%", "1%"), ("0.25", "0.25%"), ("0%", "0%"), ("100%", "100%"), ("0.0001%", "0.0001%")]
        {
            assert_eq!(parsed(text).as_deref(), Ok(told));
        }
        for wrong in ["", "%", "-1%", "1.00001%", "one", "1,5%", ".5%", "100.1%", "99999999999999%"] {
            assert!(parsed(wrong).unwrap_err().contains(wrong), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_generated_is_refused() {
        let all = Share::percent(100);
        let cases = [
            (Config { cards: 0, ..Config::default() }, "0 cards"),
            (Config { per_day: 0, ..Config::default() }, "0 payments in a day"),
            (Config { per_day: 1, ..Config::default() }, "would take more than 3650 days"),
            (Config { shares: Shares { late: all, ..Shares::default() }, ..Config::default() }, "late"),
            (Config { shares: Shares { duplicate: all, ..Shares::default() }, ..Config::default() }, "duplicate"),
        ];
        for (config, part) in cases {
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        Config::default().check().unwrap();
    }
}

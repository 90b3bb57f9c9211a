//! Moments.

const HOUR: i64 = 3_600_000_000;

/// A moment: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment so many microseconds after 1970-01-01T00:00:00Z.
    pub const fn from_micros(micros: i64) -> Self {
        Timestamp(micros)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The hour of the week in UTC: 0 is Monday from midnight to one, 167 the last hour of Sunday.
    pub const fn hour_of_week(self) -> i64 {
        // 1970-01-01 was a Thursday, three days into its week.
        (self.0.div_euclid(HOUR) + 3 * 24).rem_euclid(7 * 24)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_begin_on_monday() {
        let day = 24 * HOUR;
        assert_eq!(Timestamp(0).hour_of_week(), 72);
        assert_eq!(Timestamp(-3 * day).hour_of_week(), 0);
        assert_eq!(Timestamp(-3 * day - 1).hour_of_week(), 167);
        // Tuesday, 2013-01-01T10:15:00Z.
        assert_eq!(Timestamp(1_357_035_300_000_000).hour_of_week(), 34);
    }
}

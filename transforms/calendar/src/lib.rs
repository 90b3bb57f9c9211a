//! Where a moment stands in the week, the day and the year, in UTC and by integer arithmetic alone.

use trifold_sdk::prelude::*;

/// The code of a moment whose day begins before the first that a timestamp can name.
pub const TOO_EARLY: u16 = 1;

const HOURS_PER_DAY: i64 = 24;
const DAY: i64 = HOURS_PER_DAY * 3_600_000_000;

/// A moment of something.
#[derive(Input)]
pub struct Moment<'a> {
    /// What it is the moment of.
    #[entity]
    pub id: &'a str,
    /// The moment.
    pub at: Timestamp,
}

/// Where it stands.
#[derive(Output)]
pub struct Calendar {
    /// 0 is Monday from midnight to one, 167 the last hour of Sunday.
    pub hour_of_week: i64,
    /// 0 to 23.
    pub hour_of_day: i64,
    /// 0 is Monday.
    pub day_of_week: i64,
    /// Saturday or Sunday.
    pub is_weekend: bool,
    /// The midnight before, or the moment itself.
    pub day_start: Timestamp,
    /// The year of the Gregorian calendar; 0 is the year before 1.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day_of_month: i64,
}

/// Where the latest moment stands in the week, the day and the year, in UTC.
#[row_view]
pub fn calendar(moment: Moment<'_>) -> Result<Calendar, RowError> {
    let day = moment.at.micros().div_euclid(DAY);
    let day_start = day.checked_mul(DAY).ok_or_else(|| {
        RowError::new(TOO_EARLY, format!("{} microseconds lie in a day without a start", moment.at.micros()))
    })?;
    let hour_of_week = moment.at.hour_of_week();
    let day_of_week = hour_of_week / HOURS_PER_DAY;
    let (year, month, day_of_month) = civil(day);
    Ok(Calendar {
        hour_of_week,
        hour_of_day: hour_of_week % HOURS_PER_DAY,
        day_of_week,
        is_weekend: day_of_week >= 5,
        day_start: Timestamp::from_micros(day_start),
        year,
        month,
        day_of_month,
    })
}

/// Year, month and day of a count of days since 1970-01-01. Years are counted from March, so that the leap day
/// is the last of its year and every month's start is a linear function of its number.
fn civil(days: i64) -> (i64, i64, i64) {
    const ERA: i64 = 146_097; // 400 years
    let from_march_of_year_0 = days + 719_468;
    let era = from_march_of_year_0.div_euclid(ERA);
    let day_of_era = from_march_of_year_0.rem_euclid(ERA);
    let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Result<Calendar, RowError> {
        calendar(Moment { id: "m", at: Timestamp::from_micros(micros) })
    }

    #[track_caller]
    fn check(micros: i64, date: (i64, i64, i64), day_of_week: i64, hour: i64) {
        let calendar = at(micros).unwrap();
        assert_eq!((calendar.year, calendar.month, calendar.day_of_month), date);
        assert_eq!((calendar.day_of_week, calendar.hour_of_day), (day_of_week, hour));
        assert_eq!(calendar.hour_of_week, day_of_week * 24 + hour);
        assert_eq!(calendar.is_weekend, day_of_week >= 5);
        assert_eq!(calendar.day_start.micros(), micros - micros.rem_euclid(DAY));
    }

    #[test]
    fn known_days() {
        check(0, (1970, 1, 1), 3, 0);
        check(-1, (1969, 12, 31), 2, 23);
        check(1_357_035_300_000_000, (2013, 1, 1), 1, 10);
        check(951_782_400_000_000, (2000, 2, 29), 1, 0);
        check(4_107_542_399_999_999, (2100, 2, 28), 6, 23);
        check(-62_135_596_800_000_000, (1, 1, 1), 0, 0);
        check(i64::MAX, (294_247, 1, 10), 6, 4);
    }

    #[test]
    fn days_follow_each_other() {
        let month_days = |year: i64, month: i64| match month {
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let mut expected = (1599, 1, 1);
        for day in -135_505..300_000 {
            assert_eq!(civil(day), expected, "day {day}");
            let (year, month, day_of_month) = expected;
            expected = match (month, day_of_month == month_days(year, month)) {
                (_, false) => (year, month, day_of_month + 1),
                (12, true) => (year + 1, 1, 1),
                (_, true) => (year, month + 1, 1),
            };
        }
    }

    #[test]
    fn the_first_day_has_no_start() {
        assert_eq!(at(i64::MIN).map(|_| ()).unwrap_err().code(), TOO_EARLY);
    }
}

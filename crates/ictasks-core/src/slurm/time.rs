//! Slurm's ways to write durations and instants.

use crate::column::Timestamp;

const SECONDS_PER_DAY: i64 = 86_400;

/// Seconds of a time that is left or was used: `5:00`, `1:02:03`, `1-02:03:04`. `None` for words such as
/// `UNLIMITED`, `INVALID`, `NOT_SET`.
pub fn elapsed(text: &str) -> Option<i64> {
    let (days, clock) = days_and_clock(text)?;
    let parts = numbers(clock)?;
    let seconds = match (parts.as_slice(), days) {
        ([minutes, seconds], None) => minutes * 60 + seconds,
        ([hours, minutes, seconds], _) => hours * 3600 + minutes * 60 + seconds,
        _ => return None,
    };
    Some(days.unwrap_or(0) * SECONDS_PER_DAY + seconds)
}

/// Seconds of a time limit as `sbatch --time` takes it: `30` minutes, `30:00`, `1:30:00`, `2-12`, `2-12:30`,
/// `2-12:30:00`.
pub fn limit(text: &str) -> Option<i64> {
    let (days, clock) = days_and_clock(text)?;
    let parts = numbers(clock)?;
    let seconds = match (parts.as_slice(), days) {
        ([minutes], None) => minutes * 60,
        ([minutes, seconds], None) => minutes * 60 + seconds,
        ([hours], Some(_)) => hours * 3600,
        ([hours, minutes], Some(_)) => hours * 3600 + minutes * 60,
        ([hours, minutes, seconds], _) => hours * 3600 + minutes * 60 + seconds,
        _ => return None,
    };
    Some(days.unwrap_or(0) * SECONDS_PER_DAY + seconds)
}

/// Seconds as `sbatch --time` takes them: `1:30:00`, `3-00:00:00`.
pub fn as_limit(seconds: i64) -> String {
    let (days, rest) = (seconds / SECONDS_PER_DAY, seconds % SECONDS_PER_DAY);
    let (hours, minutes, seconds) = (rest / 3600, rest / 60 % 60, rest % 60);
    match days {
        0 => format!("{hours}:{minutes:02}:{seconds:02}"),
        days => format!("{days}-{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

fn days_and_clock(text: &str) -> Option<(Option<i64>, &str)> {
    match text.split_once('-') {
        Some((days, clock)) => Some((Some(number(days)?), clock)),
        None => Some((None, text)),
    }
}

fn numbers(clock: &str) -> Option<Vec<i64>> {
    clock.split(':').map(number).collect()
}

/// Of one to six digits, so that no sum of them can overflow.
fn number(text: &str) -> Option<i64> {
    let is_number = (1..=6).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// An instant that was written in UTC: `2026-11-28T14:00:00`. `None` for words such as `N/A`, `NONE`, `Unknown`.
pub fn instant(text: &str) -> Option<Timestamp> {
    let (date, clock) = text.split_once('T')?;
    let date: Vec<i64> = date.split('-').map(number).collect::<Option<_>>()?;
    let [year, month, day] = *date.as_slice() else { return None };
    let [hour, minute, second] = *numbers(clock)?.as_slice() else { return None };
    let is_valid = (1970..10_000).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    let seconds = days_since_epoch(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    is_valid.then_some(Timestamp(seconds * 1_000_000))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years are counted from March, so that the leap day
/// is the last of a year: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
const fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_squeue_says_is_left() {
        for (text, seconds) in [
            ("5:00", Some(300)),
            ("0:07", Some(7)),
            ("1:02:03", Some(3723)),
            ("1-02:03:04", Some(93_784)),
            ("UNLIMITED", None),
            ("INVALID", None),
            ("NOT_SET", None),
            ("5", None),
            ("1-5:00", None),
            ("", None),
            ("-5:00", None),
            ("1:2:3:4", None),
            ("9999999:00", None),
        ] {
            assert_eq!(elapsed(text), seconds, "{text}");
        }
    }

    /// The forms that the manual of sbatch names.
    #[test]
    fn limits_as_sbatch_takes_them() {
        for (text, seconds) in [
            ("30", Some(1800)),
            ("30:15", Some(1815)),
            ("1:30:00", Some(5400)),
            ("2-12", Some(216_000)),
            ("2-12:30", Some(217_800)),
            ("2-12:30:05", Some(217_805)),
            ("1h", None),
            ("-1", None),
            ("2-", None),
        ] {
            assert_eq!(limit(text), seconds, "{text}");
        }
    }

    #[test]
    fn instants_in_utc() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00", Some(0)),
            ("2000-02-29T23:59:59", Some(951_868_799)),
            ("2026-11-29T15:51:32", Some(1_795_967_492)),
            ("2026-11-28T13:57:15", Some(1_795_874_235)),
            ("2100-03-01T00:00:00", Some(4_107_542_400)),
            ("NONE", None),
            ("N/A", None),
            ("Unknown", None),
            ("2026-13-01T00:00:00", None),
            ("2026-11-28T24:00:00", None),
            ("2026-11-28", None),
        ] {
            assert_eq!(instant(text).map(|at| at.0 / 1_000_000), seconds, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_day_follows_the_other(year in 1970_i64..9999, month in 1_i64..=12) {
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + i64::from(is_leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            let last = days_since_epoch(year, month, length);
            prop_assert_eq!(days_since_epoch(next_year, next_month, 1), last + 1);
            prop_assert_eq!(days_since_epoch(year, month, 1), last + 1 - length);
        }

        #[test]
        fn limits_are_read_as_they_are_written(seconds in 0_i64..1_000_000_000) {
            prop_assert_eq!(limit(&as_limit(seconds)), Some(seconds));
        }

        #[test]
        fn no_text_is_too_strange(text in "[0-9:T-]{0,24}|\\PC{0,24}") {
            let _ = (elapsed(&text), limit(&text), instant(&text));
        }
    }
}

//! When rows of a batch may leave: not before its moment, and only within its hours of the Italian day.

use schemas::ids::Timestamp;
use schemas::records::BatchPlan;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Whether rows may be released now.
#[must_use]
pub fn is_open(plan: &BatchPlan, now: Timestamp) -> bool {
    if plan.not_before.is_some_and(|moment| now < moment) {
        return false;
    }
    let (Some(from), Some(to)) = (plan.window_from, plan.window_to) else { return true };
    let minute = italian_minute(now);
    if from <= to { (from..to).contains(&minute) } else { minute >= from || minute < to }
}

/// The minute of the day on an Italian clock, 0 to 1439.
#[must_use]
pub fn italian_minute(at: Timestamp) -> i32 {
    let hours = if is_summer(at) { 2 } else { 1 };
    let of_day = (at.0 + hours * HOUR_MS).rem_euclid(DAY_MS) / MINUTE_MS;
    i32::try_from(of_day).unwrap_or(0)
}

/// Directive 2000/84/EC: from the last Sunday of March to the last of October, 01:00 UTC both.
fn is_summer(at: Timestamp) -> bool {
    let text = crate::contract::date::format(at);
    let Ok(year) = text[..4].parse::<i64>() else { return false };
    let begins = |month| last_sunday(year, month).map(|day| day.0 + HOUR_MS);
    match (begins(3), begins(10)) {
        (Some(summer), Some(winter)) => (summer..winter).contains(&at.0),
        (None, _) | (_, None) => false,
    }
}

/// The midnight (UTC) that begins the last Sunday of a month of 31 days.
fn last_sunday(year: i64, month: u32) -> Option<Timestamp> {
    let last = crate::contract::date::parse(&format!("{year:04}-{month:02}-31T00:00:00Z"))?;
    // 1 January 1970 was a Thursday.
    let weekday = (last.0.div_euclid(DAY_MS) + 4).rem_euclid(7);
    Some(Timestamp(last.0 - weekday * DAY_MS))
}

/// A time of day, `HH:MM`, in minutes.
#[must_use]
pub fn minute_of(text: &str) -> Option<i32> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| {
        let plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse::<i32>().ok()).flatten()
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    (hour <= 23 && minute <= 59).then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        crate::contract::date::parse(text).unwrap()
    }

    fn plan(not_before: Option<&str>, window: Option<(&str, &str)>) -> BatchPlan {
        BatchPlan {
            created_at: Timestamp(0),
            dry_run: false,
            not_before: not_before.map(at),
            window_from: window.and_then(|(from, _)| minute_of(from)),
            window_to: window.and_then(|(_, to)| minute_of(to)),
            digest: Vec::new(),
            wrapped_key: schemas::records::Sealed::default(),
            settings: schemas::records::Sealed::default(),
        }
    }

    #[test]
    fn the_italian_clock_changes_when_the_directive_says_so() {
        for (utc, clock) in [
            ("2026-01-15T12:00:00Z", "13:00"),
            ("2026-07-15T12:00:00Z", "14:00"),
            ("2026-03-29T00:59:59Z", "01:59"),
            ("2026-03-29T01:00:00Z", "03:00"),
            ("2026-10-25T00:59:59Z", "02:59"),
            ("2026-10-25T01:00:00Z", "02:00"),
            ("2027-03-28T01:00:00Z", "03:00"),
            ("2028-10-29T01:00:00Z", "02:00"),
            ("2026-12-31T23:30:00Z", "00:30"),
        ] {
            assert_eq!(Some(italian_minute(at(utc))), minute_of(clock), "{utc}");
        }
    }

    #[test]
    fn rows_leave_only_within_their_hours_and_not_before_their_moment() {
        let check = |plan: &BatchPlan, utc: &str, open: bool| {
            assert_eq!(is_open(plan, at(utc)), open, "{utc}");
        };
        let always = plan(None, None);
        check(&always, "2026-01-15T03:00:00Z", true);
        let day = plan(None, Some(("08:00", "20:00")));
        check(&day, "2026-01-15T06:59:59Z", false);
        check(&day, "2026-01-15T07:00:00Z", true);
        check(&day, "2026-01-15T18:59:59Z", true);
        check(&day, "2026-01-15T19:00:00Z", false);
        let night = plan(None, Some(("22:00", "06:00")));
        check(&night, "2026-01-15T22:00:00Z", true);
        check(&night, "2026-01-15T04:59:00Z", true);
        check(&night, "2026-01-15T05:00:00Z", false);
        let later = plan(Some("2026-01-16T09:00:00Z"), Some(("08:00", "20:00")));
        check(&later, "2026-01-15T12:00:00Z", false);
        check(&later, "2026-01-16T09:00:00Z", true);
    }

    #[test]
    fn a_time_of_day_has_two_digits_on_either_side() {
        assert_eq!(minute_of("23:59"), Some(1_439));
        for text in ["24:00", "08:60", "8:00", "08:0", "0800", "+8:00", "", "08:00:00"] {
            assert_eq!(minute_of(text), None, "{text}");
        }
    }
}

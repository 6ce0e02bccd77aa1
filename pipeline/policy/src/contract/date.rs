//! Date-times as IO takes and gives them: its two patterns, then a JavaScript date.
//!
//! Source: `dates.ts` of IO's common library and the ECMAScript date-time string format. Days 29 to 31 of a
//! shorter month roll over into the next one, 24:00:00 is the next midnight, fractions are cut to
//! milliseconds, no zone reads as UTC, offsets end at 23:59.

use schemas::ids::Timestamp;

const DAY_MS: i64 = 86_400_000;

/// Reads `YYYY-MM-DDTHH:mm:ss[.f…][Z|±HH:mm]`; `None` when IO would refuse it.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let fixed = bytes.get(..19)?;
    let shaped = fixed.iter().enumerate().all(|(at, byte)| match at {
        4 | 7 => *byte == b'-',
        10 => *byte == b'T',
        13 | 16 => *byte == b':',
        _ => byte.is_ascii_digit(),
    });
    if !shaped {
        return None;
    }
    let Fraction { millis, is_zero, zone } = fraction(&bytes[19..])?;
    let offset_minutes = offset(zone)?;
    let (year, month, day) = (number(&fixed[..4]), number(&fixed[5..7]), number(&fixed[8..10]));
    let (hour, minute, second) =
        (number(&fixed[11..13]), number(&fixed[14..16]), number(&fixed[17..19]));
    let midnight_after = hour == 24 && minute == 0 && second == 0 && is_zero;
    if !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || minute > 59
        || second > 59
        || (hour > 23 && !midnight_after)
    {
        return None;
    }
    let of_day = ((hour * 60 + minute) * 60 + second) * 1000 + millis;
    let days = days_from_civil(year, month, 1) + day - 1;
    Some(Timestamp(days * DAY_MS + of_day - offset_minutes * 60_000))
}

/// The canonical form, always `YYYY-MM-DDTHH:mm:ss.sssZ` for years 0 to 9999; years outside, which only
/// an offset at either end can reach, get JavaScript's six digits and sign.
#[must_use]
pub fn format(at: Timestamp) -> String {
    let (days, of_day) = (at.0.div_euclid(DAY_MS), at.0.rem_euclid(DAY_MS));
    let (year, month, day) = civil_from_days(days);
    let (seconds, millis) = (of_day / 1000, of_day % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let year = match year {
        0..=9999 => format!("{year:04}"),
        _ => format!("{}{:06}", if year < 0 { '-' } else { '+' }, year.abs()),
    };
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

struct Fraction<'a> {
    millis: i64,
    /// All digits, also those that are cut.
    is_zero: bool,
    zone: &'a [u8],
}

/// Milliseconds of an optional fraction, and what follows it.
fn fraction(rest: &[u8]) -> Option<Fraction<'_>> {
    let Some(after) = rest.strip_prefix(b".") else {
        return Some(Fraction { millis: 0, is_zero: true, zone: rest });
    };
    let length = after.iter().take_while(|b| b.is_ascii_digit()).count();
    if length == 0 {
        return None;
    }
    let (digits, zone) = after.split_at(length);
    let millis = (0..3)
        .fold(0, |sum, at| sum * 10 + digits.get(at).map_or(0, |digit| i64::from(digit - b'0')));
    Some(Fraction { millis, is_zero: digits.iter().all(|b| *b == b'0'), zone })
}

fn offset(zone: &[u8]) -> Option<i64> {
    match zone {
        [] | [b'Z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2]
            if [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit()) =>
        {
            let (hours, minutes) = (number(&[*h1, *h2]), number(&[*m1, *m2]));
            let size = hours * 60 + minutes;
            let known = hours <= 23 && minutes <= 59;
            known.then_some(if *sign == b'+' { size } else { -size })
        }
        _ => None,
    }
}

fn number(digits: &[u8]) -> i64 {
    digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'))
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar (Hinnant's algorithm).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_table_of_dates_reads_as_javascript_reads_it() {
        for (text, read) in [
            ("2026-12-31T23:59:59Z", Some("2026-12-31T23:59:59.000Z")),
            ("2026-12-31T23:59:59", Some("2026-12-31T23:59:59.000Z")),
            ("2026-12-31T23:59:59+01:00", Some("2026-12-31T22:59:59.000Z")),
            ("2026-12-31T23:59:59-23:59", Some("2027-01-01T23:58:59.000Z")),
            ("2026-02-30T00:00:00Z", Some("2026-03-02T00:00:00.000Z")),
            ("2024-02-30T00:00:00Z", Some("2024-03-01T00:00:00.000Z")),
            ("2026-06-31T12:00:00Z", Some("2026-07-01T12:00:00.000Z")),
            ("2026-12-31T24:00:00Z", Some("2027-01-01T00:00:00.000Z")),
            ("2026-12-31T23:59:59.123456789Z", Some("2026-12-31T23:59:59.123Z")),
            ("2026-12-31T23:59:59.9Z", Some("2026-12-31T23:59:59.900Z")),
            ("1996-01-01T00:00:00Z", Some("1996-01-01T00:00:00.000Z")),
            ("0000-01-01T00:00:00Z", Some("0000-01-01T00:00:00.000Z")),
            ("9999-12-31T23:59:59-01:00", Some("+010000-01-01T00:59:59.000Z")),
            ("0000-01-01T00:00:00+01:00", Some("-000001-12-31T23:00:00.000Z")),
            ("2026-12-31T24:00:01Z", None),
            ("2026-12-31T24:00:00.0000Z", Some("2027-01-01T00:00:00.000Z")),
            ("2026-12-31T24:00:00.0001Z", None),
            ("2026-12-32T00:00:00Z", None),
            ("2026-12-00T00:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-00-10T00:00:00Z", None),
            ("2026-12-31T23:60:00Z", None),
            ("2026-12-31T23:59:60Z", None),
            ("2026-12-31T23:59:59+25:00", None),
            ("2026-12-31T23:59:59+24:00", None),
            ("2026-12-31T23:59:59+01:60", None),
            ("2026-12-31T23:59:59+0100", None),
            ("2026-12-31T23:59:59.Z", None),
            ("2026-12-31T23:59:59Z\n", None),
            ("2026-12-31T23:59Z", None),
            ("2026-12-31 23:59:59Z", None),
            ("2026-12-31t23:59:59z", None),
            ("2026-12-31", None),
            ("+002026-12-31T23:59:59Z", None),
            ("２026-12-31T23:59:59Z", None),
            ("", None),
        ] {
            assert_eq!(parse(text).map(format).as_deref(), read, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(ms in -62_167_219_200_000_i64..253_402_300_800_000) {
            prop_assert_eq!(parse(&format(Timestamp(ms))), Some(Timestamp(ms)));
        }

        #[test]
        fn a_longer_month_day_is_a_later_day(days in 0_i64..100_000) {
            let (year, month, day) = civil_from_days(days);
            prop_assert_eq!(days_from_civil(year, month, day), days);
        }
    }
}

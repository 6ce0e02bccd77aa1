use std::time::{Duration, SystemTime};

/// The longest wait that [`retry_after`] reports. A provider that names a longer one, or a date
/// in the far future, is taken to mean this: a typing error must not park a queue for years.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads a `Retry-After` value: a number of seconds, or an HTTP date of any of the three forms
/// (RFC 9110 §10.2.3, §5.6.7). A date that has passed means "now"; anything else is `None`.
/// The result is at most [`LONGEST_RETRY_AFTER`]; jitter and deadline are the caller's.
pub fn retry_after(value: &str, now_unix_ms: i64) -> Option<Duration> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are still a number of seconds, only a very large one.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let at = httpdate::parse_http_date(value).ok()?;
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(now_unix_ms.max(0) as u64);
        at.duration_since(now).unwrap_or(Duration::ZERO)
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110.
    const THEN_MS: i64 = 784_111_777_000;

    fn check(value: &str, now_ms: i64, expected: Option<u64>) {
        assert_eq!(retry_after(value, now_ms), expected.map(Duration::from_secs), "{value:?}");
    }

    #[test]
    fn seconds_are_read_as_seconds() {
        check("0", 0, Some(0));
        check("120", 0, Some(120));
        check(" 7 ", 0, Some(7));
    }

    #[test]
    fn all_three_forms_of_an_http_date_are_read() {
        for date in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            check(date, THEN_MS - 90_000, Some(90));
        }
    }

    #[test]
    fn a_date_that_has_passed_means_now() {
        check("Sun, 06 Nov 1994 08:49:37 GMT", THEN_MS + 1, Some(0));
    }

    #[test]
    fn an_absurd_wait_is_cut_to_the_longest() {
        check("99999999999999999999999999", 0, Some(LONGEST_RETRY_AFTER.as_secs()));
        check("Sun, 06 Nov 1994 08:49:37 GMT", 0, Some(LONGEST_RETRY_AFTER.as_secs()));
    }

    #[test]
    fn what_is_neither_is_no_wait_at_all() {
        for value in ["", " ", "-1", "1.5", "soon", "12 s", "1994-11-06T08:49:37Z"] {
            check(value, 0, None);
        }
    }
}

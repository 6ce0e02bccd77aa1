//! How long things are kept, and when nobody can need them any more.

use std::time::Duration;

use schemas::ids::Timestamp;

const DAY_MS: i64 = 86_400_000;

/// The day, counted from 1970 in UTC, under which a message lies that is kept until then. All that lies
/// under a day goes together.
#[must_use]
pub fn day_of(kept_until: Timestamp) -> i64 {
    kept_until.0.div_euclid(DAY_MS)
}

/// Whether everything under `day` may go: the whole day has passed, and `margin` after it, so that no
/// clock that is behind still counts on it.
#[must_use]
pub fn is_over(day: i64, margin: Duration, now: Timestamp) -> bool {
    let ended = Timestamp(day.saturating_add(1).saturating_mul(DAY_MS));
    now >= ended.plus(margin)
}

/// Whether a work that is done every so often is due. A moment in the future was told by a clock that
/// was wrong: then it is due as well.
#[must_use]
pub fn is_due(last: Option<Timestamp>, every: Duration, now: Timestamp) -> bool {
    last.is_none_or(|last| last > now || now.since(last) >= every)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn a_message_lies_under_the_day_on_which_its_time_ends() {
        for (kept_until, day) in [(0, 0), (DAY_MS - 1, 0), (DAY_MS, 1), (-1, -1)] {
            assert_eq!(day_of(Timestamp(kept_until)), day, "{kept_until}");
        }
    }

    #[test]
    fn a_day_is_over_only_after_the_last_of_its_messages_and_the_margin() {
        let check = |day, margin: Duration, now, expected| {
            assert_eq!(is_over(day, margin, Timestamp(now)), expected, "day {day} at {now}");
        };
        check(0, Duration::ZERO, DAY_MS - 1, false);
        check(0, Duration::ZERO, DAY_MS, true);
        check(0, DAY, 2 * DAY_MS - 1, false);
        check(0, DAY, 2 * DAY_MS, true);
        check(i64::MAX, DAY, i64::MAX - 1, false);
        let last = Timestamp(5 * DAY_MS - 1);
        assert!(!is_over(day_of(last), Duration::ZERO, last), "it is still kept");
    }

    #[test]
    fn work_is_due_where_it_was_never_done_or_by_a_clock_that_was_ahead() {
        let check = |last: Option<i64>, now, expected| {
            let due = is_due(last.map(Timestamp), Duration::from_millis(10), Timestamp(now));
            assert_eq!(due, expected, "{last:?} at {now}");
        };
        check(None, 0, true);
        check(Some(100), 109, false);
        check(Some(100), 110, true);
        check(Some(100), 99, true);
    }
}

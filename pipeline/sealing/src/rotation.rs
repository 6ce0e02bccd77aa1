//! When a transit key is due to be followed, and when to be destroyed. Pure arithmetic.

use std::time::Duration;

use schemas::ids::Timestamp;

use crate::key_id::KeyUse;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// One use's rhythm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySchedule {
    /// How long a key wraps before the next one does.
    pub rotate_every: Duration,
    /// How long before its first use a key is published, so that every reader has it in time.
    pub announce_ahead: Duration,
    /// How long what a key wrapped must stay readable after the key's last use.
    pub keep: Duration,
}

impl KeySchedule {
    /// Daily, published a day ahead. `needed`: the longest of retention and time to live plus delay;
    /// a day is added, for clocks and for operators.
    #[must_use]
    pub fn daily(needed: Duration) -> Self {
        Self { rotate_every: DAY, announce_ahead: DAY, keep: needed.saturating_add(DAY) }
    }

    /// When the next key starts, if it is due to be published: at once when there is none yet
    /// (`newest` is the latest start among the keys of this use), else a full `announce_ahead` from
    /// now at the earliest, even when rotation stood still for days.
    #[must_use]
    pub(crate) fn next_start(
        &self,
        newest: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let Some(newest) = newest else { return Some(now) };
        let notice = now.plus(self.announce_ahead);
        let planned = newest.plus(self.rotate_every);
        (planned <= notice).then_some(notice)
    }

    /// The announced end of a key that starts at `start`.
    #[must_use]
    pub(crate) fn destroy_after(&self, start: Timestamp) -> Timestamp {
        start.plus(self.rotate_every).plus(self.keep)
    }

    /// Whether a key may be destroyed: its announced end has passed, and its successor has been in
    /// use for all of `keep`. So a rotation that came late never destroys what is still needed.
    #[must_use]
    pub(crate) fn may_destroy(
        &self,
        destroy_after: Timestamp,
        successor: Option<Timestamp>,
        now: Timestamp,
    ) -> bool {
        destroy_after <= now && successor.is_some_and(|start| start.plus(self.keep) <= now)
    }
}

/// The rhythm of each use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySchedules {
    /// Message keys between ingest and vault, and in stories.
    pub wire: KeySchedule,
    /// Dead letters.
    pub dead_letter: KeySchedule,
    /// Rows of a sender batch that wait for release.
    pub batch_rows: KeySchedule,
}

impl KeySchedules {
    /// The rhythm of one use.
    #[must_use]
    pub fn of(&self, key_use: KeyUse) -> &KeySchedule {
        match key_use {
            KeyUse::Wire => &self.wire,
            KeyUse::DeadLetter => &self.dead_letter,
            KeyUse::BatchRows => &self.batch_rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY_MS: i64 = 24 * 60 * 60 * 1000;

    fn at(days: i64) -> Timestamp {
        Timestamp(days * DAY_MS)
    }

    #[test]
    fn the_first_key_starts_at_once_and_the_second_a_day_later() {
        let daily = KeySchedule::daily(2 * DAY);
        assert_eq!(daily.next_start(None, at(5)), Some(at(5)));
        assert_eq!(daily.next_start(Some(at(5)), at(5)), Some(at(6)));
        assert_eq!(daily.next_start(Some(at(6)), at(5)), None);
        assert_eq!(daily.next_start(Some(at(6)), at(6)), Some(at(7)));
    }

    #[test]
    fn a_late_rotation_still_announces_a_day_ahead() {
        assert_eq!(KeySchedule::daily(DAY).next_start(Some(at(1)), at(9)), Some(at(10)));
    }

    #[test]
    fn a_key_without_successor_is_never_destroyed() {
        let daily = KeySchedule::daily(2 * DAY);
        let end = daily.destroy_after(at(0));
        assert_eq!(end, at(4));
        assert!(!daily.may_destroy(end, None, at(1000)));
        assert!(!daily.may_destroy(end, Some(at(1)), Timestamp(end.0 - 1)));
        assert!(daily.may_destroy(end, Some(at(1)), end));
        assert!(!daily.may_destroy(end, Some(at(3)), at(5)));
        assert!(daily.may_destroy(end, Some(at(3)), at(6)));
    }

    proptest! {
        #[test]
        fn every_key_but_the_first_is_announced_in_full(newest in 0..1000_i64, now in 0..2000_i64) {
            let daily = KeySchedule::daily(DAY);
            if let Some(start) = daily.next_start(Some(at(newest)), at(now)) {
                prop_assert!(start >= at(now + 1) && start > at(newest));
            }
        }
    }
}

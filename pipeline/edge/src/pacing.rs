//! A token bucket: how many sends may start now, and when the next may.

/// Thousandths of a token: one token a second is one thousandth a millisecond, so that the
/// arithmetic is exact for every whole rate.
const MILLI: u64 = 1_000;

/// A clock that goes back further than this was set. Less is two callers that cross.
const SET_BACK_MS: i64 = 1_000;

/// Rate and burst of a [`Pace`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceConfig {
    /// Sends a second in the long run; at least 1.
    pub per_second: u32,
    /// Sends that may start at once after a rest; at least 1.
    pub burst: u32,
}

/// What [`Pace::take`] allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// How many may start now, at most as many as were wanted.
    pub granted: u32,
    /// When at least one more may start. Never later than it needs to be.
    pub more_at_ms: i64,
}

/// A token bucket that starts full.
#[derive(Debug, Clone)]
pub struct Pace {
    config: PaceConfig,
    held_milli: u64,
    filled_at_ms: i64,
    paused_until_ms: i64,
    /// The latest moment shown.
    seen_ms: i64,
}

impl Pace {
    /// A rate or burst of zero is taken as one: a pace slows, it never stops.
    pub fn new(config: PaceConfig, now_ms: i64) -> Self {
        let config =
            PaceConfig { per_second: config.per_second.max(1), burst: config.burst.max(1) };
        Self {
            config,
            held_milli: u64::from(config.burst) * MILLI,
            filled_at_ms: now_ms,
            paused_until_ms: i64::MIN,
            seen_ms: now_ms,
        }
    }

    /// Takes as many of `wanted` as are there.
    pub fn take(&mut self, wanted: u32, now_ms: i64) -> Grant {
        self.follow(now_ms);
        self.fill(now_ms);
        if now_ms < self.paused_until_ms {
            return Grant { granted: 0, more_at_ms: self.paused_until_ms };
        }
        let granted = u64::from(wanted).min(self.held_milli / MILLI);
        self.held_milli -= granted * MILLI;
        let missing = MILLI.saturating_sub(self.held_milli);
        let wait = missing.div_ceil(u64::from(self.config.per_second));
        // `granted` is at most `wanted`, so it fits.
        Grant { granted: granted as u32, more_at_ms: now_ms + wait as i64 }
    }

    /// Grants nothing before `until_ms`: the provider named the whole edge and a time.
    /// An earlier pause never shortens a later one. The bucket begins empty afterwards, for a
    /// provider that asked for a rest is not to be met with a burst.
    pub fn pause(&mut self, until_ms: i64, now_ms: i64) {
        self.follow(now_ms);
        if until_ms > now_ms.max(self.paused_until_ms) {
            self.paused_until_ms = until_ms;
            self.held_milli = 0;
            self.filled_at_ms = until_ms;
        }
    }

    /// A clock that was set back takes all moments with it: nobody waits until it has caught up.
    fn follow(&mut self, now_ms: i64) {
        let back = self.seen_ms.saturating_sub(now_ms);
        if back > SET_BACK_MS {
            self.filled_at_ms = self.filled_at_ms.saturating_sub(back);
            self.paused_until_ms = self.paused_until_ms.saturating_sub(back);
            self.seen_ms = now_ms;
        }
        self.seen_ms = self.seen_ms.max(now_ms);
    }

    fn fill(&mut self, now_ms: i64) {
        // A moment out of order fills nothing, and is not paid for twice when it catches up.
        let elapsed = u64::try_from(now_ms - self.filled_at_ms).unwrap_or(0);
        let full = u64::from(self.config.burst) * MILLI;
        let added = elapsed.saturating_mul(u64::from(self.config.per_second));
        self.held_milli = self.held_milli.saturating_add(added).min(full);
        self.filled_at_ms = self.filled_at_ms.max(now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pace(per_second: u32, burst: u32) -> Pace {
        Pace::new(PaceConfig { per_second, burst }, 0)
    }

    #[test]
    fn a_rested_pace_grants_its_burst_and_no_more() {
        let mut pace = pace(10, 5);
        assert_eq!(pace.take(8, 0), Grant { granted: 5, more_at_ms: 100 });
        assert_eq!(pace.take(1, 99).granted, 0);
        assert_eq!(pace.take(1, 100).granted, 1);
    }

    #[test]
    fn what_is_not_wanted_stays() {
        let mut pace = pace(1, 3);
        assert_eq!(pace.take(1, 0), Grant { granted: 1, more_at_ms: 0 });
        assert_eq!(pace.take(9, 0).granted, 2);
    }

    #[test]
    fn a_pause_grants_nothing_until_its_end_and_ends_without_a_burst() {
        let mut pace = pace(10, 5);
        pace.pause(60_000, 0);
        assert_eq!(pace.take(1, 59_999), Grant { granted: 0, more_at_ms: 60_000 });
        assert_eq!(pace.take(5, 60_000), Grant { granted: 0, more_at_ms: 60_100 });
        assert_eq!(pace.take(5, 60_100).granted, 1);
    }

    #[test]
    fn a_clock_set_back_stops_neither_the_pace_nor_the_end_of_a_pause() {
        let hour = 3_600_000;
        let mut pace = pace(10, 5);
        pace.take(5, hour);
        assert_eq!(pace.take(5, 0).granted, 0);
        assert_eq!(pace.take(5, 100).granted, 1);
        pace.pause(1_000, 100);
        pace.pause(hour + 1_000, hour);
        assert_eq!(pace.take(1, 998).granted, 0);
        assert_eq!(pace.take(1, 1_997).granted, 0);
        assert_eq!(pace.take(1, 2_098).granted, 1);
    }

    #[test]
    fn a_shorter_pause_never_shortens_a_longer_one() {
        let mut pace = pace(10, 5);
        pace.pause(60_000, 0);
        pace.pause(1_000, 0);
        assert_eq!(pace.take(1, 2_000).granted, 0);
    }

    proptest! {
        #[test]
        fn no_span_of_time_is_granted_more_than_burst_and_rate(
            per_second in 1_u32..5_000,
            burst in 1_u32..500,
            steps in prop::collection::vec((-50_i64..2_000, 0_u32..600), 1..100),
        ) {
            let mut pace = pace(per_second, burst);
            let (mut now, mut latest, mut total) = (0_i64, 0_i64, 0_u64);
            for (step, wanted) in steps {
                now += step;
                latest = latest.max(now);
                let grant = pace.take(wanted, now);
                prop_assert!(grant.granted <= wanted);
                total += u64::from(grant.granted);
                let most = u64::from(burst) * MILLI + latest as u64 * u64::from(per_second);
                prop_assert!(total * MILLI <= most);
            }
        }

        #[test]
        fn the_promised_moment_is_true_and_the_earliest(
            per_second in 1_u32..5_000, burst in 1_u32..500, wanted in 0_u32..600,
        ) {
            let mut before = pace(per_second, burst);
            let promise = before.take(wanted, 0).more_at_ms;
            let mut on_time = before.clone();
            prop_assert_eq!(on_time.take(1, promise).granted, 1);
            if promise > 0 {
                prop_assert_eq!(before.take(1, promise - 1).granted, 0);
            }
        }
    }
}

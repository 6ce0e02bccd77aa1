//! How many calls an account may make: a fixed window, counted for the account, not for the key.

use schemas::ids::Timestamp;

use super::group::{Group, Groups};

/// What an account may do; `None` calls means without limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    pub calls: Option<u32>,
}

/// The figures of the contract, to be changed by configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub window_ms: i64,
    pub default_calls: u32,
    /// Members of `ApiRateLimit250`.
    pub raised_calls: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { window_ms: 5_000, default_calls: 150, raised_calls: 250 }
    }
}

impl Limits {
    /// No limit wins over the raised one, that over the default.
    #[must_use]
    pub fn quota(&self, groups: Groups) -> Quota {
        let calls = if groups.has(Group::ApiNoRateLimit) {
            None
        } else if groups.has(Group::ApiRateLimit250) {
            Some(self.raised_calls)
        } else {
            Some(self.default_calls)
        };
        Quota { calls }
    }
}

/// One account's counter. Refused calls are not counted again: they have used up nothing that is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    started: Timestamp,
    used: u32,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    Unlimited,
    Taken {
        remaining: u32,
    },
    /// Whole seconds, at least 1.
    Refused {
        retry_after_s: u32,
    },
}

impl Window {
    /// Whether the next call opens a new window: nothing is remembered any more.
    #[must_use]
    pub fn is_over(&self, limits: &Limits, now: Timestamp) -> bool {
        let age = now.0.saturating_sub(self.started.0);
        // A clock set back opens a new window rather than locking anybody out.
        age >= limits.window_ms || age < 0
    }

    /// Counts one call at `now` against `share` of the quota, the part this instance has leased.
    pub fn take(&mut self, limits: &Limits, share: Quota, now: Timestamp) -> Rate {
        let Some(calls) = share.calls else { return Rate::Unlimited };
        if self.is_over(limits, now) {
            *self = Self { started: now, used: 0 };
        }
        if self.used < calls {
            self.used += 1;
            return Rate::Taken { remaining: calls - self.used };
        }
        let left_ms = self.started.0.saturating_add(limits.window_ms).saturating_sub(now.0);
        let seconds = (left_ms + 999) / 1000;
        Rate::Refused { retry_after_s: u32::try_from(seconds.max(1)).unwrap_or(u32::MAX) }
    }
}

/// What all instances together were asked for in the last whole period, and this one of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    pub own: u32,
    pub all: u32,
    /// At least 1: this one.
    pub instances: u32,
}

/// This instance's part of a quota of `calls`: half of the quota is split evenly, so that traffic may move,
/// half by demand. The shares of instances that agree on the demand never exceed the quota together.
#[must_use]
pub fn share(calls: u32, demand: Demand) -> u32 {
    let instances = u64::from(demand.instances.max(1));
    if instances == 1 {
        return calls;
    }
    let even = u64::from(calls / 2);
    let by_demand = u64::from(calls) - even;
    // One more for each, so that an instance that was idle keeps a little of its own.
    let (own, all) = (u64::from(demand.own) + 1, u64::from(demand.all) + instances);
    let share = even / instances + by_demand * own.min(all) / all;
    u32::try_from(share).unwrap_or(calls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { window_ms: 5_000, default_calls: 150, raised_calls: 250 };

    #[test]
    fn the_151st_call_in_five_seconds_is_refused_and_the_next_window_is_free() {
        let quota = LIMITS.quota(Groups::of(&[Group::ApiMessageWrite]));
        let mut window = Window::default();
        let start = Timestamp(1_000_000);
        for call in 1..=150 {
            let rate = window.take(&LIMITS, quota, start);
            assert_eq!(rate, Rate::Taken { remaining: 150 - call });
        }
        let late = Timestamp(start.0 + 4_999);
        assert_eq!(window.take(&LIMITS, quota, start), Rate::Refused { retry_after_s: 5 });
        assert_eq!(window.take(&LIMITS, quota, late), Rate::Refused { retry_after_s: 1 });
        let next = Timestamp(start.0 + 5_000);
        assert_eq!(window.take(&LIMITS, quota, next), Rate::Taken { remaining: 149 });
    }

    #[test]
    fn no_limit_beats_the_raised_limit_and_that_the_default() {
        let quota = |groups: &[Group]| LIMITS.quota(Groups::of(groups)).calls;
        assert_eq!(quota(&[Group::ApiRateLimit250, Group::ApiNoRateLimit]), None);
        assert_eq!(quota(&[Group::ApiRateLimit250]), Some(250));
        assert_eq!(quota(&[]), Some(150));
    }

    #[test]
    fn a_single_instance_has_the_whole_quota_and_a_busy_one_most_of_it() {
        assert_eq!(share(150, Demand { own: 7, all: 7, instances: 1 }), 150);
        assert_eq!(share(150, Demand { own: 100, all: 100, instances: 2 }), 37 + 74);
        assert_eq!(share(150, Demand { own: 0, all: 100, instances: 2 }), 37);
    }

    proptest! {
        #[test]
        fn the_shares_of_all_instances_never_exceed_the_quota(
            calls in 1_u32..10_000, demands in proptest::collection::vec(0_u32..100_000, 1..12)
        ) {
            let all = demands.iter().sum();
            let instances = u32::try_from(demands.len()).unwrap();
            let given = demands.iter().map(|own| share(calls, Demand { own: *own, all, instances }));
            prop_assert!(given.map(u64::from).sum::<u64>() <= u64::from(calls));
        }

        #[test]
        fn no_window_ever_takes_more_than_the_share(
            steps in proptest::collection::vec(0_i64..700, 1..200), share in 1_u32..20
        ) {
            let quota = Quota { calls: Some(share) };
            let (mut window, mut now) = (Window::default(), 10_000);
            let mut taken = std::collections::BTreeMap::<Timestamp, u32>::new();
            for step in steps {
                now += step;
                if let Rate::Taken { .. } = window.take(&LIMITS, quota, Timestamp(now)) {
                    *taken.entry(window.started).or_default() += 1;
                }
            }
            prop_assert!(taken.values().all(|count| *count <= share));
        }
    }
}

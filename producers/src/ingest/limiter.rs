//! Calls of accounts, counted in memory; shared with the other instances by leases in the background.

use std::collections::HashMap;

use parking_lot::Mutex;
use policy::admit::group::Groups;
use policy::admit::rate::{Limits, Quota, Rate, Window};
use schemas::ids::Timestamp;

/// One account's part of its quota that this instance may give out, in calls a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    pub account_id: String,
    pub calls: u32,
}

/// Counters of all accounts that have called. Bounded by the number of accounts: only known keys come here.
pub struct Limiter {
    limits: Limits,
    accounts: Mutex<HashMap<String, Account>>,
}

#[derive(Default)]
struct Account {
    window: Window,
    /// `None`: the whole quota, as long as nobody else has leased from it.
    leased: Option<u32>,
    /// Calls since demand was last asked for.
    asked: u32,
}

impl Limiter {
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, accounts: Mutex::default() }
    }

    /// Counts one call; never waits for anybody.
    pub fn take(&self, account_id: &str, groups: Groups, now: Timestamp) -> Rate {
        let quota = self.limits.quota(groups);
        let Some(calls) = quota.calls else { return Rate::Unlimited };
        let mut accounts = self.accounts.lock();
        if !accounts.contains_key(account_id) {
            accounts.insert(account_id.to_owned(), Account::default());
        }
        let Some(account) = accounts.get_mut(account_id) else { return Rate::Unlimited };
        account.asked = account.asked.saturating_add(1);
        let share = Quota { calls: Some(account.leased.map_or(calls, |leased| leased.min(calls))) };
        account.window.take(&self.limits, share, now)
    }

    /// Calls of each account since this was last asked: what this instance should lease for.
    pub fn demand(&self) -> Vec<Share> {
        let mut accounts = self.accounts.lock();
        accounts
            .iter_mut()
            .map(|(id, account)| Share {
                account_id: id.clone(),
                calls: std::mem::take(&mut account.asked),
            })
            .collect()
    }

    /// Replaces what this instance has leased; accounts not named go back to their whole quota.
    pub fn lease(&self, shares: &[Share]) {
        let mut accounts = self.accounts.lock();
        for account in accounts.values_mut() {
            account.leased = None;
        }
        for share in shares {
            accounts.entry(share.account_id.clone()).or_default().leased = Some(share.calls);
        }
    }

    /// The configured figures.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::admit::group::Group;

    fn taken(limiter: &Limiter, calls: u32) -> u32 {
        let groups = Groups::of(&[Group::ApiMessageWrite]);
        let rates = (0..calls).map(|_| limiter.take("a", groups, Timestamp(10_000)));
        rates.filter(|rate| matches!(rate, Rate::Taken { .. })).count().try_into().unwrap()
    }

    #[test]
    fn a_leased_share_bounds_this_instance_and_its_end_gives_the_quota_back() {
        let limiter = Limiter::new(Limits::default());
        limiter.lease(&[Share { account_id: "a".into(), calls: 40 }]);
        assert_eq!(taken(&limiter, 200), 40);
        assert_eq!(limiter.demand(), [Share { account_id: "a".into(), calls: 200 }]);
        assert_eq!(limiter.demand(), [Share { account_id: "a".into(), calls: 0 }]);
        limiter.lease(&[]);
        assert_eq!(taken(&limiter, 200), 110);
    }

    #[test]
    fn a_share_never_exceeds_the_quota() {
        let limiter = Limiter::new(Limits::default());
        limiter.lease(&[Share { account_id: "a".into(), calls: 4_000 }]);
        assert_eq!(taken(&limiter, 200), 150);
    }
}

//! Calls of accounts, counted in memory; the quota is shared with the other instances in the background.

use std::collections::HashMap;

use parking_lot::Mutex;
use policy::admit::group::Groups;
use policy::admit::rate::{self, Demand, Limits, Quota, Rate, Window};
use schemas::ids::Timestamp;

/// Calls that were asked for under one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub account_id: String,
    pub calls: u32,
}

/// The demand for one account over all instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountDemand {
    pub account_id: String,
    pub demand: Demand,
}

/// Counters of all accounts that have called. Bounded by the number of accounts: only known keys come here.
pub struct Limiter {
    limits: Limits,
    accounts: Mutex<HashMap<String, Account>>,
}

struct Account {
    window: Window,
    /// What the account may do in all.
    calls: u32,
    /// This instance's part of it.
    share: u32,
    /// Calls since demand was last asked for, refused ones included.
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
        let account = match accounts.get_mut(account_id) {
            Some(account) => account,
            None => accounts.entry(account_id.to_owned()).or_insert(Account {
                window: Window::default(),
                calls,
                share: calls,
                asked: 0,
            }),
        };
        if account.calls != calls {
            // The account's groups have changed: the whole quota, until demand is known again.
            (account.calls, account.share) = (calls, calls);
        }
        account.asked = account.asked.saturating_add(1);
        account.window.take(&self.limits, Quota { calls: Some(account.share) }, now)
    }

    /// Calls of each account since this was last asked.
    pub fn asked(&self) -> Vec<Asked> {
        let mut accounts = self.accounts.lock();
        let asked = accounts.iter_mut().map(|(id, account)| Asked {
            account_id: id.clone(),
            calls: std::mem::take(&mut account.asked),
        });
        asked.collect()
    }

    /// Takes this instance's part of each quota from here on.
    pub fn settle(&self, demands: &[AccountDemand]) {
        let mut accounts = self.accounts.lock();
        for AccountDemand { account_id, demand } in demands {
            if let Some(account) = accounts.get_mut(account_id) {
                account.share = rate::share(account.calls, *demand);
            }
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

    fn demand(own: u32, all: u32, instances: u32) -> [AccountDemand; 1] {
        [AccountDemand { account_id: "a".into(), demand: Demand { own, all, instances } }]
    }

    #[test]
    fn a_settled_share_bounds_this_instance_and_being_alone_gives_the_quota_back() {
        let limiter = Limiter::new(Limits::default());
        assert_eq!(taken(&limiter, 10), 10);
        limiter.settle(&demand(0, 1_000, 3));
        assert_eq!(taken(&limiter, 200), 15, "25 of 150, 10 of them used");
        assert_eq!(limiter.asked(), [Asked { account_id: "a".into(), calls: 210 }]);
        assert_eq!(limiter.asked(), [Asked { account_id: "a".into(), calls: 0 }]);
        limiter.settle(&demand(210, 210, 1));
        assert_eq!(taken(&limiter, 200), 125);
    }

    #[test]
    fn another_quota_takes_effect_at_once() {
        let limiter = Limiter::new(Limits::default());
        assert_eq!(taken(&limiter, 151), 150);
        let raised = Groups::of(&[Group::ApiRateLimit250]);
        let rate = limiter.take("a", raised, Timestamp(10_000));
        assert_eq!(rate, Rate::Taken { remaining: 99 });
    }
}

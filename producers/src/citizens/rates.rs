//! How often a citizen may ask, and an address that bears nothing valid. Counted in this process only.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

use parking_lot::Mutex;
use policy::admit::rate::{Limits, Quota, Rate, Window};
use schemas::ids::{Pseudonym, Timestamp};
use serde::{Deserialize, Serialize};

const HOUR_MS: i64 = 3_600_000;

/// Keys counted at once. Where there are more, all begin anew: forgetting lets through, and never
/// locks out.
const MOST: usize = 100_000;

/// The figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CitizenRates {
    /// Length of the window in which requests are counted.
    pub window_ms: u32,
    /// Requests of one citizen in a window.
    pub calls: u32,
    /// Requests of one address without a valid token in a window; then it waits for the next one.
    pub refusals: u32,
    /// Mails that one citizen may ask for in an hour.
    pub validations_per_hour: u32,
}

impl Default for CitizenRates {
    fn default() -> Self {
        Self { window_ms: 10_000, calls: 100, refusals: 100, validations_per_hour: 5 }
    }
}

impl CitizenRates {
    /// What cannot work, one line each, by key.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let figures = [
            ("window_ms", self.window_ms),
            ("calls", self.calls),
            ("refusals", self.refusals),
            ("validations_per_hour", self.validations_per_hour),
        ];
        let zero = figures.into_iter().filter(|(_, figure)| *figure == 0);
        zero.map(|(key, _)| format!("{key}: at least 1, or nobody is ever let in")).collect()
    }
}

/// Too many; whole seconds until it may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wait(pub u32);

/// Whose address it is: an IPv4 address, or the 64 bits of an IPv6 network, which one host owns whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Origin([u8; 8]);

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Self {
        let mut origin = [0; 8];
        match address {
            IpAddr::V4(it) => origin[..4].copy_from_slice(&it.octets()),
            IpAddr::V6(it) => origin.copy_from_slice(&it.octets()[..8]),
        }
        Self(origin)
    }
}

/// Counters of everybody who has asked lately.
pub struct Rates {
    pub(super) citizens: Counters<Pseudonym>,
    pub(super) strangers: Counters<Origin>,
    pub(super) validations: Counters<Pseudonym>,
}

impl Rates {
    /// Nobody has asked yet.
    #[must_use]
    pub fn new(rates: CitizenRates) -> Self {
        let window = i64::from(rates.window_ms);
        Self {
            citizens: Counters::new(window, rates.calls),
            strangers: Counters::new(window, rates.refusals),
            validations: Counters::new(HOUR_MS, rates.validations_per_hour),
        }
    }
}

/// One kind of counter, by key.
pub(super) struct Counters<K> {
    limits: Limits,
    windows: Mutex<HashMap<K, Window>>,
}

impl<K: Eq + Hash> Counters<K> {
    fn new(window_ms: i64, calls: u32) -> Self {
        let limits = Limits { window_ms, default_calls: calls, raised_calls: calls };
        Self { limits, windows: Mutex::default() }
    }

    /// Counts one, or says how long to wait.
    pub fn take(&self, key: K, now: Timestamp) -> Result<(), Wait> {
        let mut windows = self.windows.lock();
        if windows.len() >= MOST && !windows.contains_key(&key) {
            windows.retain(|_, window| !window.is_over(&self.limits, now));
            if windows.len() >= MOST {
                windows.clear();
            }
        }
        self.counted(windows.entry(key).or_default(), now)
    }

    /// What [`Counters::take`] would say.
    pub fn look(&self, key: &K, now: Timestamp) -> Result<(), Wait> {
        let mut window = self.windows.lock().get(key).copied().unwrap_or_default();
        self.counted(&mut window, now)
    }

    fn counted(&self, window: &mut Window, now: Timestamp) -> Result<(), Wait> {
        let quota = Quota { calls: Some(self.limits.default_calls) };
        match window.take(&self.limits, quota, now) {
            Rate::Unlimited | Rate::Taken { .. } => Ok(()),
            Rate::Refused { retry_after_s } => Err(Wait(retry_after_s)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_is_counted_apart_from_another_and_anew_in_the_next_window() {
        let counters = Counters::new(1_000, 2);
        let now = Timestamp(10_000);
        for key in ["a", "b"] {
            assert_eq!(counters.take(key, now), Ok(()));
            assert_eq!(counters.look(&key, now), Ok(()), "looking counts nothing");
            assert_eq!(counters.look(&key, now), Ok(()));
            assert_eq!(counters.take(key, now), Ok(()));
            assert_eq!(counters.look(&key, now), Err(Wait(1)));
            assert_eq!(counters.take(key, now), Err(Wait(1)));
        }
        assert_eq!(counters.take("a", Timestamp(11_000)), Ok(()));
    }

    #[test]
    fn no_more_keys_are_kept_than_the_bound() {
        let counters = Counters::new(1_000, 1);
        let most = u64::try_from(MOST).expect("small");
        (0..most).for_each(|key| assert_eq!(counters.take(key, Timestamp(5_000)), Ok(())));
        // All of them are counting: they are forgotten, nobody is turned away.
        assert_eq!(counters.take(most, Timestamp(5_000)), Ok(()));
        assert_eq!(counters.windows.lock().len(), 1);
    }

    #[test]
    fn an_ipv6_host_is_its_network() {
        let origin = |text: &str| Origin::from(text.parse::<IpAddr>().expect("an address"));
        assert_eq!(origin("2001:db8:1:2::1"), origin("2001:db8:1:2:ffff::9"));
        assert_ne!(origin("2001:db8:1:2::1"), origin("2001:db8:1:3::1"));
        assert_ne!(origin("192.0.2.1"), origin("192.0.2.2"));
    }
}

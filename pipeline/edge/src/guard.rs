//! The mass guard: disbelieves a wave of dead addresses.
//!
//! One dead device token is news about a phone. A tenth of an app's tokens dead within minutes is
//! news about us: a sandbox certificate on production, or another project's key. Believing it
//! would wipe the registry. While the guard is tripped the outcome of each attempt still stands;
//! only the device's record is left alone.

use crate::window::Window;

/// When a [`Guard`] trips. One guard serves one (provider, app).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GuardConfig {
    /// Length of the window in which sends are counted.
    pub window_ms: i64,
    /// Sends the window must hold before the guard can trip: three bad tokens of four prove
    /// nothing.
    pub min_count: u32,
    /// Trips when the share of dead addresses is *above* this, in `[0, 1]`.
    pub gone_share: f64,
    /// So many dead addresses without one alive between them trip it whatever the window holds: a
    /// mix-up kills every token, and the minimum count would be its toll. At one dead token in ten, a
    /// run of ten is chance once in ten thousand million.
    pub run: u32,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self { window_ms: 600_000, min_count: 100, gone_share: 0.3, run: 10 }
    }
}

/// What a provider said about one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// Taken, or refused for a reason that is not the address.
    Alive,
    Gone,
}

/// Whether "gone" may be acted upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belief {
    Believed,
    /// The guard is tripped: keep the record of the device, alarm.
    Disbelieved,
}

/// Counts dead addresses among answered sends. Pure: `now_ms` is passed in.
#[derive(Debug, Clone)]
pub struct Guard {
    config: GuardConfig,
    window: Window,
    /// Dead addresses since the last one that was alive.
    run: u32,
    tripped: bool,
}

impl Guard {
    pub fn new(config: GuardConfig) -> Self {
        Self { config, window: Window::new(config.window_ms), run: 0, tripped: false }
    }

    /// Notes what was said about one address and answers whether a "gone" is believed, this one
    /// included. Only answers that say something about the address belong here: an outage or a
    /// throttled send does not.
    pub fn note(&mut self, address: Address, now_ms: i64) -> Belief {
        self.window.add(address == Address::Gone, now_ms);
        self.run = match address {
            Address::Alive => 0,
            Address::Gone => self.run.saturating_add(1),
        };
        self.belief(now_ms)
    }

    /// Whether a "gone" is believed at `now_ms`.
    pub fn belief(&mut self, now_ms: i64) -> Belief {
        let seen = self.window.seen(now_ms);
        if self.tripped {
            // Clean: something was sent, and the share has fallen to half of what trips, so that
            // the guard does not flutter at its threshold. Silence proves nothing.
            self.tripped = seen.events == 0 || seen.share() > self.config.gone_share / 2.0;
        } else {
            let is_wave =
                seen.events >= self.config.min_count && seen.share() > self.config.gone_share;
            self.tripped = is_wave || self.run >= self.config.run;
        }
        if self.tripped { Belief::Disbelieved } else { Belief::Believed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn guard() -> Guard {
        guard_with(u32::MAX)
    }

    fn guard_with(run: u32) -> Guard {
        Guard::new(GuardConfig { window_ms: 10_000, min_count: 10, gone_share: 0.3, run })
    }

    fn note_many(guard: &mut Guard, address: Address, count: u32, now_ms: i64) -> Belief {
        (0..count).fold(Belief::Believed, |_, _| guard.note(address, now_ms))
    }

    #[test]
    fn three_bad_tokens_of_four_do_not_trip_it() {
        let mut guard = guard();
        guard.note(Address::Alive, 0);
        assert_eq!(note_many(&mut guard, Address::Gone, 3, 0), Belief::Believed);
    }

    #[test]
    fn a_wave_trips_it_at_the_minimum_count() {
        let mut guard = guard();
        assert_eq!(note_many(&mut guard, Address::Gone, 9, 0), Belief::Believed);
        assert_eq!(guard.note(Address::Gone, 0), Belief::Disbelieved);
    }

    #[test]
    fn exactly_the_share_does_not_trip_it_and_one_more_does() {
        let mut guard = guard();
        note_many(&mut guard, Address::Alive, 70, 0);
        assert_eq!(note_many(&mut guard, Address::Gone, 30, 0), Belief::Believed);
        assert_eq!(guard.note(Address::Gone, 0), Belief::Disbelieved);
    }

    #[test]
    fn a_tripped_guard_believes_again_when_the_window_is_clean() {
        let mut guard = guard();
        note_many(&mut guard, Address::Gone, 20, 0);
        assert_eq!(note_many(&mut guard, Address::Alive, 20, 5_000), Belief::Disbelieved);
        assert_eq!(guard.note(Address::Alive, 11_000), Belief::Believed);
    }

    #[test]
    fn silence_does_not_clean_a_tripped_guard() {
        let mut guard = guard();
        note_many(&mut guard, Address::Gone, 20, 0);
        assert_eq!(guard.belief(3_600_000), Belief::Disbelieved);
        assert_eq!(guard.note(Address::Gone, 3_600_000), Belief::Disbelieved);
        assert_eq!(note_many(&mut guard, Address::Alive, 9, 3_600_000), Belief::Believed);
    }

    #[test]
    fn it_does_not_flutter_between_half_the_share_and_the_share() {
        let mut guard = guard();
        note_many(&mut guard, Address::Gone, 20, 0);
        assert_eq!(note_many(&mut guard, Address::Alive, 80, 0), Belief::Disbelieved);
        assert_eq!(note_many(&mut guard, Address::Alive, 34, 0), Belief::Believed);
    }

    #[test]
    fn a_run_of_dead_addresses_trips_it_before_the_minimum_count() {
        let mut guard = guard_with(4);
        assert_eq!(note_many(&mut guard, Address::Gone, 3, 0), Belief::Believed);
        assert_eq!(guard.note(Address::Gone, 0), Belief::Disbelieved);
    }

    #[test]
    fn one_address_alive_ends_a_run() {
        let mut guard = guard_with(4);
        for _ in 0..2 {
            assert_eq!(note_many(&mut guard, Address::Gone, 3, 0), Belief::Believed);
            guard.note(Address::Alive, 0);
        }
    }

    #[test]
    fn a_run_counts_however_long_it_takes() {
        let mut guard = guard_with(4);
        let beliefs = (0..4).map(|hour| guard.note(Address::Gone, hour * 3_600_000));
        assert_eq!(beliefs.last(), Some(Belief::Disbelieved));
    }

    proptest! {
        #[test]
        fn below_the_minimum_count_it_never_trips(
            gone in prop::collection::vec(any::<bool>(), 0..9),
        ) {
            let mut guard = guard();
            for gone in gone {
                let address = if gone { Address::Gone } else { Address::Alive };
                prop_assert_eq!(guard.note(address, 0), Belief::Believed);
            }
        }
    }
}

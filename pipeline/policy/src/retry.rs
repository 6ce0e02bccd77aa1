//! How long until a retry. Delays are data, jitter is passed in, the provider's wait is a floor.

use std::time::Duration;

/// First wait, doubled at each further try.
pub const BASE: Duration = Duration::from_secs(10);
/// No computed wait is longer; a provider's own may be.
pub const CAP: Duration = Duration::from_secs(900);
/// A device or project that says "too many" rests at least this long (Firebase: 60 s without Retry-After).
pub const THROTTLED_FLOOR: Duration = Duration::from_secs(60);
/// Sends that may leave for one push address.
pub const MAX_PUSH_TRIES: i32 = 8;
/// An email of unknown outcome is repeated once; greylisting and full boxes get a few more tries.
pub const MAX_EMAIL_TRIES: i32 = 4;

/// The wait after try number `tries` (from 1): full jitter over an exponential, at least half of it,
/// never below `floor`. `jitter` lies in 0..=1.
#[must_use]
pub fn wait(tries: i32, floor: Option<Duration>, jitter: f64) -> Duration {
    let doublings = u32::try_from(tries.saturating_sub(1)).unwrap_or(0).min(16);
    let ceiling = BASE.saturating_mul(1 << doublings).min(CAP);
    let drawn = ceiling.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0));
    drawn.max(floor.unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_wait_is_never_below_the_providers(tries in 1..20, floor in 0u64..4000, j in 0.0..=1.0f64) {
            let floor = Duration::from_secs(floor);
            prop_assert!(wait(tries, Some(floor), j) >= floor);
        }

        #[test]
        fn a_computed_wait_never_passes_the_cap(tries in 1..1000, j in 0.0..=1.0f64) {
            prop_assert!(wait(tries, None, j) <= CAP);
        }

        #[test]
        fn more_tries_never_mean_a_shorter_wait(tries in 1..30, j in 0.0..=1.0f64) {
            prop_assert!(wait(tries + 1, None, j) >= wait(tries, None, j));
        }
    }
}

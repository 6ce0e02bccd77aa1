//! How long until a retry. Delays are data, jitter is passed in, the provider's wait is a floor.

use std::time::Duration;

/// The least wait, and the first range of the jitter, which doubles at each further try.
pub const BASE: Duration = Duration::from_secs(10);
/// The range of the jitter grows no further.
pub const CAP: Duration = Duration::from_secs(900);
/// A device or project that says "too many" rests at least this long (Firebase: 60 s without Retry-After).
pub const THROTTLED_FLOOR: Duration = Duration::from_secs(60);
/// Sends that may leave for one push address.
pub const MAX_PUSH_TRIES: i32 = 8;
/// An email of unknown outcome is repeated once; greylisting and full boxes get a few more tries.
pub const MAX_EMAIL_TRIES: i32 = 4;

/// The wait after try number `tries` (from 1): `floor`, or [`BASE`] where the provider named none, and
/// full jitter on top of it over a range that grows with the tries. Jitter only lengthens: what was
/// refused together does not come back together. `jitter` lies in 0..=1.
#[must_use]
pub fn wait(tries: i32, floor: Option<Duration>, jitter: f64) -> Duration {
    floor.unwrap_or(BASE) + range(tries).mul_f64(jitter.clamp(0.0, 1.0))
}

/// The range of the jitter after try number `tries`.
#[must_use]
pub fn range(tries: i32) -> Duration {
    let doublings = u32::try_from(tries.saturating_sub(1)).unwrap_or(0).min(16);
    BASE.saturating_mul(1 << doublings).min(CAP)
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
        fn a_wait_passes_the_floor_by_no_more_than_the_cap(
            tries in 1..1000, floor in 0u64..4000, j in 0.0..=1.0f64,
        ) {
            let floor = Duration::from_secs(floor);
            prop_assert!(wait(tries, Some(floor), j) <= floor + CAP);
            prop_assert!(wait(tries, None, j) <= BASE + CAP);
        }

        #[test]
        fn more_tries_never_mean_a_shorter_wait(tries in 1..30, j in 0.0..=1.0f64) {
            prop_assert!(wait(tries + 1, None, j) >= wait(tries, None, j));
        }
    }

    #[test]
    fn the_jitter_is_full_and_only_lengthens() {
        for (tries, first, last) in [(1, 10, 20), (2, 10, 30), (7, 10, 650), (8, 10, 910)] {
            let secs = |jitter| wait(tries, None, jitter).as_secs();
            assert_eq!((secs(0.0), secs(1.0)), (first, last), "try {tries}");
        }
        let floor = Some(Duration::from_secs(120));
        assert_eq!(wait(1, floor, 0.5).as_secs(), 125);
    }
}

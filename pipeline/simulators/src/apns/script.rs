//! Tokens that say how they want to be answered. Hexadecimal, so the case of letters is no matter.
//!
//! | Prefix | Answer |
//! | --- | --- |
//! | `deadbeef` | 410 Unregistered, `timestamp` = the next 12 digits as a number of milliseconds |
//! | `deadc0de` | 410 ExpiredToken, `timestamp` likewise |
//! | `fa110400` | 400 BadDeviceToken |
//! | `fa111400` | 400 DeviceTokenNotForTopic |
//! | `fa110429` | 429 TooManyRequests twice, then 200 |
//! | `fa110500` | 500 InternalServerError twice, then 200 |
//! | `fa110503` | 503 ServiceUnavailable, always |
//! | `51002000` | 200 after 2 s |
//! | `c105ed00` | stream reset after the request was read |
//! | `0ff11e00` | no answer at all |

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use super::reason::Reason;

/// How long a `51002000` takes at a time scale of 1.
pub(crate) const SLOW: Duration = Duration::from_secs(2);
/// "Twice, then 200".
const REFUSALS: u32 = 2;
/// Tokens counted at once. Beyond it counting starts again: a scripted token may then refuse anew.
const COUNTED_MAX: usize = 1_000_000;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Scripted {
    Accept,
    AcceptLate,
    Refuse { reason: Reason, timestamp: Option<u64> },
    Reset,
    Silence,
}

#[derive(Default)]
pub(crate) struct Scripts {
    asked: Mutex<HashMap<Box<str>, u32>>,
}

impl Scripts {
    /// What `token` (hex digits) wants, this time.
    pub(crate) fn next(&self, token: &str) -> Scripted {
        let refuse = |reason| Scripted::Refuse { reason, timestamp: None };
        let dated = |reason| Scripted::Refuse { reason, timestamp: timestamp(token) };
        match token.get(..8).map(str::to_ascii_lowercase).as_deref() {
            Some("deadbeef") => dated(Reason::Unregistered),
            Some("deadc0de") => dated(Reason::ExpiredToken),
            Some("fa110400") => refuse(Reason::BadDeviceToken),
            Some("fa111400") => refuse(Reason::DeviceTokenNotForTopic),
            Some("fa110429") if self.count(token) <= REFUSALS => refuse(Reason::TooManyRequests),
            Some("fa110500") if self.count(token) <= REFUSALS => {
                refuse(Reason::InternalServerError)
            }
            Some("fa110503") => refuse(Reason::ServiceUnavailable),
            Some("51002000") => Scripted::AcceptLate,
            Some("c105ed00") => Scripted::Reset,
            Some("0ff11e00") => Scripted::Silence,
            Some(_) | None => Scripted::Accept,
        }
    }

    pub(crate) fn forget(&self) {
        self.asked.lock().clear();
    }

    fn count(&self, token: &str) -> u32 {
        let mut asked = self.asked.lock();
        if asked.len() >= COUNTED_MAX {
            asked.clear();
        }
        let count = asked.entry(token.to_ascii_lowercase().into()).or_default();
        *count += 1;
        *count
    }
}

fn timestamp(token: &str) -> Option<u64> {
    u64::from_str_radix(token.get(8..20)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dated_token_carries_its_milliseconds_in_hex() {
        let token = format!("DEADBEEF{:012x}{}", 1_454_948_015_990_u64, "0".repeat(44));
        let expected =
            Scripted::Refuse { reason: Reason::Unregistered, timestamp: Some(1_454_948_015_990) };
        assert_eq!(Scripts::default().next(&token), expected);
    }

    #[test]
    fn two_refusals_are_counted_for_each_token_alone() {
        let scripts = Scripts::default();
        let refused = || Scripted::Refuse { reason: Reason::TooManyRequests, timestamp: None };
        assert_eq!(scripts.next("fa1104290001"), refused());
        assert_eq!(scripts.next("FA1104290001"), refused());
        assert_eq!(scripts.next("fa1104290002"), refused());
        assert_eq!(scripts.next("fa1104290001"), Scripted::Accept);
        scripts.forget();
        assert_eq!(scripts.next("fa1104290001"), refused());
    }
}

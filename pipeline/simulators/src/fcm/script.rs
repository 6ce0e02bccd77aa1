//! Tokens that say how they want to be answered.
//!
//! | Prefix | Answer |
//! | --- | --- |
//! | `gone-` | 404 UNREGISTERED |
//! | `bad-` | 400 INVALID_ARGUMENT, FcmError only |
//! | `mismatch-` | 403 SENDER_ID_MISMATCH |
//! | `429-` | 429 QUOTA_EXCEEDED twice with `Retry-After`, then 200 |
//! | `quota-` | 429 QUOTA_EXCEEDED once without `Retry-After`, then 200 |
//! | `500-` | 500 INTERNAL twice, then 200 |
//! | `503-` | 503 UNAVAILABLE with `Retry-After`, always |
//! | `slow-` | 200 after 2 s |
//! | `drop-` | stream reset after the request was read |
//! | `mute-` | no answer at all |

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use super::errors::Failure;

/// How long a `slow-` takes at a time scale of 1.
pub(super) const SLOW: Duration = Duration::from_secs(2);
/// Tokens counted at once. Beyond it counting starts again: a scripted token may then refuse anew.
const COUNTED_MAX: usize = 1_000_000;

pub(super) enum Scripted {
    Accept,
    AcceptLate,
    Refuse(Failure),
    Reset,
    Silence,
}

#[derive(Default)]
pub(super) struct Scripts {
    asked: Mutex<HashMap<Box<str>, u32>>,
}

impl Scripts {
    /// What `token` wants, this time.
    pub(super) fn next(&self, token: &str) -> Scripted {
        let Some((mark, _)) = token.split_once('-') else { return Scripted::Accept };
        let refuse = |code| Failure::code(code).map_or(Scripted::Accept, Scripted::Refuse);
        let refuse_later = |code| {
            let failure = Failure::code(code).map(Failure::with_retry_after);
            failure.map_or(Scripted::Accept, Scripted::Refuse)
        };
        match mark {
            "gone" => refuse("UNREGISTERED"),
            "bad" => refuse("INVALID_ARGUMENT"),
            "mismatch" => refuse("SENDER_ID_MISMATCH"),
            "429" if self.count(token) <= 2 => refuse_later("QUOTA_EXCEEDED"),
            "quota" if self.count(token) <= 1 => refuse("QUOTA_EXCEEDED"),
            "500" if self.count(token) <= 2 => refuse("INTERNAL"),
            "503" => refuse_later("UNAVAILABLE"),
            "slow" => Scripted::AcceptLate,
            "drop" => Scripted::Reset,
            "mute" => Scripted::Silence,
            _ => Scripted::Accept,
        }
    }

    pub(super) fn forget(&self) {
        self.asked.lock().clear();
    }

    fn count(&self, token: &str) -> u32 {
        let mut asked = self.asked.lock();
        if asked.len() >= COUNTED_MAX {
            asked.clear();
        }
        let count = asked.entry(token.into()).or_default();
        *count += 1;
        *count
    }
}

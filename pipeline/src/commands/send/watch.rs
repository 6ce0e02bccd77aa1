//! What a message came to, as getMessage shows it, and when there is nothing more to wait for. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// First pause between two looks, doubled at each.
const FIRST: Duration = Duration::from_millis(500);
/// Longest pause between two looks.
const LONGEST: Duration = Duration::from_secs(10);
/// PROCESSED comes before the notification that may follow it, and IO never tells of one: beyond this
/// it is not waited for.
const SETTLING: Duration = Duration::from_secs(10);

/// IO's words for it; beside them whether it was still moving when the watch ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejection_reason: Option<String>,
    /// Push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    pub is_final: bool,
}

impl Outcome {
    /// Reads an answer; nothing where it shows no status. `seen_for`: since PROCESSED was first seen.
    #[must_use]
    pub fn read(answer: &Value, seen_for: Duration) -> Option<Self> {
        let mut outcome = Self {
            status: word(&answer["status"])?,
            rejection_reason: word(&answer["rejection_reason"]),
            webhook: word(&answer["notification"]["webhook"]),
            email: word(&answer["notification"]["email"]),
            is_final: false,
        };
        outcome.is_final = outcome.has_settled(seen_for);
        Some(outcome)
    }

    /// PROCESSED: in the inbox, whoever is told of it.
    #[must_use]
    pub fn is_processed(&self) -> bool {
        self.status == "PROCESSED"
    }

    fn has_settled(&self, seen_for: Duration) -> bool {
        let channels = [&self.webhook, &self.email];
        let waits = channels.into_iter().flatten().any(|status| status == "THROTTLED");
        let told = channels.into_iter().flatten().next().is_some();
        match self.status.as_str() {
            "REJECTED" | "FAILED" => true,
            "PROCESSED" => !waits && (told || seen_for >= SETTLING),
            _ => false,
        }
    }
}

/// A word of an enumeration: of anything else nothing is kept, for it would end up in a file.
fn word(value: &Value) -> Option<String> {
    let is_word = |text: &&str| {
        (1..=40).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    value.as_str().filter(is_word).map(str::to_owned)
}

/// The pause before look number `looks` (from 1); `jitter` lies in 0..=1.
#[must_use]
pub fn pause(looks: u32, jitter: f64) -> Duration {
    let whole = FIRST.saturating_mul(1 << looks.saturating_sub(1).min(16)).min(LONGEST);
    whole.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(answer: Value, seen_for_s: u64, is_final: bool) {
        let outcome = Outcome::read(&answer, Duration::from_secs(seen_for_s)).unwrap();
        assert_eq!(outcome.is_final, is_final, "{answer} after {seen_for_s} s");
    }

    #[test]
    fn a_rejected_or_failed_message_goes_no_further() {
        check(json!({"status": "REJECTED", "rejection_reason": "USER_NOT_FOUND"}), 0, true);
        check(json!({"status": "FAILED"}), 0, true);
        check(json!({"status": "ACCEPTED"}), 90, false);
        check(json!({"status": "THROTTLED"}), 90, false);
    }

    #[test]
    fn a_message_in_the_inbox_is_waited_for_while_a_channel_may_still_move() {
        let told = |webhook: &str, email: &str| json!({"status": "PROCESSED", "notification": {"webhook": webhook, "email": email}});
        check(told("SENT", "FAILED"), 0, true);
        check(told("THROTTLED", "SENT"), 90, false);
        check(told("FAILED", "THROTTLED"), 90, false);
        check(json!({"status": "PROCESSED", "notification": {"webhook": "EXPIRED"}}), 0, true);
    }

    #[test]
    fn a_notification_that_is_never_told_is_not_waited_for_long() {
        check(json!({"status": "PROCESSED"}), 9, false);
        check(json!({"status": "PROCESSED", "notification": {}}), 10, true);
    }

    #[test]
    fn only_words_of_enumerations_are_kept() {
        assert_eq!(Outcome::read(&json!({"status": "AAAAAA00A00A000A"}), Duration::ZERO), None);
        assert_eq!(Outcome::read(&json!({}), Duration::ZERO), None);
        let answer = json!({"status": "FAILED", "notification": {"email": "to a@b.example"}});
        assert_eq!(Outcome::read(&answer, Duration::ZERO).unwrap().email, None);
    }

    #[test]
    fn looks_grow_rarer_up_to_a_bound() {
        assert_eq!(pause(1, 1.0), FIRST);
        assert_eq!(pause(1, 0.0), FIRST / 2);
        assert!((1..60).all(|looks| pause(looks + 1, 0.3) >= pause(looks, 0.3)));
        assert_eq!(pause(u32::MAX, 1.0), LONGEST);
    }
}

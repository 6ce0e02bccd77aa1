//! What Apple's answers mean. Source: Apple, "Handling notification responses from APNs"; where the
//! real service says something else than the page, senders' own tests (pushy, apns-h2, sygnal).

use std::time::Duration;

use policy::outcome::{Answer, AttemptOutcome, by_status_class};
use schemas::ids::Timestamp;
use schemas::records::Reason;
use serde::Deserialize;

/// Apple on `InternalServerError`: "wait at least 15 minutes".
const SERVER_ERROR_WAIT: Duration = Duration::from_secs(15 * 60);

/// The body of every answer but 200. Read leniently: a new member or reason must not hide the class.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    reason: String,
    /// Milliseconds, with 410: since when the token is known to be dead.
    timestamp: Option<i64>,
}

/// The class of an answer. A reason that nobody knows is judged by its status, as `unknown_answer`.
/// `now` bounds the date of a death: none lies ahead.
#[must_use]
pub fn classify(status: u16, body: &[u8], now: Timestamp) -> Answer {
    if status == 200 {
        return Answer::new(AttemptOutcome::Accepted, Reason::Delivered);
    }
    let body: Body = serde_json::from_slice(body).unwrap_or_default();
    let since = body.timestamp.filter(|ms| *ms > 0).map(|ms| Timestamp(ms).min(now));
    known(&body.reason, since).unwrap_or_else(|| by_status_class(status))
}

/// Apple's word, for the operator, where it is a word: letters alone, so that no token is one.
pub(super) fn word(body: &[u8]) -> String {
    let reason = serde_json::from_slice::<Body>(body).unwrap_or_default().reason;
    let is_word = reason.len() <= 40 && reason.bytes().all(|byte| byte.is_ascii_alphabetic());
    if is_word { reason } else { String::new() }
}

/// Whether the provider token was refused as too old: the pool signs anew and sends again, once.
pub(super) fn is_expired(status: u16, body: &[u8]) -> bool {
    let reason = || serde_json::from_slice::<Body>(body).unwrap_or_default().reason;
    status == 403 && reason() == "ExpiredProviderToken"
}

fn known(reason: &str, since: Option<Timestamp>) -> Option<Answer> {
    let unavailable = |retry_after| AttemptOutcome::Unavailable { retry_after };
    let throttled = AttemptOutcome::Throttled { retry_after: None };
    let gone = AttemptOutcome::AddressGone { since: None };
    let (outcome, why) = match reason {
        // 400, 404, 405: our bug or setting; this notification will never pass.
        "BadCollapseId" | "BadExpirationDate" | "BadMessageId" | "BadPriority" | "BadTopic"
        | "InvalidPushType" | "DuplicateHeaders" | "MissingDeviceToken" | "MissingTopic"
        | "PayloadEmpty" | "BadPath" | "MethodNotAllowed" => {
            (AttemptOutcome::Refused, Reason::BadRequest)
        }
        "PayloadTooLarge" => (AttemptOutcome::Refused, Reason::TooLarge),
        // 400: malformed, or a token of the other environment; the guard sees a wave of them.
        "BadDeviceToken" => (gone, Reason::BadToken),
        // 400: a token of another app.
        "DeviceTokenNotForTopic" => (gone, Reason::WrongApp),
        // 410, with the date of death. A registration later than that outlives it.
        "Unregistered" => (AttemptOutcome::AddressGone { since }, Reason::Unregistered),
        "ExpiredToken" => (AttemptOutcome::AddressGone { since }, Reason::ExpiredToken),
        // 400 and 403: the key may not push this topic, or is not one at all. Tokens stay.
        "TopicDisallowed" | "Forbidden" => (AttemptOutcome::Misconfigured, Reason::Forbidden),
        "BadCertificate"
        | "BadCertificateEnvironment"
        | "ExpiredProviderToken"
        | "InvalidProviderToken"
        | "MissingProviderToken"
        | "UnrelatedKeyIdInToken"
        // As documented, and as the service spells it.
        | "BadEnvironmentKeyIdInToken"
        | "BadEnvironmentKeyInToken" => (AttemptOutcome::Misconfigured, Reason::Credential),
        // 429: too many to this one device; its neighbours are not concerned.
        "TooManyRequests" => (throttled, Reason::DeviceBusy),
        // 429: the edge renewed its token too often, in whatever process.
        "TooManyProviderTokenUpdates" => (throttled, Reason::TokenUpdates),
        "InternalServerError" => (unavailable(Some(SERVER_ERROR_WAIT)), Reason::ServerError),
        "IdleTimeout" | "ServiceUnavailable" | "Shutdown" => {
            (unavailable(None), Reason::ServerUnavailable)
        }
        _ => return None,
    };
    Some(Answer::new(outcome, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const SINCE: Timestamp = Timestamp(1_454_948_015_990);

    fn check(status: u16, reason: &str, outcome: AttemptOutcome, why: Reason) {
        let body = format!(r#"{{"reason":"{reason}","timestamp":{}}}"#, SINCE.0);
        let answer = classify(status, body.as_bytes(), NOW);
        assert_eq!(answer, Answer::new(outcome, why), "{status} {reason}");
    }

    #[test]
    fn every_row_of_apples_table_has_its_class() {
        let gone = AttemptOutcome::AddressGone { since: None };
        let dead = AttemptOutcome::AddressGone { since: Some(SINCE) };
        let throttled = AttemptOutcome::Throttled { retry_after: None };
        let unavailable = AttemptOutcome::Unavailable { retry_after: None };
        let error = AttemptOutcome::Unavailable { retry_after: Some(SERVER_ERROR_WAIT) };
        let (refused, wrong) = (AttemptOutcome::Refused, AttemptOutcome::Misconfigured);
        for (status, reason, outcome, why) in [
            (200, "", AttemptOutcome::Accepted, Reason::Delivered),
            (400, "BadCollapseId", refused, Reason::BadRequest),
            (400, "BadExpirationDate", refused, Reason::BadRequest),
            (400, "BadMessageId", refused, Reason::BadRequest),
            (400, "BadPriority", refused, Reason::BadRequest),
            (400, "BadTopic", refused, Reason::BadRequest),
            (400, "InvalidPushType", refused, Reason::BadRequest),
            (400, "DuplicateHeaders", refused, Reason::BadRequest),
            (400, "MissingDeviceToken", refused, Reason::BadRequest),
            (400, "MissingTopic", refused, Reason::BadRequest),
            (400, "PayloadEmpty", refused, Reason::BadRequest),
            (400, "BadDeviceToken", gone, Reason::BadToken),
            (400, "DeviceTokenNotForTopic", gone, Reason::WrongApp),
            (400, "TopicDisallowed", wrong, Reason::Forbidden),
            (400, "IdleTimeout", unavailable, Reason::ServerUnavailable),
            (403, "BadCertificate", wrong, Reason::Credential),
            (403, "BadCertificateEnvironment", wrong, Reason::Credential),
            (403, "ExpiredProviderToken", wrong, Reason::Credential),
            (403, "InvalidProviderToken", wrong, Reason::Credential),
            (403, "MissingProviderToken", wrong, Reason::Credential),
            (403, "Forbidden", wrong, Reason::Forbidden),
            (403, "UnrelatedKeyIdInToken", wrong, Reason::Credential),
            (403, "BadEnvironmentKeyIdInToken", wrong, Reason::Credential),
            (403, "BadEnvironmentKeyInToken", wrong, Reason::Credential),
            (404, "BadPath", refused, Reason::BadRequest),
            (405, "MethodNotAllowed", refused, Reason::BadRequest),
            (410, "Unregistered", dead, Reason::Unregistered),
            (410, "ExpiredToken", dead, Reason::ExpiredToken),
            (413, "PayloadTooLarge", refused, Reason::TooLarge),
            (429, "TooManyProviderTokenUpdates", throttled, Reason::TokenUpdates),
            (429, "TooManyRequests", throttled, Reason::DeviceBusy),
            (500, "InternalServerError", error, Reason::ServerError),
            (503, "ServiceUnavailable", unavailable, Reason::ServerUnavailable),
            (503, "Shutdown", unavailable, Reason::ServerUnavailable),
        ] {
            check(status, reason, outcome, why);
        }
    }

    #[test]
    fn an_unknown_reason_is_judged_by_its_status_and_named_unknown() {
        let throttled = AttemptOutcome::Throttled { retry_after: None };
        let unavailable = AttemptOutcome::Unavailable { retry_after: None };
        for (status, outcome) in [
            (400, AttemptOutcome::Refused),
            (403, AttemptOutcome::Misconfigured),
            (410, AttemptOutcome::AddressGone { since: None }),
            (429, throttled),
            (500, unavailable),
            (503, unavailable),
        ] {
            check(status, "SomethingNew", outcome, Reason::UnknownAnswer);
        }
        assert_eq!(classify(503, b"<html>", NOW).outcome, unavailable);
        assert_eq!(classify(410, b"", NOW).reason, Reason::UnknownAnswer);
    }

    #[test]
    fn a_new_member_does_not_hide_the_reason() {
        let body = br#"{"reason":"BadDeviceToken","timestamp":null,"more":[1]}"#;
        assert_eq!(classify(400, body, NOW).reason, Reason::BadToken);
    }

    #[test]
    fn nobody_died_in_the_future_or_at_the_beginning_of_time() {
        let since = |ms: i64| {
            let body = format!(r#"{{"reason":"Unregistered","timestamp":{ms}}}"#);
            classify(410, body.as_bytes(), NOW).outcome
        };
        let gone = |since| AttemptOutcome::AddressGone { since };
        assert_eq!(since(NOW.0 + 1), gone(Some(NOW)));
        assert_eq!(since(0), gone(None));
    }

    #[test]
    fn only_an_expired_provider_token_is_renewed() {
        assert!(is_expired(403, br#"{"reason":"ExpiredProviderToken"}"#));
        assert!(!is_expired(403, br#"{"reason":"InvalidProviderToken"}"#));
        assert!(!is_expired(403, b""));
    }

    #[test]
    fn a_providers_word_is_told_only_where_it_is_a_plain_word() {
        let said =
            |reason: &str| word(serde_json::json!({ "reason": reason }).to_string().as_bytes());
        assert_eq!(said("SomethingNew"), "SomethingNew");
        for other in ["Some\nline", "\u{1b}[2J", "740f4707bebcf74f", "a b", &"x".repeat(41)] {
            assert_eq!(said(other), "", "{other:?}");
        }
        assert_eq!(word(b"<html>"), "");
    }
}

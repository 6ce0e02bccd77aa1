//! What Google's answers mean. Source: Firebase, "ErrorCode" and "FCM error codes"; the two shapes of
//! INVALID_ARGUMENT as recorded by senders.
//!
//! The word that counts is the `errorCode` of the detail of type `FcmError`. Judging by the HTTP status
//! alone would take an expired access token for a wrong APNs certificate, and a missing right for a
//! token of another project.

use std::time::Duration;

use policy::outcome::{Answer, AttemptOutcome, by_status_class};
use schemas::records::Reason;
use serde::Deserialize;

/// Firebase, "Scale FCM": no retry of UNAVAILABLE in less than 10 s.
const UNAVAILABLE_WAIT: Duration = Duration::from_secs(10);
/// Of a message; real ones have about 70 characters.
const LONGEST_NAME: usize = 256;
const FCM_ERROR: &str = "google.firebase.fcm.v1.FcmError";
const BAD_REQUEST: &str = "google.rpc.BadRequest";

/// The body of a success.
#[derive(Deserialize)]
struct Sent {
    /// `projects/<project>/messages/<id>`.
    name: String,
}

impl Sent {
    /// The name, where it looks like one: it goes into an event and from there to senders.
    fn usable_name(self) -> Option<String> {
        let is_name = self.name.len() <= LONGEST_NAME
            && self.name.bytes().all(|byte| byte.is_ascii_graphic());
        is_name.then_some(self.name)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Failed {
    error: Error,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Error {
    details: Vec<Detail>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Detail {
    #[serde(rename = "@type")]
    kind: String,
    error_code: String,
    field_violations: Vec<Violation>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Violation {
    field: String,
}

impl Error {
    fn read(body: &[u8]) -> Self {
        serde_json::from_slice::<Failed>(body).unwrap_or_default().error
    }

    fn code(&self) -> &str {
        let found = self.details.iter().find(|detail| detail.kind.ends_with(FCM_ERROR));
        found.map(|detail| detail.error_code.as_str()).unwrap_or_default()
    }

    /// The first field that is wrong, where a field is named.
    fn wrong_field(&self) -> Option<&str> {
        let bad = self.details.iter().find(|detail| detail.kind.ends_with(BAD_REQUEST))?;
        Some(bad.field_violations.first().map(|wrong| wrong.field.as_str()).unwrap_or_default())
    }
}

/// The class of an answer, with the wait its `Retry-After` asked for. A code that nobody knows is
/// judged by its status, as `unknown_answer`.
#[must_use]
pub fn classify(status: u16, body: &[u8], retry_after: Option<Duration>) -> Answer {
    if status == 200 {
        let mut answer = Answer::new(AttemptOutcome::Accepted, Reason::Delivered);
        answer.provider_id = serde_json::from_slice(body).ok().and_then(Sent::usable_name);
        return answer;
    }
    let error = Error::read(body);
    let later = AttemptOutcome::Unavailable {
        retry_after: Some(retry_after.unwrap_or_default().max(UNAVAILABLE_WAIT)),
    };
    let throttled = AttemptOutcome::Throttled { retry_after };
    let gone = AttemptOutcome::AddressGone { since: None };
    let (outcome, why) = match (error.code(), status) {
        ("UNREGISTERED", _) => (gone, Reason::Unregistered),
        // A token of another project.
        ("SENDER_ID_MISMATCH", _) => (gone, Reason::WrongApp),
        ("INVALID_ARGUMENT", _) | ("", 400) => invalid_argument(&error),
        // The credential for APNs or web push inside the Firebase project.
        ("THIRD_PARTY_AUTH_ERROR", _) => (AttemptOutcome::Misconfigured, Reason::Credential),
        // Project, device or topic: Google does not say which.
        ("QUOTA_EXCEEDED", _) | ("", 429) => (throttled, Reason::Quota),
        ("UNAVAILABLE", _) | ("", 503) => (later, Reason::ServerUnavailable),
        ("INTERNAL", _) | ("", 500) => {
            (AttemptOutcome::Unavailable { retry_after }, Reason::ServerError)
        }
        ("UNSPECIFIED_ERROR", _) => {
            (AttemptOutcome::Unavailable { retry_after }, Reason::UnknownAnswer)
        }
        ("", 401) => (AttemptOutcome::Misconfigured, Reason::Credential),
        // The API is not enabled, or the account may not send.
        ("", 403) => (AttemptOutcome::Misconfigured, Reason::Forbidden),
        // No such project or path.
        ("", 404) => (AttemptOutcome::Misconfigured, Reason::NotFound),
        ("", 413) => (AttemptOutcome::Refused, Reason::TooLarge),
        _ => return by_status_class(status),
    };
    Answer::new(outcome, why)
}

/// A named field is our bug, unless it is the token; no field but FCM's own error is "not a valid
/// registration token".
fn invalid_argument(error: &Error) -> (AttemptOutcome, Reason) {
    let gone = AttemptOutcome::AddressGone { since: None };
    match error.wrong_field() {
        Some("message.token") => (gone, Reason::BadToken),
        Some(_) => (AttemptOutcome::Refused, Reason::BadRequest),
        None if error.code().is_empty() => (AttemptOutcome::Refused, Reason::BadRequest),
        None => (gone, Reason::BadToken),
    }
}

/// Google's word, for the operator, where it is a word: capitals and `_` alone, so that no token is one.
pub(super) fn word(body: &[u8]) -> String {
    let error = Error::read(body);
    let is_word = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    match error.code() {
        code if code.len() <= 40 && code.bytes().all(is_word) => code.to_owned(),
        _ => String::new(),
    }
}

/// Whether the access token was refused: the pool asks for another and sends again, once.
pub(super) fn is_expired(status: u16, body: &[u8]) -> bool {
    status == 401 && Error::read(body).code().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GONE: AttemptOutcome = AttemptOutcome::AddressGone { since: None };
    const WRONG: AttemptOutcome = AttemptOutcome::Misconfigured;

    fn unavailable(retry_after: Option<Duration>) -> AttemptOutcome {
        AttemptOutcome::Unavailable { retry_after }
    }

    fn body(status: &str, details: &str) -> String {
        format!(
            r#"{{"error":{{"code":0,"message":"…","status":"{status}","details":[{details}]}}}}"#
        )
    }

    fn fcm(code: &str) -> String {
        format!(r#"{{"@type":"type.googleapis.com/{FCM_ERROR}","errorCode":"{code}"}}"#)
    }

    fn bad(field: &str) -> String {
        format!(
            r#"{{"@type":"type.googleapis.com/{BAD_REQUEST}","fieldViolations":[{{"field":"{field}","description":"…"}}]}}"#
        )
    }

    fn check(status: u16, body: &str, outcome: AttemptOutcome, why: Reason) {
        let answer = classify(status, body.as_bytes(), None);
        assert_eq!(answer, Answer::new(outcome, why), "{status} {body}");
    }

    #[test]
    fn every_row_of_firebases_table_has_its_class() {
        let throttled = AttemptOutcome::Throttled { retry_after: None };
        let ten = Some(UNAVAILABLE_WAIT);
        for (status, code, outcome, why) in [
            (400, "INVALID_ARGUMENT", GONE, Reason::BadToken),
            (404, "UNREGISTERED", GONE, Reason::Unregistered),
            (403, "SENDER_ID_MISMATCH", GONE, Reason::WrongApp),
            (401, "THIRD_PARTY_AUTH_ERROR", WRONG, Reason::Credential),
            (429, "QUOTA_EXCEEDED", throttled, Reason::Quota),
            (500, "INTERNAL", unavailable(None), Reason::ServerError),
            (503, "UNAVAILABLE", unavailable(ten), Reason::ServerUnavailable),
            (500, "UNSPECIFIED_ERROR", unavailable(None), Reason::UnknownAnswer),
        ] {
            check(status, &body("…", &fcm(code)), outcome, why);
        }
        for (status, canonical, outcome, why) in [
            (404, "NOT_FOUND", WRONG, Reason::NotFound),
            (403, "PERMISSION_DENIED", WRONG, Reason::Forbidden),
            (401, "UNAUTHENTICATED", WRONG, Reason::Credential),
            (429, "RESOURCE_EXHAUSTED", throttled, Reason::Quota),
            (500, "INTERNAL", unavailable(None), Reason::ServerError),
            (503, "UNAVAILABLE", unavailable(ten), Reason::ServerUnavailable),
        ] {
            check(status, &body(canonical, ""), outcome, why);
        }
    }

    #[test]
    fn a_wrong_field_is_our_bug_unless_it_is_the_token() {
        let argument = |details: &str| body("INVALID_ARGUMENT", details);
        let refused = AttemptOutcome::Refused;
        check(400, &argument(&bad("message.data[0].value")), refused, Reason::BadRequest);
        check(400, &argument(&bad("message.token")), GONE, Reason::BadToken);
        let both = format!("{},{}", fcm("INVALID_ARGUMENT"), bad("message.android.ttl"));
        check(400, &argument(&both), refused, Reason::BadRequest);
        check(400, &argument(""), refused, Reason::BadRequest);
    }

    #[test]
    fn an_unknown_code_is_judged_by_its_status_and_named_unknown() {
        let throttled = AttemptOutcome::Throttled { retry_after: None };
        let why = Reason::UnknownAnswer;
        check(400, &body("…", &fcm("NEW")), AttemptOutcome::Refused, why);
        check(403, &body("…", &fcm("NEW")), WRONG, why);
        check(429, &body("…", &fcm("NEW")), throttled, why);
        check(502, "<html>", unavailable(None), why);
    }

    #[test]
    fn retry_after_wins_where_it_is_longer_than_googles_least() {
        let wait = |status, code: &str, seconds| {
            let asked = Some(Duration::from_secs(seconds));
            classify(status, body("…", &fcm(code)).as_bytes(), asked).outcome
        };
        let seconds = |s| Some(Duration::from_secs(s));
        let throttled = AttemptOutcome::Throttled { retry_after: seconds(2) };
        assert_eq!(wait(429, "QUOTA_EXCEEDED", 2), throttled);
        assert_eq!(wait(503, "UNAVAILABLE", 2), unavailable(seconds(10)));
        assert_eq!(wait(503, "UNAVAILABLE", 30), unavailable(seconds(30)));
    }

    #[test]
    fn a_success_carries_googles_name_for_it() {
        let answer = classify(200, br#"{"name":"projects/p/messages/1"}"#, None);
        assert_eq!(answer.outcome, AttemptOutcome::Accepted);
        assert_eq!(answer.provider_id.as_deref(), Some("projects/p/messages/1"));
    }

    #[test]
    fn only_a_refused_access_token_is_renewed() {
        assert!(is_expired(401, body("UNAUTHENTICATED", "").as_bytes()));
        assert!(is_expired(401, b""));
        let third = body("UNAUTHENTICATED", &fcm("THIRD_PARTY_AUTH_ERROR"));
        assert!(!is_expired(401, third.as_bytes()));
        assert!(!is_expired(403, b""));
    }

    #[test]
    fn a_name_that_goes_into_an_event_is_short_and_plain() {
        let named = |name: &str| {
            let body = serde_json::json!({ "name": name }).to_string();
            classify(200, body.as_bytes(), None).provider_id
        };
        assert_eq!(named("projects/p/messages/1"), Some("projects/p/messages/1".to_owned()));
        for other in ["two\nlines", "a b", "\u{1b}[2J", &"x".repeat(257)] {
            assert_eq!(named(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_providers_word_is_told_only_where_it_is_a_plain_word() {
        let said = |code: &str| word(body("UNKNOWN", &fcm(code)).as_bytes());
        assert_eq!(said("SOMETHING_NEW"), "SOMETHING_NEW");
        for other in ["TWO\\nLINES", "dHVtbXk:APA91b", "A B", &"X".repeat(41)] {
            assert_eq!(said(other), "", "{other:?}");
        }
    }
}

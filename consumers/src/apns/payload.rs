//! A letter as APNs wants it. Source: Apple, "Sending notification requests to APNs" and "Generating
//! a remote notification".

use std::time::Duration;

use bytes::Bytes;
use edge::pool::Request;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue};
use schemas::ids::Timestamp;
use sealing::Tokens;
use serde::Serialize;

use crate::channel::Letter;
use crate::wording::{Language, Shown, fit, push};

/// Apple's bound on a payload, in bytes of JSON.
const MOST_BYTES: usize = 4_096;
/// Apple stores a notification for at most 30 days.
const LONGEST_STORED_S: i64 = 30 * 24 * 60 * 60;

#[derive(Serialize)]
struct Payload<'a> {
    aps: Aps<'a>,
    /// What the app opens; IO's name for it.
    message_id: &'a str,
}

#[derive(Serialize)]
struct Aps<'a> {
    alert: Alert<'a>,
    sound: &'static str,
}

#[derive(Serialize)]
struct Alert<'a> {
    title: &'a str,
    body: &'a str,
}

/// The request for `letter`. `None` where its address cannot be a device token: those are hexadecimal,
/// of no promised length.
pub(super) fn request(
    letter: &Letter,
    topic: &HeaderValue,
    tokens: &Tokens,
    now: Timestamp,
) -> Option<Request> {
    let token = &letter.address;
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let path = format!("/3/device/{}", token.to_ascii_lowercase());
    let path = PathAndQuery::try_from(path).ok()?;
    let text = |value: String| HeaderValue::try_from(value).ok();
    let name = HeaderName::from_static;
    let headers = vec![
        (name("apns-topic"), topic.clone()),
        (name("apns-push-type"), HeaderValue::from_static("alert")),
        (name("apns-priority"), HeaderValue::from_static("10")),
        (name("apns-id"), text(tokens.apns_id(letter.message_id, &letter.installation))?),
        (name("apns-expiration"), HeaderValue::from(expiration(letter.deadline, now))),
        (name("apns-collapse-id"), text(tokens.collapse_id(letter.message_id))?),
    ];
    Some(Request { path, headers, body: body(letter)?, stream_within: Duration::MAX })
}

/// Unix seconds, absolute; never 0, which would mean "do not store".
fn expiration(deadline: Timestamp, now: Timestamp) -> i64 {
    let seconds = |moment: Timestamp| moment.0.div_euclid(1_000);
    seconds(deadline).min(seconds(now) + LONGEST_STORED_S).max(1)
}

fn body(letter: &Letter) -> Option<Bytes> {
    let id = letter.message_id.to_string();
    let shown = push(&letter.words, Language::of(&letter.language));
    fit(shown, MOST_BYTES, |shown| encoded(shown, &id)).map(Bytes::from)
}

fn encoded(shown: &Shown, message_id: &str) -> Vec<u8> {
    let alert = Alert { title: &shown.title, body: &shown.body };
    let payload = Payload { aps: Aps { alert, sound: "default" }, message_id };
    serde_json::to_vec(&payload).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use schemas::content::Notice;
    use schemas::ids::{MessageId, Pseudonym};
    use sealing::{Keyring, SeededEntropy};

    use super::*;
    use crate::channel::Words;

    const NOW: Timestamp = Timestamp(1_800_000_000_500);

    fn letter(words: Words) -> Letter {
        Letter {
            message_id: MessageId::from_parts(1_700_000_000_000, 42),
            service_id: "01ARZ3NDEKTSV4RRFFQ69G5FAV".into(),
            citizen: Pseudonym([1; 16]),
            installation: "installation-1".into(),
            address: "00FFab12".into(),
            language: "it_IT".into(),
            words,
            deadline: Timestamp(NOW.0 + 3_600_000),
        }
    }

    fn full(organisation: &str, subject: &str) -> Words {
        Words::Full(Notice {
            organisation: organisation.into(),
            service: "Anagrafe".into(),
            subject: subject.into(),
        })
    }

    fn made(letter: &Letter) -> Request {
        let keyring = Keyring::generate(&SeededEntropy::new(1), NOW);
        let topic = HeaderValue::from_static("it.example.app");
        request(letter, &topic, keyring.tokens(), NOW).unwrap()
    }

    fn header(request: &Request, name: &str) -> String {
        let found = request.headers.iter().find(|(key, _)| key == name);
        found.unwrap().1.to_str().unwrap().to_owned()
    }

    #[test]
    fn the_body_is_an_alert_with_sound_and_the_message_id() {
        let check = |words, expected: &str| {
            assert_eq!(made(&letter(words)).body, expected.as_bytes());
        };
        check(
            Words::Anonymous,
            r#"{"aps":{"alert":{"title":"Hai un nuovo messaggio","body":"Entra nell'app per leggerlo"},"sound":"default"},"message_id":"01HF7YAT00000000000000001A"}"#,
        );
        check(
            full("Comune di Laricheto", "La tua carta"),
            r#"{"aps":{"alert":{"title":"Comune di Laricheto","body":"La tua carta"},"sound":"default"},"message_id":"01HF7YAT00000000000000001A"}"#,
        );
    }

    #[test]
    fn the_headers_are_those_of_an_alert_and_the_token_is_in_lower_case() {
        let request = made(&letter(Words::Anonymous));
        assert_eq!(request.path, "/3/device/00ffab12");
        assert_eq!(header(&request, "apns-topic"), "it.example.app");
        assert_eq!(header(&request, "apns-push-type"), "alert");
        assert_eq!(header(&request, "apns-priority"), "10");
        assert_eq!(header(&request, "apns-expiration"), "1800003600");
        assert!(header(&request, "apns-collapse-id").len() <= 64);
        assert_eq!(request.headers.len(), 6);
    }

    #[test]
    fn a_repeat_carries_the_same_ids_and_another_device_another_apns_id() {
        let (first, mut other) = (letter(Words::Anonymous), letter(Words::Anonymous));
        other.installation = "installation-2".into();
        let id = |letter: &Letter| header(&made(letter), "apns-id");
        let collapse = |letter: &Letter| header(&made(letter), "apns-collapse-id");
        assert_eq!(id(&first), id(&first));
        assert_ne!(id(&first), id(&other));
        assert_eq!(collapse(&first), collapse(&other));
    }

    #[test]
    fn it_is_stored_until_the_deadline_and_at_most_thirty_days() {
        let day = 24 * 60 * 60 * 1_000;
        for (deadline, expected) in [
            (NOW.0 + 5_000, 1_800_000_005),
            (NOW.0 + 29 * day, 1_800_000_000 + 29 * 86_400),
            (NOW.0 + 31 * day, 1_800_000_000 + 30 * 86_400),
            (0, 1),
        ] {
            assert_eq!(expiration(Timestamp(deadline), NOW), expected, "{deadline}");
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_and_the_message_id_stays() {
        let long = "\u{1f4ec}\"è".repeat(2_000);
        for words in [full("Comune", &long), full(&long, "Oggetto"), full(&long, &long)] {
            let body = made(&letter(words)).body;
            assert!(body.len() <= MOST_BYTES, "{}", body.len());
            let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(json["message_id"], "01HF7YAT00000000000000001A");
        }
    }

    #[test]
    fn what_is_not_hexadecimal_is_no_token() {
        for address in ["", "xyz", "00ff/../1", "00 ff", "00ff?x=1"] {
            let mut letter = letter(Words::Anonymous);
            letter.address = address.into();
            let keyring = Keyring::generate(&SeededEntropy::new(1), NOW);
            let topic = HeaderValue::from_static("it.example.app");
            assert!(request(&letter, &topic, keyring.tokens(), NOW).is_none(), "{address}");
        }
    }
}

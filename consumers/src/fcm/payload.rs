//! A letter as FCM wants it. Source: Firebase, "REST Resource: projects.messages"; names in camelCase,
//! as the generated schema has them.

use std::time::Duration;

use bytes::Bytes;
use schemas::ids::Timestamp;
use sealing::Tokens;
use serde::Serialize;

use super::config::FcmConfig;
use crate::channel::Letter;
use crate::wording::{Language, Shown, fit, push};

/// Google's bound on a payload, kept for the whole body.
const MOST_BYTES: usize = 4_096;
/// Google keeps a message for at most 28 days.
const LONGEST_KEPT: Duration = Duration::from_secs(2_419_200);

#[derive(Serialize)]
struct Body<'a> {
    message: Message<'a>,
}

#[derive(Serialize)]
struct Message<'a> {
    token: &'a str,
    notification: Notification<'a>,
    data: Data<'a>,
    android: Android<'a>,
}

#[derive(Serialize)]
struct Notification<'a> {
    title: &'a str,
    body: &'a str,
}

#[derive(Serialize)]
struct Data<'a> {
    /// What the app opens; IO's name for it.
    message_id: &'a str,
}

#[derive(Serialize)]
struct Android<'a> {
    priority: &'static str,
    ttl: String,
    notification: AndroidNotification<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AndroidNotification<'a> {
    /// A shown notification of the same tag is replaced.
    tag: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    icon: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    channel_id: &'a str,
}

/// The body of the request for `letter`; `None` where nothing fits because of the token's length.
pub(super) fn body(
    letter: &Letter,
    config: &FcmConfig,
    tokens: &Tokens,
    now: Timestamp,
) -> Option<Bytes> {
    let id = letter.message_id.to_string();
    let tag = tokens.collapse_id(letter.message_id);
    let shown = push(&letter.words, Language::of(&letter.language));
    let encode = |shown: &Shown| {
        let Shown { title, body } = shown;
        let notification = AndroidNotification {
            tag: &tag,
            icon: &config.icon,
            channel_id: &config.notification_channel,
        };
        let message = Message {
            token: &letter.address,
            notification: Notification { title, body },
            data: Data { message_id: &id },
            android: Android { priority: "HIGH", ttl: ttl(letter.deadline, now), notification },
        };
        serde_json::to_vec(&Body { message }).unwrap_or_default()
    };
    fit(shown, MOST_BYTES, encode).map(Bytes::from)
}

/// From now to the deadline, in whole seconds.
fn ttl(deadline: Timestamp, now: Timestamp) -> String {
    format!("{}s", deadline.since(now).min(LONGEST_KEPT).as_secs())
}

#[cfg(test)]
mod tests {
    use schemas::content::Notice;
    use schemas::ids::{MessageId, Pseudonym};
    use sealing::{Keyring, SeededEntropy};

    use super::*;
    use crate::channel::Words;

    const NOW: Timestamp = Timestamp(1_800_000_000_500);

    fn letter(words: Words, token: &str) -> Letter {
        Letter {
            message_id: MessageId::from_parts(1_700_000_000_000, 42),
            service_id: "01ARZ3NDEKTSV4RRFFQ69G5FAV".into(),
            citizen: Pseudonym([1; 16]),
            installation: "installation-1".into(),
            address: token.into(),
            language: "fr_FR".into(),
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

    fn made(letter: &Letter) -> Option<Bytes> {
        let keyring = Keyring::generate(&SeededEntropy::new(1), NOW);
        body(letter, &FcmConfig::default(), keyring.tokens(), NOW)
    }

    fn check(words: Words, title: &str, text: &str) {
        let keyring = Keyring::generate(&SeededEntropy::new(1), NOW);
        let tag = keyring.tokens().collapse_id(MessageId::from_parts(1_700_000_000_000, 42));
        let expected = format!(
            r#"{{"message":{{"token":"tok:en","notification":{{"title":"{title}","body":"{text}"}},"data":{{"message_id":"01HF7YAT00000000000000001A"}},"android":{{"priority":"HIGH","ttl":"3600s","notification":{{"tag":"{tag}","icon":"ic_notification"}}}}}}}}"#
        );
        let body = made(&letter(words, "tok:en")).unwrap();
        assert_eq!(String::from_utf8_lossy(&body), expected);
    }

    #[test]
    fn the_body_has_the_words_the_message_id_the_tag_and_the_time_left() {
        check(
            Words::Anonymous,
            "Vous avez un nouveau message",
            "Ouvrez l'application pour le lire",
        );
        check(full("Valdoria", "Votre carte"), "Valdoria", "Votre carte");
    }

    #[test]
    fn it_is_kept_until_the_deadline_and_at_most_four_weeks() {
        let day = 24 * 60 * 60 * 1_000;
        for (deadline, expected) in [
            (NOW.0 - 1, "0s"),
            (NOW.0 + 1_999, "1s"),
            (NOW.0 + 27 * day, "2332800s"),
            (NOW.0 + 29 * day, "2419200s"),
        ] {
            assert_eq!(ttl(Timestamp(deadline), NOW), expected);
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_and_the_message_id_stays() {
        let long = "\u{1f4ec}\"è".repeat(2_000);
        for words in [full("Comune", &long), full(&long, "Oggetto"), full(&long, &long)] {
            let body = made(&letter(words, "token")).unwrap();
            assert!(body.len() <= MOST_BYTES, "{}", body.len());
            let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(json["message"]["data"]["message_id"], "01HF7YAT00000000000000001A");
        }
    }

    #[test]
    fn a_token_that_leaves_no_room_is_not_sent() {
        assert!(made(&letter(Words::Anonymous, &"t".repeat(5_000))).is_none());
    }
}

//! What providers answer, row by row, with the class that each row has by the providers' own pages:
//! the model's second opinion on every `classify`.

use std::time::Duration;

use consumers::email::{Enhanced, Phase, Reply};
use policy::outcome::{Answer, AttemptOutcome};
use schemas::ids::Timestamp;
use schemas::records::{OutcomeKind, Reason};
use schemas::topics::Channel;

use OutcomeKind::{
    Accepted, AddressGone, Indeterminate, Misconfigured, Refused, Throttled, Unavailable,
};

/// One answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub said: Said,
    pub kind: OutcomeKind,
    /// Not to be asked again before this has passed.
    pub wait: Option<Duration>,
    /// The request left us: it counts as a try.
    pub left: bool,
}

/// The answer as it came over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    Apns(u16, &'static str),
    /// Status, `errorCode`, `Retry-After` in seconds.
    Fcm(u16, &'static str, Option<u64>),
    Smtp(Phase, u16, Option<Enhanced>),
    /// No answer; the pool gives up.
    Nothing,
    /// No connection: nothing left.
    Unreached,
}

const fn row(said: Said, kind: OutcomeKind) -> Row {
    Row { said, kind, wait: None, left: true }
}

const fn later(said: Said, kind: OutcomeKind, seconds: u64) -> Row {
    Row { said, kind, wait: Some(Duration::from_secs(seconds)), left: true }
}

/// What any edge may meet without a word of the provider.
const SILENCE: Row = row(Said::Nothing, Indeterminate);
const UNREACHED: Row = Row { left: false, ..row(Said::Unreached, Unavailable) };

const APNS: &[Row] = &[
    row(Said::Apns(200, ""), Accepted),
    row(Said::Apns(400, "BadCollapseId"), Refused),
    row(Said::Apns(400, "BadExpirationDate"), Refused),
    row(Said::Apns(400, "BadMessageId"), Refused),
    row(Said::Apns(400, "BadPriority"), Refused),
    row(Said::Apns(400, "BadTopic"), Refused),
    row(Said::Apns(400, "InvalidPushType"), Refused),
    row(Said::Apns(400, "DuplicateHeaders"), Refused),
    row(Said::Apns(400, "MissingDeviceToken"), Refused),
    row(Said::Apns(400, "MissingTopic"), Refused),
    row(Said::Apns(400, "PayloadEmpty"), Refused),
    row(Said::Apns(404, "BadPath"), Refused),
    row(Said::Apns(405, "MethodNotAllowed"), Refused),
    row(Said::Apns(413, "PayloadTooLarge"), Refused),
    row(Said::Apns(400, "BadDeviceToken"), AddressGone),
    row(Said::Apns(400, "DeviceTokenNotForTopic"), AddressGone),
    row(Said::Apns(410, "Unregistered"), AddressGone),
    row(Said::Apns(410, "ExpiredToken"), AddressGone),
    row(Said::Apns(400, "TopicDisallowed"), Misconfigured),
    row(Said::Apns(403, "BadCertificate"), Misconfigured),
    row(Said::Apns(403, "BadCertificateEnvironment"), Misconfigured),
    row(Said::Apns(403, "ExpiredProviderToken"), Misconfigured),
    row(Said::Apns(403, "Forbidden"), Misconfigured),
    row(Said::Apns(403, "InvalidProviderToken"), Misconfigured),
    row(Said::Apns(403, "MissingProviderToken"), Misconfigured),
    row(Said::Apns(403, "UnrelatedKeyIdInToken"), Misconfigured),
    row(Said::Apns(403, "BadEnvironmentKeyIdInToken"), Misconfigured),
    row(Said::Apns(403, "BadEnvironmentKeyInToken"), Misconfigured),
    later(Said::Apns(429, "TooManyRequests"), Throttled, 60),
    later(Said::Apns(429, "TooManyProviderTokenUpdates"), Throttled, 60),
    later(Said::Apns(500, "InternalServerError"), Unavailable, 900),
    row(Said::Apns(400, "IdleTimeout"), Unavailable),
    row(Said::Apns(503, "ServiceUnavailable"), Unavailable),
    row(Said::Apns(503, "Shutdown"), Unavailable),
    // Reasons that no page lists: the status decides.
    row(Said::Apns(400, "SomethingNew"), Refused),
    later(Said::Apns(429, "SomethingNew"), Throttled, 60),
    row(Said::Apns(502, ""), Unavailable),
    SILENCE,
    UNREACHED,
];

const FCM: &[Row] = &[
    row(Said::Fcm(200, "", None), Accepted),
    row(Said::Fcm(400, "", None), Refused),
    row(Said::Fcm(413, "", None), Refused),
    row(Said::Fcm(400, "INVALID_ARGUMENT", None), AddressGone),
    row(Said::Fcm(404, "UNREGISTERED", None), AddressGone),
    row(Said::Fcm(403, "SENDER_ID_MISMATCH", None), AddressGone),
    row(Said::Fcm(401, "THIRD_PARTY_AUTH_ERROR", None), Misconfigured),
    row(Said::Fcm(401, "", None), Misconfigured),
    row(Said::Fcm(403, "", None), Misconfigured),
    row(Said::Fcm(404, "", None), Misconfigured),
    later(Said::Fcm(429, "QUOTA_EXCEEDED", None), Throttled, 60),
    later(Said::Fcm(429, "QUOTA_EXCEEDED", Some(90)), Throttled, 90),
    later(Said::Fcm(429, "", Some(400)), Throttled, 400),
    later(Said::Fcm(503, "UNAVAILABLE", None), Unavailable, 10),
    later(Said::Fcm(503, "UNAVAILABLE", Some(2)), Unavailable, 10),
    later(Said::Fcm(503, "UNAVAILABLE", Some(600)), Unavailable, 600),
    row(Said::Fcm(500, "INTERNAL", None), Unavailable),
    row(Said::Fcm(500, "UNSPECIFIED_ERROR", None), Unavailable),
    row(Said::Fcm(502, "", None), Unavailable),
    row(Said::Fcm(400, "SOMETHING_NEW", None), Refused),
    SILENCE,
    UNREACHED,
];

const MAIL: &[Row] = &[
    row(Said::Smtp(Phase::Dot, 250, None), Accepted),
    later(Said::Smtp(Phase::Greeting, 421, None), Unavailable, 300),
    later(Said::Smtp(Phase::Rcpt, 450, None), Unavailable, 300),
    later(Said::Smtp(Phase::Dot, 452, None), Unavailable, 300),
    later(Said::Smtp(Phase::Rcpt, 452, Some(Enhanced(4, 2, 2))), Unavailable, 300),
    later(Said::Smtp(Phase::Rcpt, 451, Some(Enhanced(4, 4, 1))), Unavailable, 300),
    later(Said::Smtp(Phase::Rcpt, 451, Some(Enhanced(4, 7, 1))), Throttled, 300),
    row(Said::Smtp(Phase::Mail, 530, Some(Enhanced(5, 7, 0))), Misconfigured),
    row(Said::Smtp(Phase::Auth, 535, Some(Enhanced(5, 7, 8))), Misconfigured),
    row(Said::Smtp(Phase::Mail, 550, Some(Enhanced(5, 7, 1))), Misconfigured),
    row(Said::Smtp(Phase::Rcpt, 550, None), AddressGone),
    row(Said::Smtp(Phase::Rcpt, 550, Some(Enhanced(5, 1, 1))), AddressGone),
    row(Said::Smtp(Phase::Rcpt, 556, Some(Enhanced(5, 1, 10))), AddressGone),
    row(Said::Smtp(Phase::Dot, 550, Some(Enhanced(5, 1, 1))), Refused),
    row(Said::Smtp(Phase::Rcpt, 550, Some(Enhanced(5, 2, 1))), Refused),
    row(Said::Smtp(Phase::Rcpt, 552, Some(Enhanced(5, 2, 2))), Refused),
    row(Said::Smtp(Phase::Mail, 552, Some(Enhanced(5, 3, 4))), Refused),
    row(Said::Smtp(Phase::Rcpt, 451, Some(Enhanced(4, 4, 7))), Refused),
    row(Said::Smtp(Phase::Rcpt, 550, Some(Enhanced(5, 7, 1))), Refused),
    row(Said::Smtp(Phase::Data, 554, None), Refused),
    SILENCE,
    UNREACHED,
];

/// All rows of a channel.
#[must_use]
pub fn rows(channel: Channel) -> &'static [Row] {
    match channel {
        Channel::Apns => APNS,
        Channel::Fcm => FCM,
        Channel::Email => MAIL,
    }
}

/// What the shipped code makes of a row.
#[must_use]
pub fn answer(said: Said, now: Timestamp) -> Answer {
    match said {
        Said::Apns(status, reason) => {
            let body = format!(r#"{{"reason":"{reason}","timestamp":{}}}"#, now.0 - 1_000);
            consumers::apns::classify(status, body.as_bytes(), now)
        }
        Said::Fcm(status, code, wait) => {
            let kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError";
            let detail = match code {
                "" => String::new(),
                code => format!(r#"{{"@type":"{kind}","errorCode":"{code}"}}"#),
            };
            let body = format!(r#"{{"error":{{"code":{status},"details":[{detail}]}}}}"#);
            consumers::fcm::classify(status, body.as_bytes(), wait.map(Duration::from_secs))
        }
        Said::Smtp(phase, code, enhanced) => {
            consumers::email::classify(phase, Reply { code, enhanced, names_a_rate: false })
        }
        Said::Nothing => Answer::new(AttemptOutcome::Indeterminate, Reason::NoAnswer),
        Said::Unreached => consumers::gate::unsent(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_classes_are_those_of_the_table() {
        for row in Channel::ALL.into_iter().flat_map(rows) {
            assert_eq!(answer(row.said, Timestamp(5_000)).outcome.kind(), row.kind, "{row:?}");
        }
    }

    #[test]
    fn every_class_has_a_row_on_every_channel() {
        for channel in Channel::ALL {
            for kind in OutcomeKind::ALL {
                assert!(rows(channel).iter().any(|row| row.kind == *kind), "{channel:?} {kind:?}");
            }
        }
    }
}

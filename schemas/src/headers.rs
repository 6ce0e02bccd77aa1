//! What every record carries beside its value: enough that an undecodable one still ends with a status.

use crate::ids::{MessageId, ServiceId, Timestamp};
use crate::topics::Channel;

/// Raw headers as the log keeps them, in order.
pub type RawHeaders = Vec<(String, Vec<u8>)>;

/// What an `Idempotency-Key` claims. Keyed hashes only: neither key nor body can be told from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Of service and key.
    pub name: [u8; 32],
    /// Of the request that used the key.
    pub request: [u8; 32],
}

/// The headers of a record. All optional: what is absent is not written; what is not understood is dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// CloudEvents `id`: deterministic, so that a repeat is recognised.
    pub ce_id: Option<String>,
    /// CloudEvents `type`.
    pub ce_type: Option<String>,
    pub message_id: Option<MessageId>,
    pub service_id: Option<ServiceId>,
    pub epoch: Option<i32>,
    /// The sequence number that the message's next status takes.
    pub next_sequence: Option<i32>,
    /// When the message was accepted; latencies are counted from here.
    pub accepted_at: Option<Timestamp>,
    /// Sends that left so far.
    pub attempt: Option<i32>,
    /// A delayed record is due from here on.
    pub not_before: Option<Timestamp>,
    /// The topic that a delayed record returns to.
    pub return_to: Option<String>,
    /// Why a record waits or was set aside: a word of `Reason`, never a provider's text.
    pub cause: Option<String>,
    /// Edges that were down when the record left, and until when as far as was known: the next stage
    /// need not be of the process that knows, and must not hand the record back. `apns=<ms>,fcm=<ms>`.
    pub down: Vec<(Channel, Timestamp)>,
    /// Of an accepted message whose sender gave an `Idempotency-Key`, so that claims can be rebuilt from
    /// the log. 128 hexadecimal digits: name, then request.
    pub claim: Option<Claim>,
}

impl Headers {
    /// As the log keeps them.
    #[must_use]
    pub fn to_raw(&self) -> RawHeaders {
        let mut raw = RawHeaders::new();
        let mut put = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                raw.push((name.to_owned(), value.into_bytes()));
            }
        };
        put("traceparent", self.traceparent.clone());
        put("ce_id", self.ce_id.clone());
        put("ce_type", self.ce_type.clone());
        put("message_id", self.message_id.map(|id| id.to_string()));
        put("service_id", self.service_id.as_ref().map(ToString::to_string));
        put("epoch", self.epoch.map(|n| n.to_string()));
        put("next_sequence", self.next_sequence.map(|n| n.to_string()));
        put("accepted_at", self.accepted_at.map(|at| at.0.to_string()));
        put("attempt", self.attempt.map(|n| n.to_string()));
        put("not_before", self.not_before.map(|at| at.0.to_string()));
        put("return_to", self.return_to.clone());
        put("cause", self.cause.clone());
        put("down", (!self.down.is_empty()).then(|| written(&self.down)));
        put("claim", self.claim.map(Claim::to_text));
        raw
    }

    /// From what the log gave. A value that does not parse counts as absent: headers never stop a record.
    #[must_use]
    pub fn from_raw(raw: &[(String, Vec<u8>)]) -> Self {
        let text = |name: &str| -> Option<&str> {
            let (_, value) = raw.iter().find(|(key, _)| key == name)?;
            std::str::from_utf8(value).ok()
        };
        let number = |name| text(name).and_then(|value| value.parse().ok());
        let moment = |name| text(name).and_then(|value| value.parse().ok()).map(Timestamp);
        Self {
            traceparent: text("traceparent").map(str::to_owned),
            ce_id: text("ce_id").map(str::to_owned),
            ce_type: text("ce_type").map(str::to_owned),
            message_id: text("message_id").and_then(|value| value.parse().ok()),
            service_id: text("service_id").map(ServiceId::from),
            epoch: number("epoch"),
            next_sequence: number("next_sequence"),
            accepted_at: moment("accepted_at"),
            attempt: number("attempt"),
            not_before: moment("not_before"),
            return_to: text("return_to").map(str::to_owned),
            cause: text("cause").map(str::to_owned),
            down: text("down").map(read).unwrap_or_default(),
            claim: text("claim").and_then(Claim::from_text),
        }
    }
}

impl Claim {
    fn to_text(self) -> String {
        self.name.iter().chain(&self.request).map(|byte| format!("{byte:02x}")).collect()
    }

    fn from_text(text: &str) -> Option<Self> {
        let digits: Option<Vec<u32>> = text.chars().map(|it| it.to_digit(16)).collect();
        let bytes: Vec<u8> = digits?
            .chunks_exact(2)
            .filter_map(|two| u8::try_from(16 * two[0] + two[1]).ok())
            .collect();
        let (name, request) = bytes.split_at_checked(32).filter(|_| text.len() == 128)?;
        Some(Self { name: name.try_into().ok()?, request: request.try_into().ok()? })
    }
}

fn written(down: &[(Channel, Timestamp)]) -> String {
    let each = down.iter().map(|(channel, until)| format!("{}={}", channel.name(), until.0));
    each.collect::<Vec<_>>().join(",")
}

/// One moment for each channel at most; what is not understood is dropped.
fn read(text: &str) -> Vec<(Channel, Timestamp)> {
    let until = |channel: Channel| {
        let mut words = text.split(',').filter_map(|word| word.split_once('='));
        let (_, until) = words.find(|(name, _)| *name == channel.name())?;
        Some((channel, Timestamp(until.parse().ok()?)))
    };
    Channel::ALL.into_iter().filter_map(until).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_survive_the_round_trip_each_with_a_value_of_its_own() {
        let headers = Headers {
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
            ce_id: Some("a".into()),
            ce_type: Some("b".into()),
            message_id: Some(MessageId::from_parts(7, 8)),
            service_id: Some("c".into()),
            epoch: Some(1),
            next_sequence: Some(2),
            accepted_at: Some(Timestamp(3)),
            attempt: Some(4),
            not_before: Some(Timestamp(5)),
            return_to: Some("d".into()),
            cause: Some("e".into()),
            down: vec![(Channel::Apns, Timestamp(6)), (Channel::Email, Timestamp(7))],
            claim: Some(Claim { name: [8; 32], request: [9; 32] }),
        };
        assert_eq!(Headers::from_raw(&headers.to_raw()), headers);
        assert_eq!(headers.to_raw().len(), 14);
    }

    #[test]
    fn a_header_that_does_not_parse_counts_as_absent() {
        let raw = vec![("attempt".to_owned(), b"many".to_vec())];
        assert_eq!(Headers::from_raw(&raw), Headers::default());
        let raw = vec![("down".to_owned(), b"apns,fcm=soon,post=1,email=7,email=8".to_vec())];
        assert_eq!(Headers::from_raw(&raw).down, [(Channel::Email, Timestamp(7))]);
        for text in [
            "",
            "07",
            &"07".repeat(63),
            &"07".repeat(65),
            &"7".repeat(129),
            &"+7".repeat(64),
            &"è".repeat(64),
        ] {
            let raw = vec![("claim".to_owned(), text.as_bytes().to_vec())];
            assert_eq!(Headers::from_raw(&raw).claim, None, "{text}");
        }
    }
}

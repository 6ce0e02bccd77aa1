//! Setting a record aside: sealed, with its cause, and with the status that says so.

use std::sync::Arc;

use schemas::codec::Codec;
use schemas::headers::{Headers, RawHeaders};
use schemas::ids::Timestamp;
use schemas::records::{DeadLetter, MessageStatus, Reason, Sealed, Status};
use schemas::topics::Topic;

use crate::log::{Incoming, Outgoing};

/// Seals bytes under a key with a stated life, bound to where they came from (`topic/partition/offset`);
/// gives the wrapped key and the sealed bytes. The runtime knows no keys: the binary passes this in.
pub type SealBytes = Arc<dyn Fn(&str, &[u8]) -> Result<(Vec<u8>, Vec<u8>), Reason> + Send + Sync>;

/// The record that goes to the dead letters.
///
/// # Errors
/// A reason of ours (no key at hand): a dead letter that cannot be written is a fault.
pub fn letter(
    record: &Incoming,
    stage: &str,
    why: Reason,
    seal: &SealBytes,
    codec: &Codec,
    now: Timestamp,
) -> Result<Outgoing, Reason> {
    let origin = record.position.at.topic.name();
    let place = format!("{origin}/{}/{}", record.position.at.partition, record.position.offset);
    let (wrapped_key, sealed) = seal(&place, &flatten(record))?;
    let headers = Headers::from_raw(&record.headers);
    let letter = DeadLetter {
        topic: origin.to_owned(),
        partition: i32::try_from(record.position.at.partition).unwrap_or(i32::MAX),
        offset: i64::try_from(record.position.offset).unwrap_or(i64::MAX),
        stage: stage.to_owned(),
        cause: why.name().to_owned(),
        message_id: headers.message_id,
        at: now,
        wrapped_key: Sealed(wrapped_key),
        record: Sealed(sealed),
    };
    Ok(Outgoing {
        topic: Topic::DeadLetter,
        key: origin.as_bytes().to_vec(),
        partition_by: origin.as_bytes().to_vec(),
        value: Some(codec.encode(&letter)),
        headers: Headers { cause: Some(why.name().to_owned()), ..headers },
    })
}

/// The FAILED status of a message whose record nobody could decode, from the record's headers alone.
/// Absent where they do not name the message.
#[must_use]
pub fn failed(headers: &Headers, why: Reason, codec: &Codec, now: Timestamp) -> Option<Outgoing> {
    let status = MessageStatus {
        message_id: headers.message_id?,
        service_id: headers.service_id.clone()?,
        batch: None,
        epoch: headers.epoch.unwrap_or(0),
        sequence: headers.next_sequence?,
        status: Status::Failed,
        reason: why,
        channel: None,
        outcome: None,
        provider_id: None,
        attempt: headers.attempt.unwrap_or(0),
        at: now,
    };
    Some(status_record(&status, headers, codec))
}

/// A status event as it goes to its topic, with the headers that CloudEvents readers expect.
#[must_use]
pub fn status_record(status: &MessageStatus, cause: &Headers, codec: &Codec) -> Outgoing {
    let id = status.message_id;
    Outgoing {
        topic: Topic::Status,
        key: id.to_string().into_bytes(),
        partition_by: id.to_string().into_bytes(),
        value: Some(codec.encode(status)),
        headers: Headers {
            traceparent: cause.traceparent.clone(),
            ce_id: Some(format!("{id}-{}-{}", status.epoch, status.sequence)),
            ce_type: Some("it.staffetta.message.status".to_owned()),
            message_id: Some(id),
            service_id: Some(status.service_id.clone()),
            epoch: Some(status.epoch),
            accepted_at: cause.accepted_at,
            ..Headers::default()
        },
    }
}

/// A record as it was before it was set aside.
#[derive(Clone, PartialEq, Eq)]
pub struct Original {
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    pub headers: RawHeaders,
}

/// Reads back what [`letter`] sealed: key, value, then name and value of each header, every part with
/// its length before it (4 bytes, big-endian). Absent where the bytes do not follow that form.
#[must_use]
pub fn original(bytes: &[u8]) -> Option<Original> {
    let mut rest = bytes;
    let mut take = || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (part, after) = after.split_at_checked(length)?;
        rest = after;
        Some(part.to_vec())
    };
    let (key, value) = (take()?, take()?);
    let mut headers = RawHeaders::new();
    while let Some(name) = take() {
        headers.push((String::from_utf8(name).ok()?, take()?));
    }
    rest.is_empty().then_some(Original { key, value, headers })
}

/// Key, value and headers as length-prefixed bytes: what a redrive reads back.
fn flatten(record: &Incoming) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut put = |part: &[u8]| {
        bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(part);
    };
    put(&record.key);
    put(record.value.as_deref().unwrap_or_default());
    for (name, value) in &record.headers {
        put(name.as_bytes());
        put(value);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Position, TopicPartition};

    fn record() -> Incoming {
        let at = TopicPartition { topic: Topic::Status, partition: 0 };
        Incoming {
            position: Position { at, offset: 7 },
            appended_at: Timestamp(0),
            key: b"key".to_vec(),
            value: Some(b"value".to_vec()),
            headers: vec![("epoch".into(), b"1".to_vec()), ("cause".into(), Vec::new())],
        }
    }

    #[test]
    fn what_is_set_aside_reads_back_as_it_was() {
        let read = original(&flatten(&record())).expect("own bytes");
        assert!(read.key == b"key" && read.value == b"value");
        assert_eq!(read.headers, record().headers);
    }

    #[test]
    fn a_letter_cut_anywhere_between_its_parts_is_none_or_loses_whole_headers_only() {
        let whole = flatten(&record());
        for length in 0..whole.len() {
            if let Some(read) = original(&whole[..length]) {
                assert!(read.value == b"value" && read.headers.len() < record().headers.len());
            }
        }
    }
}

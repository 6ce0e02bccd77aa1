//! Setting a record aside: sealed, with its cause, and with the status that says so.

use std::sync::Arc;

use schemas::codec::Codec;
use schemas::headers::Headers;
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

/// Key, headers and value as length-prefixed bytes: what a redrive reads back.
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

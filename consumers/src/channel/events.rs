//! The events that a message leaves on its way, numbered without a gap.

use runtime::dead::status_record;
use runtime::log::Outgoing;
use schemas::codec::Codec;
use schemas::headers::Headers;
use schemas::ids::{MessageId, ServiceId, Timestamp};
use schemas::records::{
    BatchRow, MessageAccepted, MessageStatus, OutcomeKind, Reason, Status, Story,
};
use schemas::topics::Channel;

/// Numbers a message's events and turns them into records.
pub struct Events<'a> {
    codec: &'a Codec,
    headers: &'a Headers,
    message_id: MessageId,
    service_id: ServiceId,
    batch: Option<BatchRow>,
    pub epoch: i32,
    pub next_sequence: i32,
    pub attempt: i32,
    pub records: Vec<Outgoing>,
}

/// The events of an accepted message: epoch and sequence go on from where its record's headers stand;
/// `first` is the sequence of a record whose headers do not say.
#[must_use]
pub fn of_message<'a>(
    accepted: &MessageAccepted,
    first: i32,
    headers: &'a Headers,
    codec: &'a Codec,
) -> Events<'a> {
    Events {
        codec,
        headers,
        message_id: accepted.message_id,
        service_id: accepted.service_id.clone(),
        batch: accepted.batch.clone(),
        epoch: headers.epoch.unwrap_or(0),
        next_sequence: headers.next_sequence.unwrap_or(first),
        attempt: 0,
        records: Vec::new(),
    }
}

impl<'a> Events<'a> {
    /// The events of a story, from where it stands.
    #[must_use]
    pub fn of_story(story: &Story, headers: &'a Headers, codec: &'a Codec) -> Self {
        Self {
            codec,
            headers,
            message_id: story.message_id,
            service_id: story.service_id.clone(),
            batch: story.batch.clone(),
            epoch: story.epoch,
            next_sequence: story.next_sequence,
            attempt: story.tries,
            records: Vec::new(),
        }
    }

    /// An event without a provider behind it.
    pub fn say(&mut self, status: Status, reason: Reason, at: Timestamp) {
        self.push(status, reason, None, None, at);
    }

    /// An event about a send.
    pub fn say_of(
        &mut self,
        status: Status,
        reason: Reason,
        send: (Channel, OutcomeKind),
        provider_id: Option<String>,
        at: Timestamp,
    ) {
        self.push(status, reason, Some(send), provider_id, at);
    }

    fn push(
        &mut self,
        status: Status,
        reason: Reason,
        send: Option<(Channel, OutcomeKind)>,
        provider_id: Option<String>,
        at: Timestamp,
    ) {
        let event = MessageStatus {
            message_id: self.message_id,
            service_id: self.service_id.clone(),
            batch: self.batch.clone(),
            epoch: self.epoch,
            sequence: self.next_sequence,
            status,
            reason,
            channel: send.map(|(channel, _)| channel),
            outcome: send.map(|(_, outcome)| outcome),
            provider_id,
            attempt: self.attempt,
            at,
        };
        self.next_sequence += 1;
        self.records.push(status_record(&event, self.headers, self.codec));
    }
}

//! What the view holds of one message.

use std::collections::BTreeMap;

use runtime::log::{Incoming, Position};
use schemas::codec::{Codec, DecodeError};
use schemas::ids::{MessageId, Pseudonym, ServiceId, Timestamp};
use schemas::records::{MessageAccepted, MessageStatus};
use schemas::topics::{Channel, Lane, Topic};

use crate::view::{ViewError, unread};

/// Events without a rank (attempts, waiting) that are kept of one message; the oldest leave first.
pub(super) const TIMELINE: usize = 32;

/// Where an event stands among those of its message: epoch, then sequence.
pub type Place = (i32, i32);

/// What the acceptance said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub service_id: ServiceId,
    pub citizen: Pseudonym,
    pub lane: Lane,
    pub accepted_at: Timestamp,
    pub expires_at: Timestamp,
    /// Where the accepted record lies.
    pub position: Position,
}

/// One message. At least one of `accepted` and `events` is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// Absent where the record is older than its topic keeps, or not read yet.
    pub accepted: Option<Accepted>,
    events: BTreeMap<Place, MessageStatus>,
}

/// What a record tells of a message.
#[derive(Debug, Clone)]
pub enum News {
    Accepted(Accepted),
    Event(MessageStatus),
}

impl Entry {
    /// Takes news in; order and repetition do not matter.
    pub fn take(&mut self, news: News) {
        match news {
            // The first acceptance stays: a later one is a duplicate that consent will drop.
            News::Accepted(accepted) => {
                self.accepted.get_or_insert(accepted);
            }
            News::Event(event) => {
                self.events.insert((event.epoch, event.sequence), event);
                self.trim();
            }
        }
    }

    fn trim(&mut self) {
        let unranked = |event: &MessageStatus| policy::status::rank(event.status).is_none();
        let surplus = self.events.values().filter(|event| unranked(event)).count();
        for _ in TIMELINE..surplus {
            let oldest = self.events.iter().find(|(_, event)| unranked(event)).map(|(at, _)| *at);
            oldest.and_then(|at| self.events.remove(&at));
        }
    }

    /// All events kept, in order.
    pub fn timeline(&self) -> impl Iterator<Item = &MessageStatus> {
        self.events.values()
    }

    /// The event that is the message's status now; absent while it is only accepted, or unknown.
    #[must_use]
    pub fn status(&self) -> Option<&MessageStatus> {
        self.events.values().fold(None, |current, event| {
            if policy::status::advance(current, event) { Some(event) } else { current }
        })
    }

    /// The newest event of any kind.
    #[must_use]
    pub fn newest(&self) -> Option<&MessageStatus> {
        self.events.values().next_back()
    }

    /// Where the newest event stands: what [`wait_change`](super::StatusView::wait_change) takes.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        self.events.keys().next_back().copied()
    }

    /// The last event of each channel that carries an outcome.
    #[must_use]
    pub fn outcomes(&self) -> BTreeMap<Channel, &MessageStatus> {
        let tried = self.events.values().filter(|event| event.outcome.is_some());
        tried.filter_map(|event| event.channel.map(|channel| (channel, event))).collect()
    }

    /// Whose message it is.
    #[must_use]
    pub fn service_id(&self) -> Option<&ServiceId> {
        let accepted = self.accepted.as_ref().map(|accepted| &accepted.service_id);
        accepted.or_else(|| self.newest().map(|event| &event.service_id))
    }
}

impl News {
    /// The news in a record of [`topics`](super::topics), with the message it is about; absent where
    /// the record tells nothing (undecodable, a tombstone).
    ///
    /// # Errors
    /// `Down`: another version of this program can read it.
    pub fn read(record: &Incoming, codec: &Codec) -> Result<Option<(MessageId, Self)>, ViewError> {
        let Some(value) = &record.value else { return Ok(None) };
        match Self::decode(record, value, codec) {
            Ok(news) => Ok(Some(news)),
            Err(error) if error.is_of_another_version() => Err(unread(record, &error)),
            Err(_) => Ok(None),
        }
    }

    fn decode(
        record: &Incoming,
        value: &[u8],
        codec: &Codec,
    ) -> Result<(MessageId, Self), DecodeError> {
        if record.position.at.topic == Topic::Status {
            let event: MessageStatus = codec.decode(value)?;
            return Ok((event.message_id, Self::Event(event)));
        }
        let accepted: MessageAccepted = codec.decode(value)?;
        let id = accepted.message_id;
        let accepted = Accepted {
            service_id: accepted.service_id,
            citizen: accepted.citizen,
            lane: accepted.lane,
            accepted_at: accepted.accepted_at,
            expires_at: accepted.expires_at,
            position: record.position,
        };
        Ok((id, Self::Accepted(accepted)))
    }
}

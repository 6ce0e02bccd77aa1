//! The judge: an own model of what must hold, on the ground of what really happened and of what lies on
//! the log. It shares no rule with the shipped code.

use std::collections::BTreeMap;
use std::fmt;

use runtime::log::{Incoming, LogError};
use schemas::codec::{Codec, Record};
use schemas::headers::Headers;
use schemas::ids::{Generation, MessageId, Timestamp};
use schemas::records::{MessageAccepted, MessageDecision, MessagePermitted, MessageStatus};
use schemas::topics::{Channel, DelayClass, Topic};

use crate::crew::LANE;
use crate::history::{Happened, Send};
use crate::world::{Remains, read_all};

mod choices;
mod endings;
mod reports;
mod rest;
mod sends;
mod statuses;
mod waiting;

pub use choices::BARRIER;

/// A law that did not hold, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub law: &'static str,
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.law, self.what)
    }
}

/// Collects mistakes of one law after the other.
#[derive(Default)]
pub(crate) struct Court {
    mistakes: Vec<Mistake>,
}

impl Court {
    /// `holds`, or it is a mistake.
    fn holds(&mut self, law: &'static str, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.mistakes.push(Mistake { law, what: what() });
        }
    }
}

/// Everything that is judged.
pub struct Evidence {
    pub happened: Happened,
    /// What was accepted and can be read, by its first record.
    pub accepted: BTreeMap<MessageId, MessageAccepted>,
    /// What was accepted and cannot be read; its headers name it.
    pub spoilt: Vec<MessageId>,
    /// In the order in which they lie on the log.
    pub events: BTreeMap<MessageId, Vec<MessageStatus>>,
    pub permitted: BTreeMap<MessageId, Generation>,
    pub decisions: BTreeMap<MessageId, Vec<MessageDecision>>,
    /// Records in `delay.*`, and those in the topics that they return to.
    pub delayed: Vec<Incoming>,
    pub attempts: Vec<Incoming>,
    pub stored: Vec<schemas::records::MessageStored>,
    pub letters: Vec<Option<MessageId>>,
    pub until: Timestamp,
}

impl Evidence {
    /// # Errors
    /// The log cannot be read.
    pub fn gather(remains: &Remains) -> Result<Self, LogError> {
        let read = |topic| read_all(&remains.log, topic);
        let mut accepted = BTreeMap::new();
        let mut spoilt = Vec::new();
        for record in read(Topic::Accepted(LANE))? {
            match decode::<MessageAccepted>(&record) {
                Some(message) => drop(accepted.entry(message.message_id).or_insert(message)),
                None => spoilt.extend(Headers::from_raw(&record.headers).message_id),
            }
        }
        spoilt.dedup();
        let permitted = read(Topic::Permitted(LANE))?;
        let permitted = permitted.iter().filter_map(decode::<MessagePermitted>);
        let mut events: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for event in read(Topic::Status)?.iter().filter_map(decode::<MessageStatus>) {
            events.entry(event.message_id).or_default().push(event);
        }
        let mut decisions: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for decision in read(Topic::Decision)?.iter().filter_map(decode::<MessageDecision>) {
            decisions.entry(decision.message_id).or_default().push(decision);
        }
        let mut delayed = Vec::new();
        for class in DelayClass::ALL {
            delayed.extend(read(Topic::Delay(class, LANE))?);
        }
        let mut attempts = Vec::new();
        for channel in Channel::ALL {
            attempts.extend(read(Topic::Attempt(channel, LANE))?);
        }
        let letters = read(Topic::DeadLetter)?;
        Ok(Self {
            happened: remains.happened.clone(),
            accepted,
            spoilt,
            events,
            permitted: permitted.map(|it| (it.accepted.message_id, it.generation)).collect(),
            decisions,
            delayed,
            attempts,
            stored: read(Topic::Stored)?.iter().filter_map(decode).collect(),
            letters: letters.iter().map(|it| Headers::from_raw(&it.headers).message_id).collect(),
            until: remains.until,
        })
    }

    /// The send that an event names.
    fn send_of(&self, event: &MessageStatus) -> Option<(usize, &Send)> {
        let nth = event.provider_id.as_ref()?.parse().ok()?;
        Some((nth, self.happened.sends.get(nth)?))
    }

    fn final_of(&self, message: MessageId) -> Option<&MessageStatus> {
        self.events.get(&message)?.iter().find(|event| event.status.is_final())
    }
}

fn decode<R: Record>(record: &Incoming) -> Option<R> {
    Codec::default().decode(record.value.as_deref()?).ok()
}

/// Every law; first what befell messages and people, then what else is not as it should be.
///
/// # Errors
/// The log cannot be read.
pub fn judge(remains: &Remains) -> Result<Vec<Mistake>, LogError> {
    let evidence = Evidence::gather(remains)?;
    let mut court = Court { mistakes: mistakes(&evidence) };
    rest::judge(&mut court, remains, &evidence)?;
    Ok(court.mistakes)
}

/// The laws that need no more than evidence.
#[must_use]
pub fn mistakes(evidence: &Evidence) -> Vec<Mistake> {
    let mut court = Court::default();
    statuses::judge(&mut court, evidence);
    endings::judge(&mut court, evidence);
    sends::judge(&mut court, evidence);
    choices::judge(&mut court, evidence);
    waiting::judge(&mut court, evidence);
    court.mistakes
}

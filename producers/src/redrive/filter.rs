//! Which letters an operator means.

use std::time::Duration;

use schemas::ids::{MessageId, ServiceId, Timestamp};

use super::letters::{Letter, Origin};

/// All that is named must hold; what is empty holds for every letter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub origins: Vec<Origin>,
    pub message: Option<MessageId>,
    /// A word of `Reason`.
    pub cause: Option<String>,
    pub stage: Option<String>,
    /// Name of the topic that the record came from.
    pub topic: Option<String>,
    pub service: Option<ServiceId>,
    /// Set aside at least this long ago.
    pub older_than: Option<Duration>,
    /// Set aside at most this long ago.
    pub newer_than: Option<Duration>,
}

impl Filter {
    /// Whether `letter` is meant.
    #[must_use]
    pub fn matches(&self, letter: &Letter, now: Timestamp) -> bool {
        let record = &letter.record;
        let age = now.since(record.at);
        (self.origins.is_empty() || self.origins.contains(&letter.origin()))
            && self.message.is_none_or(|id| record.message_id == Some(id))
            && self.cause.as_ref().is_none_or(|cause| *cause == record.cause)
            && self.stage.as_ref().is_none_or(|stage| *stage == record.stage)
            && self.topic.as_ref().is_none_or(|topic| *topic == record.topic)
            && self.service.as_ref().is_none_or(|service| letter.service.as_ref() == Some(service))
            && self.older_than.is_none_or(|least| age >= least)
            && self.newer_than.is_none_or(|most| age <= most)
    }

    /// Whether nothing is named: everything matches.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}

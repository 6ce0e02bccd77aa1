//! The port of every channel: a letter in, a classified answer out.

use std::fmt;

use async_trait::async_trait;
use policy::outcome::Answer;
use schemas::content::{Content, Notice};
use schemas::ids::{MessageId, Pseudonym, ServiceId, Timestamp};
use schemas::topics::Channel;

/// What one address is to be told, in clear; it lives in memory only and prints as nothing.
pub struct Letter {
    pub message_id: MessageId,
    pub service_id: ServiceId,
    pub citizen: Pseudonym,
    /// Installation id of the device; empty for the mailbox.
    pub installation: String,
    /// Device token or mailbox.
    pub address: String,
    /// `it_IT`, `en_GB`, `es_ES`, `de_DE` or `fr_FR`.
    pub language: String,
    pub words: Words,
    /// The provider gives up here; computed into relative times at the moment of the send.
    pub deadline: Timestamp,
}

/// What may be said.
pub enum Words {
    /// That there is a message, and no more.
    Anonymous,
    /// Who writes and about what.
    Full(Notice),
    /// The message itself, for somebody who has no inbox to open.
    Message(Box<Content>),
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Letter({})", self.message_id)
    }
}

/// One edge: a provider behind its pool, credential, breaker and pace.
#[async_trait]
pub trait Port: Send + Sync + 'static {
    fn channel(&self) -> Channel;

    /// While the edge is known to be down, until when; a trickle of probes is let through by
    /// answering `None` now and then.
    fn down_until(&self, now: Timestamp) -> Option<Timestamp>;

    /// Sends once and waits for the answer, at most as long as the edge's own limit. A repeat of the
    /// same letter carries the same ids.
    async fn send(&self, letter: &Letter, now: Timestamp) -> Answer;

    /// Stable id of this send towards the provider, equal for every repeat.
    fn send_id(&self, letter: &Letter) -> String;

    /// Whether a "token gone" may be believed now, or a wave of them has tripped the guard. Called
    /// for every answer, so that it sees the share.
    fn believes_gone(&self, gone: bool, now: Timestamp) -> bool;
}

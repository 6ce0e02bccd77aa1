//! The port of every channel: a letter in, a classified answer out.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use policy::outcome::Answer;
use runtime::metrics::Metrics;
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

/// Why a send did not start. Nothing has left: no try is burnt, and nobody is told of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotStarted {
    /// What it stands on grew old before its turn came: to be read again.
    Late,
    /// The edge is down, as far as is known until then.
    Held { until: Timestamp },
}

/// One edge: a provider behind its pool, credential, breaker and pace.
#[async_trait]
pub trait Port: Send + Sync + 'static {
    fn channel(&self) -> Channel;

    /// While the edge is known to be down, until when. Asking changes nothing: what is sent although
    /// it is down, or while it gets back only a share of its load, is held at the send.
    fn down_until(&self, now: Timestamp) -> Option<Timestamp>;

    /// Sends once and waits for the answer, at most [`Port::answer_within`]. A repeat of the same
    /// letter carries the same ids.
    ///
    /// # Errors
    /// [`NotStarted`], where it could not start by `start_by`.
    async fn send(&self, letter: &Letter, start_by: Timestamp) -> Result<Answer, NotStarted>;

    /// From the call of [`Port::send`]: an answer that has not come by then never will. In real time.
    fn answer_within(&self) -> Duration;

    /// Stable id of this send towards the provider, equal for every repeat.
    fn send_id(&self, letter: &Letter) -> String;

    /// Whether a "token gone" may be believed now, or a wave of them has tripped the guard. Called
    /// for every answer that speaks of the address, so that it sees the share.
    fn believes_gone(&self, gone: bool, now: Timestamp) -> bool;

    /// Brings the edge's metrics up to date; one that keeps none has nothing to bring.
    fn report(&self, _metrics: &Metrics) {}
}

//! What the sender API needs of the rest of the system.

use std::time::Duration;

use async_trait::async_trait;
use policy::admit::projection::Standing;
use policy::claim::Claimed;
use policy::consent::Citizen;
use runtime::log::Position;
use schemas::content::Content;
use schemas::headers::Claim;
use schemas::ids::{MessageId, Pseudonym, ServiceId};
use schemas::records::MessageAccepted;

use super::limiter::{AccountDemand, Asked};

/// The log's end of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// Durable: acknowledged by all in-sync replicas, or synced to disk.
    Acked,
    /// Certainly not in the log: queue full, log unreachable before anything was sent.
    NotTaken,
    /// Sent, and no answer: it may or may not be there.
    Unknown,
}

/// Appends to `message.accepted`.
#[async_trait]
pub trait Accept: Send + Sync {
    /// Resolves when the outcome is known, or when it will not be known in time. `claim`: what the
    /// sender's `Idempotency-Key` claims, where it gave one.
    async fn append(&self, message: MessageAccepted, claim: Option<Claim>) -> Appended;
}

/// The view is behind, flushed or unreachable: nothing may be concluded from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotReady;

/// What is known of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub citizen: Pseudonym,
    pub service_id: ServiceId,
    pub standing: Standing,
    /// Where its record of `message.accepted` lies.
    pub place: Position,
}

/// The view of statuses, built from `message.accepted` and `message.status`.
#[async_trait]
pub trait Statuses: Send + Sync {
    /// What is known of `id` as soon as its status lies beyond ACCEPTED, or after `wait`; a `wait` of zero
    /// answers at once. `None`: no such message, as far as a view that is ready can tell.
    async fn standing(&self, id: MessageId, wait: Duration) -> Result<Option<Known>, NotReady>;
}

/// Opens a message's content for its sender.
#[async_trait]
pub trait Contents: Send + Sync {
    /// From the store, or while it is only accepted from `message.accepted` at [`Known::place`]. `None`: not
    /// held (rejected, erased, beyond the topic's time).
    async fn open(&self, known: &Known, id: MessageId) -> Result<Option<Content>, NotReady>;
}

/// The directory's facts about a citizen with regard to a service.
#[async_trait]
pub trait Profiles: Send + Sync {
    async fn citizen(&self, citizen: Pseudonym, service: &ServiceId) -> Result<Citizen, NotReady>;
}

/// Claims on `Idempotency-Key`s, atomic over all instances.
#[async_trait]
pub trait Claims: Send + Sync {
    /// # Errors
    /// Nobody can say now: nothing may be appended.
    async fn claim(&self, claim: &Claim, offered: MessageId) -> Result<Claimed, NotReady>;
}

/// Where instances tell one another what they were asked for.
#[async_trait]
pub trait Demands: Send + Sync {
    /// Adds this instance's calls to period `period` and gives the demand of the period before, which is
    /// complete. `None`: nobody can say; the shares stay as they are.
    async fn exchange(&self, period: i64, own: &[Asked]) -> Option<Vec<AccountDemand>>;
}

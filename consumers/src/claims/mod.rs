//! The view of claims: under which `Idempotency-Key` which message was accepted, and where its first record lies.
//!
//! Promise: while it answers, it knows every claim that the log holds, and every one that it was asked
//! for since it was last built. It knows messages that came under a key only: no others can come twice,
//! for an append without a key is never repeated.
//!
//! It is a view of `message.accepted` like any other, rebuilt when it is lost. Two limits remain. An
//! append that is under way while the view is lost and rebuilt is seen by neither the old nor the new:
//! if its sender repeats the request just then, there are two messages. And a claim ends with its time.

use std::time::Duration;

use async_trait::async_trait;
use policy::claim::Claimed;
use runtime::log::{Incoming, Position};
use schemas::headers::{Claim, Headers};
use schemas::ids::MessageId;
use schemas::topics::{Lane, Topic};

use crate::view::ViewError;

mod embedded;
#[cfg(test)]
mod laws;
mod redis;

pub use embedded::EmbeddedClaims;
pub use redis::RedisClaims;

/// The topics behind the claims.
#[must_use]
pub fn topics() -> Vec<Topic> {
    Lane::ALL.into_iter().map(Topic::Accepted).collect()
}

/// How long a claim is remembered: as long as `message.accepted` is kept, so that it can be rebuilt.
pub const KEPT: Duration = Duration::from_secs(7 * 86_400);

/// A record of an accepted message that came under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    pub claim: Claim,
    pub id: MessageId,
    pub position: Position,
}

impl Sighting {
    /// What `record` says of a claim; absent where its sender gave no key.
    #[must_use]
    pub fn read(record: &Incoming) -> Option<Self> {
        Self::of(&Headers::from_raw(&record.headers), record.position)
    }

    /// The same of headers that were read already.
    #[must_use]
    pub fn of(headers: &Headers, position: Position) -> Option<Self> {
        let (claim, id) = headers.claim.zip(headers.message_id)?;
        Some(Self { claim, id, position })
    }
}

/// What ingest and consent ask.
#[async_trait]
pub trait ClaimView: Send + Sync {
    /// Claims for `offered`, atomically over all who ask.
    ///
    /// # Errors
    /// [`ViewError`]. Nothing may be appended; a claim may have been made all the same, which the same
    /// request gets back.
    async fn claim(&self, claim: &Claim, offered: MessageId) -> Result<Claimed, ViewError>;

    /// The first record under each sighting's claim, in order: the sighted one, if there was none. Records
    /// of one partition must be asked for in their order.
    ///
    /// # Errors
    /// [`ViewError`].
    async fn first(
        &self,
        sightings: &[Sighting],
    ) -> Result<Vec<Option<(MessageId, Position)>>, ViewError>;
}

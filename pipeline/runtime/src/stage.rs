//! What a stage is: a batch in, one answer per record out. The runtime alone produces and commits.

use async_trait::async_trait;
use schemas::codec::{Codec, DecodeError};
use schemas::headers::Headers;
use schemas::ids::Timestamp;
use schemas::records::Reason;

use crate::log::{Incoming, Outgoing, Position};
use crate::world::World;

/// A record as a stage sees it.
#[derive(Debug, Clone)]
pub struct Received<T> {
    pub value: T,
    pub headers: Headers,
    pub position: Position,
}

/// What becomes of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one a record, moved once: a box would cost more")]
pub enum Outcome {
    /// Goes on as these records; a finished message goes on as its final status.
    Forward(Vec<Outgoing>),
    /// Waits: the *updated* record, whose topic is where it returns, and what is emitted meanwhile.
    Postpone { record: Outgoing, until: Timestamp, why: Reason, also: Vec<Outgoing> },
    /// Set aside, sealed, with its cause; `also` holds the FAILED status.
    DeadLetter { why: Reason, also: Vec<Outgoing> },
    /// Ends here and emits nothing; counted by reason.
    Done { why: Reason },
}

/// Our infrastructure failed or is not ready: nothing of this record is committed, it is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub why: Reason,
    /// Not before this.
    pub retry_at: Timestamp,
}

/// One consumer group's decision and the I/O around it.
#[async_trait]
pub trait Stage: Send + Sync + 'static {
    type Input: Send + Sync + 'static;

    /// Stem of group, metrics and logs.
    fn name(&self) -> &'static str;

    /// # Errors
    /// Undecodable records are set aside; an unknown registry id is waited for.
    fn decode(&self, record: &Incoming, codec: &Codec) -> Result<Self::Input, DecodeError>;

    /// One result per record, in the order received; each record resolves alone.
    async fn handle(
        &self,
        batch: &[Received<Self::Input>],
        world: &World,
    ) -> Vec<Result<Outcome, Fault>>;
}

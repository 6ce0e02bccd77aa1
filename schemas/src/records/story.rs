//! A notification's story: where it may still be tried, what was tried, and when trying ends.

use serde::{Deserialize, Serialize};

use super::{BatchRow, NoticeType, OutcomeKind, Reason, Sealed, SealedContent};
use crate::ids::{Generation, MessageId, Pseudonym, ServiceId, Timestamp};
use crate::topics::{Channel, Lane};

/// Where one address stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TargetState {
    /// Not tried yet.
    Untried,
    /// Tried; may be tried again at `retry_at`.
    Retry,
    /// A send left and its answer is still awaited elsewhere; counts as `Retry` at `retry_at`.
    Pending,
    /// Ended: taken, refused or gone.
    Closed,
}

/// One address in a story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoryTarget {
    pub channel: Channel,
    /// Installation id of a device; empty for the mailbox.
    pub installation: String,
    pub state: TargetState,
    /// Sends that left for this address.
    pub tries: i32,
    /// Not before this, where `state` is `Retry` or `Pending`.
    pub retry_at: Timestamp,
}

/// What one try gave. The newest eight are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub channel: Channel,
    pub outcome: OutcomeKind,
    pub reason: Reason,
    pub at: Timestamp,
}

/// What travels in `attempt.*` and `delay.*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Story {
    pub message_id: MessageId,
    pub service_id: ServiceId,
    pub citizen: Pseudonym,
    /// The registration it was permitted for; absent where the recipient is not on board.
    pub generation: Option<Generation>,
    pub lane: Lane,
    pub batch: Option<BatchRow>,
    pub accepted_at: Timestamp,
    pub deadline: Timestamp,
    /// From here on email is due, whatever the pushes do.
    pub fallback_at: Timestamp,
    pub special: bool,
    pub secure_channels: bool,
    pub full_notice: bool,
    pub language: String,
    pub notice_type: NoticeType,
    pub targets: Vec<StoryTarget>,
    pub attempts: Vec<Attempt>,
    /// Total of tries over all addresses.
    pub tries: i32,
    pub epoch: i32,
    /// The sequence number that the next status of this message takes.
    pub next_sequence: i32,
    /// A provider took it: the final status is out, nothing is sent any more.
    pub finished: bool,
    /// Message key under the transit key.
    pub wrapped_key: Sealed,
    pub notice: Sealed,
    /// The message itself, only where it is mailed to somebody not on board.
    pub content: Option<SealedContent>,
}

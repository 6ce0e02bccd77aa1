//! Batches: many messages that a sender hands over as one file.

use serde::{Deserialize, Serialize};

use super::Sealed;
use crate::ids::{ServiceId, Timestamp};

/// What a sender asks of the owner of a batch. A text in records: an order of a newer version reads as
/// [`BatchOrder::Unknown`] and changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchOrder {
    /// Carries the plan.
    Create,
    /// Carries a chunk.
    Append,
    /// No further rows will come.
    Complete,
    Pause,
    Resume,
    Cancel,
    Unknown,
}

/// Where a batch stands. A text in records: a phase of a newer version reads as [`BatchPhase::Unknown`],
/// and its batch rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchPhase {
    /// Rows are being taken.
    Receiving,
    /// All rows are there, and their time has not come.
    Scheduled,
    /// Rows are being handed over to the bulk lane.
    Releasing,
    Paused,
    Cancelled,
    /// Every row has been handed over, or refused.
    Finished,
    Unknown,
}

macro_rules! text_enum {
    ($type:ident { $($variant:ident => $word:literal),* $(,)? }) => {
        impl $type {
            /// As it stands in records and answers.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)* Self::Unknown => "unknown" }
            }
        }
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(self.name())
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let word = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                Ok(match word.as_ref() { $($word => Self::$variant,)* _ => Self::Unknown })
            }
        }
    };
}

text_enum!(BatchOrder {
    Create => "create",
    Append => "append",
    Complete => "complete",
    Pause => "pause",
    Resume => "resume",
    Cancel => "cancel",
});

text_enum!(BatchPhase {
    Receiving => "receiving",
    Scheduled => "scheduled",
    Releasing => "releasing",
    Paused => "paused",
    Cancelled => "cancelled",
    Finished => "finished",
});

/// How a batch is to be sent, as its sender asked when it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchPlan {
    /// Part of the ids of its messages.
    pub created_at: Timestamp,
    /// Everything is checked, nothing is sent.
    pub dry_run: bool,
    /// No row is released earlier.
    pub not_before: Option<Timestamp>,
    /// Rows are released from this minute of the Italian day on, …
    pub window_from: Option<i32>,
    /// … until before this one; across midnight where it is the earlier of the two.
    pub window_to: Option<i32>,
    /// Keyed hash of the request: another one under the same reference is refused.
    #[serde(with = "serde_bytes")]
    pub digest: Vec<u8>,
    /// Wrapped key that opens `settings`.
    pub wrapped_key: Sealed,
    /// Reference, format and template, sealed: they hold words for citizens.
    pub settings: Sealed,
}

/// So many rows of a batch, sealed, and where they lie. Rows count from 0 here, from 1 for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchChunk {
    pub batch_id: String,
    /// From 0, without a gap.
    pub number: i32,
    pub first_row: i64,
    pub rows: i64,
    /// Rows among them that cannot be sent; the reasons lie beside them.
    pub refused: i64,
    /// Rows among them that say what an earlier one said.
    pub repeated: i64,
    /// Name of the object in the store, and its length in bytes.
    pub object: String,
    pub length: i64,
    /// Wrapped key that opens the object.
    pub wrapped_key: Sealed,
}

/// An order to the owner of a batch: whoever is assigned the order's partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchCommand {
    pub batch_id: String,
    pub service_id: ServiceId,
    pub at: Timestamp,
    pub order: BatchOrder,
    pub plan: Option<BatchPlan>,
    pub chunk: Option<BatchChunk>,
}

/// Where a batch stands, by its owner; written together with the rows that it released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchState {
    pub batch_id: String,
    pub service_id: ServiceId,
    pub plan: BatchPlan,
    pub phase: BatchPhase,
    /// All rows are there.
    pub complete: bool,
    pub chunks: i32,
    /// Rows taken so far, the refused ones among them.
    pub rows: i64,
    pub refused: i64,
    pub repeated: i64,
    /// Rows passed by the releaser, counted from the first; the refused ones among them.
    pub released: i64,
    /// Rows of these that it handed over to the bulk lane.
    pub sent: i64,
    /// Rows that the service was no longer allowed to send when their turn came.
    pub withdrawn: i64,
    /// Offset behind the last order that was answered.
    pub answered: i64,
    pub updated_at: Timestamp,
}

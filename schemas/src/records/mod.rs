//! The records, one Avro schema each in `avro/`; the Rust types here say the same in the same order.

mod batch;
mod citizen;
mod message;
mod operation;
mod status;
mod story;

pub use batch::{BatchChunk, BatchCommand, BatchOrder, BatchPhase, BatchPlan, BatchState};
pub use citizen::{
    Activation, ActivationState, CitizenErased, CitizenKeyRecord, CitizenProfile, Device,
    DeviceDeath, MailboxValidation, Mode, NoticeType, Platform, Preference, Unsubscribe, Version64,
};
pub use message::{
    BatchRow, MessageAccepted, MessagePermitted, MessageStored, SealedContent, Target,
};
pub use operation::{DeadLetter, DeadResolution, ServiceRecord, TransitKeyRecord};
pub use status::{MessageDecision, MessageStatus, OutcomeKind, Reason, Status};
pub use story::{Attempt, Story, StoryTarget, TargetState};

/// Bytes that nobody can read without a key; they print as their length only.
#[derive(Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Sealed(#[serde(with = "serde_bytes")] pub Vec<u8>);

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

//! A message on its way to storage.

use serde::{Deserialize, Serialize};

use super::{NoticeType, Sealed};
use crate::ids::{Generation, MessageId, Pseudonym, ServiceId, Timestamp};
use crate::topics::{Channel, Lane};

/// The message's body under its own key, and that key under a transit key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedContent {
    /// Message key, wrapped; it names the key that wraps it.
    pub wrapped_key: Sealed,
    /// Subject, body, fiscal code and all else that the sender said, sealed by the message key.
    pub content: Sealed,
}

/// Which row of which sender batch a message is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchRow {
    pub batch_id: String,
    /// From 1, as the sender counts.
    pub row: i64,
}

/// A sender's message, durably ours. The facts about the service are those of the moment of acceptance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageAccepted {
    pub message_id: MessageId,
    pub service_id: ServiceId,
    pub citizen: Pseudonym,
    pub lane: Lane,
    pub batch: Option<BatchRow>,
    pub accepted_at: Timestamp,
    /// End of notifying (accepted + time to live); the inbox keeps the message.
    pub expires_at: Timestamp,
    /// The service decides by activation, not by preference (IO's category `SPECIAL`).
    pub special: bool,
    /// Email must not be used: the message's flag if given, else the service's.
    pub secure_channels: bool,
    /// A push may say the subject: neither service nor message requires secure channels.
    pub full_notice: bool,
    /// The sender gave a fallback address and may use it; the address itself is in the content.
    pub fallback_email: bool,
    pub sealed: SealedContent,
    /// What a push or email may show, sealed by the message key.
    pub notice: Sealed,
}

/// One address of a citizen, by reference: never the token or the mailbox itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    pub channel: Channel,
    /// Installation id of a device; empty for the mailbox.
    pub installation: String,
}

/// An accepted message whose recipient may be written to, and what consent found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagePermitted {
    pub accepted: MessageAccepted,
    pub generation: Generation,
    pub notice_type: NoticeType,
    /// `it_IT`, `en_GB`, `es_ES`, `de_DE` or `fr_FR`.
    pub language: String,
    pub targets: Vec<Target>,
    /// The profile's version on which this was decided.
    pub consent_version: i64,
}

/// Where a stored message lies, and its key under the citizen's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageStored {
    pub message_id: MessageId,
    pub citizen: Pseudonym,
    pub generation: Generation,
    pub service_id: ServiceId,
    /// Name of the object in the store.
    pub object: String,
    pub offset: i64,
    pub length: i64,
    pub wrapped_key: Sealed,
    pub accepted_at: Timestamp,
    pub kept_until: Timestamp,
}

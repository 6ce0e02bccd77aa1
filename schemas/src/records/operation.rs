//! Records of the operation itself: services, keys, dead letters.

use serde::{Deserialize, Serialize};

use super::Sealed;
use crate::ids::{MessageId, ServiceId, Timestamp};

/// A service as the sender API knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRecord {
    pub service_id: ServiceId,
    /// The service as JSON: rights, limits, words for people; API keys as keyed hashes, recipients as pseudonyms.
    pub document: String,
    pub updated_at: Timestamp,
}

/// A transit key, wrapped by the master key, published before its first use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransitKeyRecord {
    /// 16 hex digits.
    pub key_id: String,
    pub valid_from: Timestamp,
    pub destroy_after: Timestamp,
    /// Empty once destroyed: the id stays known, the key does not.
    pub wrapped: Sealed,
}

/// A record set aside with its cause. Everything that might be personal is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub stage: String,
    /// A word of `Reason`.
    pub cause: String,
    pub message_id: Option<MessageId>,
    pub at: Timestamp,
    /// Wrapped key that opens `record`.
    pub wrapped_key: Sealed,
    /// Key, headers and value as they were.
    pub record: Sealed,
}

/// An operator's end of a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadResolution {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// `resent` or `dropped`.
    pub how: String,
    pub operator: String,
    pub at: Timestamp,
}

//! Citizens' records: compacted, keyed by pseudonym, personal fields sealed under the citizen key.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Sealed;
use crate::ids::{Generation, MessageId, Pseudonym, ServiceId, Timestamp};

/// How preferences are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    /// The profile's list of blocked services decides.
    Legacy,
    /// A service without a preference may write.
    Auto,
    /// A service without a preference may not write.
    Manual,
}

/// How much a push may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NoticeType {
    Full,
    Anonymous,
}

/// A citizen's general choices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CitizenProfile {
    pub citizen: Pseudonym,
    pub generation: Generation,
    /// Rises by one at each change; the optimistic lock.
    pub version: i64,
    pub inbox_enabled: bool,
    pub push_enabled: bool,
    pub email_enabled: bool,
    pub email_validated: bool,
    /// The address, sealed under the citizen key; absent where there is none.
    pub email: Option<Sealed>,
    pub mode: Mode,
    /// −1 in LEGACY; a change of mode raises it and so ends all earlier preferences at once.
    pub settings_version: i64,
    /// LEGACY only: service id → blocked words (`INBOX`, `EMAIL`, `WEBHOOK`).
    pub blocked: BTreeMap<String, Vec<String>>,
    pub notice_type: NoticeType,
    /// Newest first wish first: `it_IT`, `en_GB`, `es_ES`, `de_DE`, `fr_FR`.
    pub languages: Vec<String>,
    pub reminders: bool,
    pub accepted_tos_version: Version64,
    pub last_app_version: String,
    pub updated_at: Timestamp,
}

/// A version number as apps write it (`3.2`); it compares bit by bit, so that records stay `Eq`.

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version64(pub f64);

impl PartialEq for Version64 {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}
impl Eq for Version64 {}

/// A citizen's key, wrapped by the master key. Its tombstone is what makes an erasure final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CitizenKeyRecord {
    pub citizen: Pseudonym,
    pub generation: Generation,
    pub wrapped: Sealed,
    pub created_at: Timestamp,
}

/// A citizen's choice for one service; valid only under the profile's present settings version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preference {
    pub citizen: Pseudonym,
    pub generation: Generation,
    pub service_id: ServiceId,
    pub settings_version: i64,
    pub inbox_enabled: bool,
    pub email_enabled: bool,
    pub push_enabled: bool,
    /// May the sender see whether a message was read: `ALLOW`, `DENY`, `UNKNOWN`.
    pub read_access: String,
    pub updated_at: Timestamp,
}

/// Whether a SPECIAL service is switched on for a citizen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ActivationState {
    Active,
    Inactive,
    Pending,
}

/// The record behind [`ActivationState`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activation {
    pub citizen: Pseudonym,
    pub service_id: ServiceId,
    pub state: ActivationState,
    pub version: i64,
    pub changed_at: Timestamp,
}

/// "No more email from this service", in every mode and also for persons not on board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsubscribe {
    pub citizen: Pseudonym,
    pub service_id: ServiceId,
    pub at: Timestamp,
}

/// Whose push service a device listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    Apns,
    Fcm,
}

/// An app installation, by a keyed hash of the id that the app chose, and its sealed token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub citizen: Pseudonym,
    pub generation: Generation,
    pub installation: String,
    pub platform: Platform,
    pub token: Sealed,
    pub registered_at: Timestamp,
}

/// A provider said that a device's token is dead. A key of its own: a registration that raced it survives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceDeath {
    pub citizen: Pseudonym,
    pub installation: String,
    /// Registrations up to this moment are dead; later ones live.
    pub since: Timestamp,
    pub reported_at: Timestamp,
}

/// A registration that has ended; its records are never obeyed again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CitizenErased {
    pub citizen: Pseudonym,
    pub generation: Generation,
    pub at: Timestamp,
}

/// A citizen asks for the link that validates an address. No compacted fact but work, which travels
/// in `mailbox.validation` and `delay.*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxValidation {
    /// Names the mail: its `Message-ID` and return path are made of it. No message bears it.
    pub id: MessageId,
    pub citizen: Pseudonym,
    pub generation: Generation,
    /// The address as the profile holds it, byte for byte: other bytes are another address.
    pub email: Sealed,
    pub asked_at: Timestamp,
    /// Not sent after this.
    pub until: Timestamp,
    /// Sends that left.
    pub tries: i32,
}

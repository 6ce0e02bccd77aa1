//! What became of a message, as its sender may know it.

use serde::{Deserialize, Serialize};

use super::BatchRow;
use crate::ids::{Generation, MessageId, ServiceId, Timestamp};
use crate::topics::Channel;

/// Public statuses; the last two are not final and hold no rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    Accepted,
    Rejected,
    NotOnBoard,
    Stored,
    Notified,
    Unnotified,
    Expired,
    Failed,
    Attempt,
    Waiting,
}

impl Status {
    pub const ALL: [Self; 10] = [
        Self::Accepted,
        Self::Rejected,
        Self::NotOnBoard,
        Self::Stored,
        Self::Notified,
        Self::Unnotified,
        Self::Expired,
        Self::Failed,
        Self::Attempt,
        Self::Waiting,
    ];

    /// As it stands in records, answers and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "ACCEPTED",
            Self::Rejected => "REJECTED",
            Self::NotOnBoard => "NOT_ON_BOARD",
            Self::Stored => "STORED",
            Self::Notified => "NOTIFIED",
            Self::Unnotified => "UNNOTIFIED",
            Self::Expired => "EXPIRED",
            Self::Failed => "FAILED",
            Self::Attempt => "ATTEMPT",
            Self::Waiting => "WAITING",
        }
    }

    /// Exactly one of these ends a message's epoch.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Rejected
            | Self::NotOnBoard
            | Self::Notified
            | Self::Unnotified
            | Self::Expired
            | Self::Failed => true,
            Self::Accepted | Self::Stored | Self::Attempt | Self::Waiting => false,
        }
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $type:ident { $($variant:ident => $word:literal),* $(,)? } else $other:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $type { $($variant,)* $other }

        impl $type {
            /// Every word we write ourselves.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// As it stands in records, answers and metric labels.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)* Self::$other => "other" }
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
                Ok(match word.as_ref() { $($word => Self::$variant,)* _ => Self::$other })
            }
        }
    };
}

words! {
    /// The class of a provider's answer. Strings on the wire: a newer writer's word reads as `Other`.
    OutcomeKind {
        Accepted => "accepted",
        AddressGone => "address_gone",
        Refused => "refused",
        Throttled => "throttled",
        Unavailable => "unavailable",
        Misconfigured => "misconfigured",
        Indeterminate => "indeterminate",
    } else Other
}

words! {
    /// Why. One vocabulary for statuses, outcomes and counters; never free text.
    Reason {
        None => "none",
        // the citizen's choice, or nobody to reach
        NoProfile => "no_profile",
        InboxDisabled => "inbox_disabled",
        SenderBlocked => "sender_blocked",
        NotActivated => "not_activated",
        // the service's own: it might send when the batch came, and might no more when the row left
        RightsWithdrawn => "rights_withdrawn",
        ConsentWithdrawn => "consent_withdrawn",
        // how notifying ended
        NoChannel => "no_channel",
        ChainExhausted => "chain_exhausted",
        AttemptsExhausted => "attempts_exhausted",
        TimeToLive => "ttl",
        // waiting
        RetryLater => "retry_later",
        FallbackLater => "fallback_later",
        ProviderOpen => "provider_open",
        AnswerLater => "answer_later",
        // a send that has not started: what it stands on grew old, or its edge has no place
        FactsOld => "facts_old",
        NoPlace => "no_place",
        ViewNotReady => "view_not_ready",
        NotDue => "not_due",
        Held => "held",
        // provider answers, all channels
        Delivered => "taken",
        Unregistered => "unregistered",
        ExpiredToken => "expired_token",
        BadToken => "bad_token",
        WrongApp => "wrong_app",
        TooLarge => "too_large",
        BadRequest => "bad_request",
        DeviceBusy => "device_busy",
        Quota => "quota",
        TokenUpdates => "token_updates",
        ServerError => "server_error",
        ServerUnavailable => "server_unavailable",
        Credential => "credential",
        Forbidden => "forbidden",
        NotFound => "not_found",
        Unsent => "unsent",
        NoAnswer => "no_answer",
        NoSuchMailbox => "no_such_mailbox",
        MailboxFull => "mailbox_full",
        MailPolicy => "mail_policy",
        Greylisted => "greylisted",
        MailRouting => "mail_routing",
        NoEncryption => "no_encryption",
        UnknownAnswer => "unknown_answer",
        // ours
        Undecodable => "undecodable",
        KeyMissing => "key_missing",
        KeyUnknown => "key_unknown",
        Tampered => "tampered",
        Duplicate => "duplicate",
        Superseded => "superseded",
        Finished => "finished",
        Expired => "expired",
        Erased => "erased",
        StoreDown => "store_down",
        DirectoryDown => "directory_down",
        Moved => "moved",
        DeadLetterLimit => "dead_letter_limit",
    } else Other
}

/// An event of `message.status`. Says nothing about the citizen beyond what the sender may know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageStatus {
    pub message_id: MessageId,
    pub service_id: ServiceId,
    pub batch: Option<BatchRow>,
    /// 0 until a redrive opens another run.
    pub epoch: i32,
    /// Gap-free per message, from 0, and runs on across epochs.
    pub sequence: i32,
    pub status: Status,
    pub reason: Reason,
    pub channel: Option<Channel>,
    /// The class of the provider's answer, where an attempt stands behind the event.
    pub outcome: Option<OutcomeKind>,
    /// What the provider called it: `apns-id`, FCM name, `Message-ID`.
    pub provider_id: Option<String>,
    pub attempt: i32,
    pub at: Timestamp,
}

/// The operators' record of a decision: on which consent a send started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageDecision {
    pub message_id: MessageId,
    pub channel: Channel,
    pub generation: Option<Generation>,
    pub consent_version: i64,
    /// When the facts were read that the send stands on.
    pub decided_at: Timestamp,
    pub outcome: OutcomeKind,
    pub reason: Reason,
    /// Derived id of the send, equal for every repeat.
    pub send_id: String,
}

//! Why bytes could not be sealed, opened, wrapped or unwrapped.

use crate::key_id::{KeyId, KeyUse};

/// Never names a person, never shows a byte of key or plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Fewer bytes than the fixed parts need. The record's fault.
    #[error("sealed bytes are too short to hold their fixed parts")]
    TooShort,
    /// Authentication failed: a changed bit, another id, another purpose or another key; which of
    /// these, nobody can tell. The record's fault.
    #[error("sealed bytes do not open: changed, or sealed for another id, purpose or key")]
    Tampered,
    /// More plaintext than the purpose allows. The record's fault.
    #[error("more than {limit} bytes of plaintext")]
    TooLarge {
        /// The purpose's limit, in bytes.
        limit: usize,
    },
    /// Authentic, but not of a form that this version writes. The record's fault.
    #[error("opened bytes have a form that this version does not know")]
    BadForm,
    /// No key of that id has been seen (yet). Ours: wait until `key.transit` or the keyring has
    /// caught up.
    #[error("key {0} is not known here: wait for key.transit, or load the current keyring")]
    UnknownKey(KeyId),
    /// The key was destroyed on schedule; nothing wrapped by it can ever be read. The record's.
    #[error("key {0} has been destroyed: what it wrapped is gone")]
    DestroyedKey(KeyId),
    /// No key for this use is valid now. Ours: nothing may be wrapped until one is read back.
    #[error("no {0} key is valid now: wait until one has been read from key.transit")]
    NoCurrentKey(KeyUse),
    /// The library refused to work (memory, in practice). Ours.
    #[error("the cryptographic library refused to work")]
    Unavailable,
}

impl SealError {
    /// Whether the trouble is ours (`Fault`: commit nothing, try again) rather than the record's
    /// (`DeadLetter`).
    #[must_use]
    pub fn is_ours(&self) -> bool {
        match self {
            Self::UnknownKey(_) | Self::NoCurrentKey(_) | Self::Unavailable => true,
            Self::TooShort
            | Self::Tampered
            | Self::TooLarge { .. }
            | Self::BadForm
            | Self::DestroyedKey(_) => false,
        }
    }
}

//! The keys a stage works with.

use std::sync::Arc;

use parking_lot::RwLock;
use schemas::records::{CitizenKeyRecord, Reason};
use sealing::{CitizenKey, Entropy, Keyring, SealError, TransitKeys};

/// Shared by all stages of a process; the transit keys follow `key.transit`.
#[derive(Clone)]
pub struct Keys {
    pub keyring: Arc<Keyring>,
    pub transit: Arc<RwLock<TransitKeys>>,
    pub entropy: Arc<dyn Entropy>,
}

impl Keys {
    /// A citizen's key out of its record.
    ///
    /// # Errors
    /// As [`sealing::MasterKeys::unwrap_citizen`].
    pub fn citizen(&self, record: &CitizenKeyRecord) -> Result<CitizenKey, SealError> {
        let masters = self.keyring.masters();
        masters.unwrap_citizen(record.citizen, record.generation, &record.wrapped.0)
    }
}

/// The word for what a seal refused.
#[must_use]
pub fn reason(error: SealError) -> Reason {
    match error {
        SealError::UnknownKey(_) | SealError::NoCurrentKey(_) => Reason::KeyUnknown,
        SealError::DestroyedKey(_) => Reason::KeyMissing,
        SealError::TooShort
        | SealError::Tampered
        | SealError::TooLarge { .. }
        | SealError::BadForm => Reason::Tampered,
        SealError::Unavailable => Reason::Other,
    }
}

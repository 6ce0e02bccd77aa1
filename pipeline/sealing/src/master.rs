//! Master keys: the newest wraps, each of them unwraps.

use schemas::ids::{Generation, Pseudonym};
use schemas::records::{CitizenKeyRecord, Sealed};

use crate::aad::{Aad, Purpose};
use crate::cipher::Cipher;
use crate::citizen_key::CitizenKey;
use crate::entropy::Entropy;
use crate::error::SealError;
use crate::key_id::KeyId;
use crate::secret::{Secret, redacted};
use crate::wrap::{self, WRAPPED_LEN};

/// The master keys of one keyring. Rotation adds one; what the older ones have wrapped is then
/// wrapped anew, and they may be dropped.
pub struct MasterKeys {
    newest: (KeyId, Cipher),
    older: Vec<(KeyId, Cipher)>,
}

redacted!(MasterKeys);

impl MasterKeys {
    pub(crate) fn new(newest: (KeyId, Cipher), older: Vec<(KeyId, Cipher)>) -> Self {
        Self { newest, older }
    }

    /// The key that wraps.
    #[must_use]
    pub fn newest(&self) -> KeyId {
        self.newest.0
    }

    /// Wraps a citizen's key for `citizen.key` and the directory.
    ///
    /// # Errors
    /// `Unavailable` only: ours.
    pub fn wrap_citizen(
        &self,
        entropy: &dyn Entropy,
        key: &CitizenKey,
    ) -> Result<[u8; WRAPPED_LEN], SealError> {
        let (citizen, generation) = (key.citizen(), key.generation());
        self.wrap(entropy, &citizen_aad(&citizen, &generation), key.secret())
    }

    /// Unwraps the key of one registration of one citizen.
    ///
    /// # Errors
    /// `UnknownKey`: ours, the keyring is older than the record. `TooShort`, `Tampered` (also:
    /// another citizen, another generation): the record's fault.
    pub fn unwrap_citizen(
        &self,
        citizen: Pseudonym,
        generation: Generation,
        wrapped: &[u8],
    ) -> Result<CitizenKey, SealError> {
        let secret = self.unwrap(&citizen_aad(&citizen, &generation), wrapped)?;
        Ok(CitizenKey::from_secret(citizen, generation, secret))
    }

    /// The record with its key wrapped by the newest master key; nothing where it is already. The key
    /// inside stays as it is, and so does everything under it.
    ///
    /// # Errors
    /// As [`MasterKeys::unwrap_citizen`].
    pub fn rewrap_citizen(
        &self,
        entropy: &dyn Entropy,
        record: &CitizenKeyRecord,
    ) -> Result<Option<CitizenKeyRecord>, SealError> {
        if !self.is_outdated(&record.wrapped.0) {
            return Ok(None);
        }
        let key = self.unwrap_citizen(record.citizen, record.generation, &record.wrapped.0)?;
        let wrapped = Sealed(self.wrap_citizen(entropy, &key)?.to_vec());
        Ok(Some(CitizenKeyRecord { wrapped, ..record.clone() }))
    }

    /// Whether `wrapped` was wrapped by another key than the newest, and so is due for re-wrapping
    /// (unwrap, wrap) after a rotation.
    #[must_use]
    pub fn is_outdated(&self, wrapped: &[u8]) -> bool {
        wrap::split(wrapped).is_ok_and(|(id, _)| id != self.newest.0)
    }

    pub(crate) fn wrap(
        &self,
        entropy: &dyn Entropy,
        aad: &Aad<'_>,
        secret: &Secret,
    ) -> Result<[u8; WRAPPED_LEN], SealError> {
        wrap::wrap((self.newest.0, &self.newest.1), entropy, aad, secret)
    }

    pub(crate) fn unwrap(&self, aad: &Aad<'_>, wrapped: &[u8]) -> Result<Secret, SealError> {
        let (id, sealed) = wrap::split(wrapped)?;
        let mut keys = std::iter::once(&self.newest).chain(&self.older);
        let (_, cipher) = keys.find(|key| key.0 == id).ok_or(SealError::UnknownKey(id))?;
        wrap::open_key(cipher, aad, sealed)
    }
}

fn citizen_aad<'a>(citizen: &'a Pseudonym, generation: &'a Generation) -> Aad<'a> {
    Aad::new(Purpose::CitizenKey, &citizen.0).part(&generation.0)
}

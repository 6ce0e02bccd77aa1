//! The key of one citizen, for as long as one registration lasts.

use schemas::ids::{Generation, MessageId, Pseudonym};

use crate::aad::{Aad, Purpose};
use crate::cipher::Cipher;
use crate::entropy::Entropy;
use crate::error::SealError;
use crate::message_key::MessageKey;
use crate::secret::{Secret, redacted};
use crate::wrap::{self, SEALED_KEY_LEN};

/// Length of a message key as it is kept: nonce (12) ‖ ciphertext (32) ‖ tag (16). It names no key:
/// the record beside it names the citizen and the generation.
pub const KEPT_KEY_LEN: usize = SEALED_KEY_LEN;

/// Which of a citizen's small personal values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field<'a> {
    /// A device's address at its provider.
    DeviceToken {
        /// Installation id: one device's token does not open as another's.
        installation: &'a str,
    },
    /// The citizen's email address.
    EmailAddress,
}

/// Random per citizen and generation. Everything lasting about the citizen hangs on it: the kept
/// keys of all messages, device tokens, the address. Without it all of that is noise.
pub struct CitizenKey {
    citizen: Pseudonym,
    generation: Generation,
    secret: Secret,
    cipher: Cipher,
}

redacted!(CitizenKey);

impl CitizenKey {
    /// A fresh key for one registration of one citizen.
    #[must_use]
    pub fn draw(entropy: &dyn Entropy, citizen: Pseudonym, generation: Generation) -> Self {
        Self::from_secret(citizen, generation, Secret::draw(entropy))
    }

    pub(crate) fn from_secret(citizen: Pseudonym, generation: Generation, secret: Secret) -> Self {
        let cipher = Cipher::new(&secret);
        Self { citizen, generation, secret, cipher }
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Whose key it is.
    #[must_use]
    pub fn citizen(&self) -> Pseudonym {
        self.citizen
    }

    /// Of which registration.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Wraps a message's key to be kept as long as the citizen is.
    ///
    /// # Errors
    /// `Unavailable` only: ours.
    pub fn keep(
        &self,
        entropy: &dyn Entropy,
        id: MessageId,
        key: &MessageKey,
    ) -> Result<[u8; KEPT_KEY_LEN], SealError> {
        let id = id.to_bytes();
        let aad = Aad::new(Purpose::MessageKeyKept, &id);
        wrap::seal_key(&self.cipher, entropy, &aad, key.secret())
    }

    /// Unwraps a kept message key.
    ///
    /// # Errors
    /// `TooShort`, `Tampered` (also: another citizen, another generation): the record's fault.
    pub fn recall(&self, id: MessageId, kept: &[u8]) -> Result<MessageKey, SealError> {
        let id = id.to_bytes();
        let aad = Aad::new(Purpose::MessageKeyKept, &id);
        wrap::open_key(&self.cipher, &aad, kept).map(MessageKey::from_secret)
    }

    /// Seals one small personal value.
    ///
    /// # Errors
    /// `TooLarge` over 64 KiB: the caller's fault.
    pub fn seal_field(
        &self,
        entropy: &dyn Entropy,
        field: Field<'_>,
        plain: &str,
    ) -> Result<Vec<u8>, SealError> {
        self.cipher.seal(entropy, &self.aad(field), plain.as_bytes())
    }

    /// Opens what [`CitizenKey::seal_field`] made for the same field.
    ///
    /// # Errors
    /// `TooShort`, `Tampered`, `TooLarge`, `BadForm` (also: not UTF-8): the record's fault.
    pub fn open_field(&self, field: Field<'_>, sealed: &[u8]) -> Result<String, SealError> {
        let plain = self.cipher.open(&self.aad(field), sealed)?;
        String::from_utf8(plain).map_err(|_| SealError::BadForm)
    }

    fn aad<'a>(&'a self, field: Field<'a>) -> Aad<'a> {
        match field {
            Field::DeviceToken { installation } => {
                Aad::new(Purpose::DeviceToken, &self.citizen.0).part(installation.as_bytes())
            }
            Field::EmailAddress => Aad::new(Purpose::EmailAddress, &self.citizen.0),
        }
    }
}

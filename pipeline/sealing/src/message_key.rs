//! The key of one message.

use std::borrow::Cow;

use schemas::ids::MessageId;

use crate::aad::{Aad, Purpose};
use crate::cipher::Cipher;
use crate::entropy::Entropy;
use crate::error::SealError;
use crate::secret::{Secret, redacted};

/// Which of a message's two sealed parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// All that the sender said; read in the inbox and in a fallback email. At most 1 MiB.
    Content,
    /// The few words a push or email may show. At most 64 KiB.
    Notice,
}

impl Part {
    fn purpose(self) -> Purpose {
        match self {
            Self::Content => Purpose::Content,
            Self::Notice => Purpose::Notice,
        }
    }
}

/// Random per message; seals its content and, apart from it, its notice. Neither opens as the
/// other, nor under another message's id.
pub struct MessageKey {
    secret: Secret,
    cipher: Cipher,
}

redacted!(MessageKey);

impl MessageKey {
    /// A fresh key.
    #[must_use]
    pub fn draw(entropy: &dyn Entropy) -> Self {
        Self::from_secret(Secret::draw(entropy))
    }

    pub(crate) fn from_secret(secret: Secret) -> Self {
        let cipher = Cipher::new(&secret);
        Self { secret, cipher }
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    pub(crate) fn cipher(&self) -> &Cipher {
        &self.cipher
    }

    /// Compresses and seals `plain`: nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes).
    ///
    /// # Errors
    /// `TooLarge` beyond the part's limit: the record's fault.
    pub fn seal(
        &self,
        entropy: &dyn Entropy,
        part: Part,
        id: MessageId,
        plain: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        self.cipher.seal(entropy, &Aad::new(part.purpose(), &id.to_bytes()), plain)
    }

    /// Opens what [`MessageKey::seal`] made for the same part and id.
    ///
    /// # Errors
    /// `TooShort`, `Tampered`, `TooLarge`, `BadForm`: the record's fault.
    pub fn open(&self, part: Part, id: MessageId, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        self.cipher.open(&Aad::new(part.purpose(), &id.to_bytes()), sealed)
    }

    /// Like [`MessageKey::open`], within the caller's buffer: borrowed from it when the plaintext
    /// was too small to compress, owned otherwise.
    ///
    /// # Errors
    /// As [`MessageKey::open`].
    pub fn open_in_place<'a>(
        &self,
        part: Part,
        id: MessageId,
        sealed: &'a mut [u8],
    ) -> Result<Cow<'a, [u8]>, SealError> {
        self.cipher.open_in_place(&Aad::new(part.purpose(), &id.to_bytes()), sealed)
    }
}

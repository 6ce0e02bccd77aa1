//! Keyed hashes: what must be recognised again and never read back.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use aws_lc_rs::hmac;
use schemas::ids::{Pseudonym, ServiceId};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::secret::{Secret, redacted};

/// What is hashed. Each has a number that is part of the format: never reuse one.
#[derive(Clone, Copy)]
pub(crate) enum Label {
    ApiKey = 1,
    IdempotencyKey = 2,
    Body = 3,
    CollapseId = 4,
    ApnsId = 5,
    Bounce = 6,
    MessageIdHeader = 7,
    MailAddress = 8,
    TokenNonce = 9,
    Installation = 10,
    BatchReference = 11,
    BatchRow = 12,
}

/// HMAC-SHA-256 over label (1 byte), then each part behind its length (8 bytes, big-endian).
#[derive(Clone)]
pub(crate) struct Keyed(hmac::Key);

impl Keyed {
    pub(crate) fn new(secret: &Secret) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.expose()))
    }

    pub(crate) fn tag(&self, label: Label, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&[label as u8]);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }

    /// The first `N` bytes of [`Keyed::tag`]; `N` is at most 32.
    pub(crate) fn short<const N: usize>(&self, label: Label, parts: &[&[u8]]) -> [u8; N] {
        const { assert!(N <= 32, "a tag has 32 bytes") };
        let mut short = [0; N];
        short.copy_from_slice(&self.tag(label, parts)[..N]);
        short
    }
}

/// The hashes that guard the doors.
#[derive(Clone)]
pub struct KeyedHashes(Keyed);

redacted!(KeyedHashes);

impl KeyedHashes {
    pub(crate) fn new(secret: &Secret) -> Self {
        Self(Keyed::new(secret))
    }

    /// A sender's API key as it may lie at rest.
    #[must_use]
    pub fn api_key(&self, key: &str) -> ApiKeyHash {
        ApiKeyHash(self.0.tag(Label::ApiKey, &[key.as_bytes()]))
    }

    /// The name of a claim on an `Idempotency-Key`. Two services may use one key.
    #[must_use]
    pub fn idempotency_key(&self, service: &ServiceId, key: &str) -> [u8; 32] {
        self.0.tag(Label::IdempotencyKey, &[service.as_str().as_bytes(), key.as_bytes()])
    }

    /// An app installation as it may lie at rest: 32 lower-case hex digits (128 bits). Apps choose
    /// these ids, some of them out of what they know of the person; and one telephone that two
    /// citizens share has two.
    #[must_use]
    pub fn installation(&self, citizen: Pseudonym, id: &str) -> String {
        let parts = [&citizen.0[..], id.as_bytes()];
        hex::encode(self.0.short::<16>(Label::Installation, &parts))
    }

    /// The batch that a sender calls `reference`: 128 bits, the same for as long as there is the keyring.
    #[must_use]
    pub fn batch_reference(&self, service: &ServiceId, reference: &str) -> [u8; 16] {
        self.0.short(Label::BatchReference, &[service.as_str().as_bytes(), reference.as_bytes()])
    }

    /// What a row says, to see whether another one of its batch has said it: 64 bits.
    #[must_use]
    pub fn batch_row(&self, batch: &str, row: &[u8]) -> u64 {
        u64::from_be_bytes(self.0.short(Label::BatchRow, &[batch.as_bytes(), row]))
    }

    /// A request body's digest for that claim. Keyed, because a body that differs from a known one
    /// only in the fiscal code could otherwise be guessed.
    #[must_use]
    pub fn body(&self, service: &ServiceId, body: &[u8]) -> [u8; 32] {
        self.0.tag(Label::Body, &[service.as_str().as_bytes(), body])
    }
}

/// A keyed hash of a sender's API key; as text 64 lower-case hex digits. Compared in constant time.
#[derive(Clone, Copy)]
pub struct ApiKeyHash([u8; 32]);

impl PartialEq for ApiKeyHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}
impl Eq for ApiKeyHash {}

/// For looking a service up. The map's timing tells a caller nothing that it could use: without the
/// key nobody can choose a hash.
impl Hash for ApiKeyHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for ApiKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ApiKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeyHash([redacted])")
    }
}

/// The text is not an [`ApiKeyHash`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a keyed hash of an API key: expected 64 lower-case hex digits")]
pub struct BadApiKeyHash;

impl FromStr for ApiKeyHash {
    type Err = BadApiKeyHash;
    fn from_str(text: &str) -> Result<Self, BadApiKeyHash> {
        let mut hash = Self([0; 32]);
        hex::decode_to_slice(text, &mut hash.0).map_err(|_| BadApiKeyHash)?;
        if text.bytes().any(|digit| digit.is_ascii_uppercase()) {
            return Err(BadApiKeyHash);
        }
        Ok(hash)
    }
}

impl Serialize for ApiKeyHash {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ApiKeyHash {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(secret: u8) -> KeyedHashes {
        KeyedHashes::new(&Secret::new([secret; 32]))
    }

    #[test]
    fn a_hash_depends_on_the_key_behind_it_on_its_label_and_on_where_parts_end() {
        let (one, two) = (ServiceId::from("one"), ServiceId::from("on"));
        assert_eq!(hashes(1).api_key("k"), hashes(1).api_key("k"));
        assert_ne!(hashes(1).api_key("k"), hashes(2).api_key("k"));
        assert_ne!(hashes(1).api_key("k"), hashes(1).api_key("K"));
        assert_ne!(hashes(1).idempotency_key(&one, "k"), hashes(1).idempotency_key(&two, "ek"));
        assert_ne!(hashes(1).idempotency_key(&one, "k"), hashes(1).body(&one, b"k"));
        let phone =
            |secret, citizen| hashes(secret).installation(Pseudonym([citizen; 16]), "phone");
        assert_eq!(phone(1, 1), phone(1, 1));
        assert!(phone(1, 1) != phone(2, 1) && phone(1, 1) != phone(1, 2));
    }

    #[test]
    fn a_hash_reads_back_from_its_text_and_nothing_else_does() {
        let hash = hashes(1).api_key("a key");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        let json = serde_json::to_string(&hash).expect("json");
        assert_eq!(serde_json::from_str::<ApiKeyHash>(&json).expect("json"), hash);
        for text in ["", "00", &"AB".repeat(32), &"0".repeat(63)] {
            assert!(text.parse::<ApiKeyHash>().is_err());
        }
    }
}

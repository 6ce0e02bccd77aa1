//! The secrets that outlive a process.

use aws_lc_rs::hkdf;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemas::ids::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::cipher::Cipher;
use crate::entropy::Entropy;
use crate::key_id::KeyId;
use crate::keyed_hash::KeyedHashes;
use crate::master::MasterKeys;
use crate::pseudonym::Pepper;
use crate::secret::{Secret, redacted};
use crate::tokens::Tokens;

/// All keys of one installation, ready for use. Every process of it holds the same.
///
/// [`Keyring::from_json`] is the seam for a key service: whatever unwraps the document once at start
/// (AWS KMS, Vault transit, a mounted secret) hands its bytes over. Files: `keyring_file.rs`.
pub struct Keyring {
    pepper: Pepper,
    masters: MasterKeys,
    tokens: Tokens,
    hashes: KeyedHashes,
}

redacted!(Keyring);

/// Why a text is not a keyring. Never repeats any of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKeyring {
    /// Not JSON, a field missing or unknown, or a key that is not 32 bytes in base64.
    #[error("line {line}, column {column} is not as a keyring should be: restore it from a backup")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// Written by another version.
    #[error("keyring format {0} is not known here (this version reads 1): use the right version")]
    Version(u32),
    /// No master key at all.
    #[error("the keyring has no master key: restore it from a backup")]
    NoMaster,
    /// Two master keys of one id.
    #[error("the keyring names master key {0} twice: restore it from a backup")]
    RepeatedMaster(KeyId),
}

impl Keyring {
    /// A keyring in memory only: tests, simulations, and the first step of creating a file.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy, now: Timestamp) -> Self {
        Self::from_document(&Document::generate(entropy, now))
    }

    /// Reads the document that the file holds.
    ///
    /// # Errors
    /// [`BadKeyring`].
    pub fn from_json(json: &[u8]) -> Result<Self, BadKeyring> {
        Document::from_json(json).map(|document| Self::from_document(&document))
    }

    pub(crate) fn from_document(document: &Document) -> Self {
        let mut masters: Vec<_> =
            document.masters.iter().map(|one| (one.id, Cipher::new(&one.key))).collect();
        let newest = masters.pop().expect("a document has a master key: it was checked");
        let derive = |label| derive(&document.root, label);
        Self {
            pepper: Pepper::new(&document.pepper),
            masters: MasterKeys::new(newest, masters),
            tokens: Tokens::new(&derive("identifiers"), &derive("tokens")),
            hashes: KeyedHashes::new(&derive("hashes")),
        }
    }

    /// Fiscal code to pseudonym.
    #[must_use]
    pub fn pepper(&self) -> &Pepper {
        &self.pepper
    }

    /// What wraps citizen and transit keys.
    #[must_use]
    pub fn masters(&self) -> &MasterKeys {
        &self.masters
    }

    /// Ids and links that leave the system.
    #[must_use]
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// API keys and idempotency claims.
    #[must_use]
    pub fn hashes(&self) -> &KeyedHashes {
        &self.hashes
    }
}

const VERSION: u32 = 1;

/// The keyring as its file holds it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    version: u32,
    #[serde(with = "base64_secret")]
    pepper: Secret,
    /// What everything that needs no rotation is derived from.
    #[serde(with = "base64_secret")]
    root: Secret,
    /// Oldest first; the last one wraps.
    masters: Vec<Master>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Master {
    id: KeyId,
    #[serde(with = "base64_secret")]
    key: Secret,
    created_at: Timestamp,
}

impl Document {
    pub(crate) fn generate(entropy: &dyn Entropy, now: Timestamp) -> Self {
        let pepper = Secret::draw(entropy);
        let root = Secret::draw(entropy);
        let mut document = Self { version: VERSION, pepper, root, masters: Vec::new() };
        document.rotate(entropy, now);
        document
    }

    /// Adds a master key, which from now on is the one that wraps.
    pub(crate) fn rotate(&mut self, entropy: &dyn Entropy, now: Timestamp) -> KeyId {
        let id = KeyId::draw(entropy);
        self.masters.push(Master { id, key: Secret::draw(entropy), created_at: now });
        id
    }

    /// The key that wraps.
    pub(crate) fn newest(&self) -> Option<KeyId> {
        self.masters.last().map(|master| master.id)
    }

    /// Lets all master keys go but the one that wraps; says how many went.
    pub(crate) fn drop_older(&mut self) -> usize {
        let older = self.masters.len().saturating_sub(1);
        self.masters.drain(..older).count()
    }

    pub(crate) fn from_json(json: &[u8]) -> Result<Self, BadKeyring> {
        // The parser's own words may repeat the text it stumbled over; its position does not.
        let document: Self = serde_json::from_slice(json)
            .map_err(|e| BadKeyring::Syntax { line: e.line(), column: e.column() })?;
        if document.version != VERSION {
            return Err(BadKeyring::Version(document.version));
        }
        if document.masters.is_empty() {
            return Err(BadKeyring::NoMaster);
        }
        for (at, master) in document.masters.iter().enumerate() {
            if document.masters[..at].iter().any(|other| other.id == master.id) {
                return Err(BadKeyring::RepeatedMaster(master.id));
            }
        }
        Ok(document)
    }

    pub(crate) fn to_json(&self) -> Zeroizing<Vec<u8>> {
        let json = serde_json::to_vec_pretty(self);
        Zeroizing::new(json.expect("a keyring is plain data: out of memory otherwise"))
    }
}

/// A secret of its own for each label, from the root (HKDF-SHA-256, RFC 5869).
fn derive(root: &Secret, label: &str) -> Secret {
    let mut bytes = Zeroizing::new([0; Secret::LEN]);
    expand(b"staffetta.keyring.1", root.expose(), label.as_bytes(), &mut *bytes);
    Secret::new(*bytes)
}

fn expand(salt: &[u8], root: &[u8], info: &[u8], out: &mut [u8]) {
    struct Len(usize);
    impl hkdf::KeyType for Len {
        fn len(&self) -> usize {
            self.0
        }
    }
    let key = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(root);
    let made = key.expand(&[info], Len(out.len())).and_then(|okm| okm.fill(out));
    made.expect("a few dozen bytes are within HKDF's limit");
}

mod base64_secret {
    use super::{Engine, STANDARD, Secret, Zeroizing};
    use serde::{Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(secret: &Secret, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&Zeroizing::new(STANDARD.encode(secret.expose())))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Secret, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Secret;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("32 bytes in base64")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
                let bytes = STANDARD.decode(text).map(Zeroizing::new).ok();
                let secret = bytes.and_then(|bytes| Secret::from_slice(&bytes));
                secret.ok_or_else(|| E::custom("not 32 bytes in base64"))
            }
        }
        d.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5869, test case 1.
    #[test]
    fn the_published_hkdf_vector_is_met() {
        let salt: Vec<u8> = (0x00..=0x0c).collect();
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let mut out = [0; 42];
        expand(&salt, &[0x0b; 22], &info, &mut out);
        let expected = concat!(
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf",
            "34007208d5b887185865",
        );
        assert_eq!(hex::encode(out), expected);
    }
}

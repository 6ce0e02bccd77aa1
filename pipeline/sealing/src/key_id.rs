//! Names of keys. Not secret.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::entropy::{Entropy, draw};

/// A master or transit key's name: 8 bytes, 16 lower-case hex digits as text.
///
/// A transit key's first byte says its [`KeyUse`], so that the id alone (the key of its record in
/// `key.transit`, the first bytes of everything it wraps) tells how long it will live.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 8]);

/// What a transit key is for, hence how long it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyUse {
    /// Message keys between ingest and vault, and in stories: days.
    Wire,
    /// Dead letters: months.
    DeadLetter,
    /// Rows of a sender batch that wait for release.
    BatchRows,
}

impl KeyUse {
    /// Every use, in the order of their tags.
    pub const ALL: [Self; 3] = [Self::Wire, Self::DeadLetter, Self::BatchRows];

    fn tag(self) -> u8 {
        match self {
            Self::Wire => 1,
            Self::DeadLetter => 2,
            Self::BatchRows => 3,
        }
    }
}

impl fmt::Display for KeyUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wire => "wire",
            Self::DeadLetter => "dead letter",
            Self::BatchRows => "batch rows",
        })
    }
}

/// Why a text is not a [`KeyId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a key id: expected 16 lower-case hex digits")]
pub struct BadKeyId;

impl KeyId {
    pub(crate) const LEN: usize = 8;

    /// For a master key: all bytes random.
    pub(crate) fn draw(entropy: &dyn Entropy) -> Self {
        Self(draw(entropy))
    }

    /// For a transit key: the first byte is the use.
    pub(crate) fn draw_for(entropy: &dyn Entropy, key_use: KeyUse) -> Self {
        let mut id = Self::draw(entropy);
        id.0[0] = key_use.tag();
        id
    }

    /// What a transit key of this id is for; `None` when no use has its first byte.
    #[must_use]
    pub fn key_use(self) -> Option<KeyUse> {
        KeyUse::ALL.into_iter().find(|key_use| key_use.tag() == self.0[0])
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl FromStr for KeyId {
    type Err = BadKeyId;
    fn from_str(text: &str) -> Result<Self, BadKeyId> {
        if text.bytes().any(|digit| digit.is_ascii_uppercase()) {
            return Err(BadKeyId);
        }
        let mut id = Self([0; Self::LEN]);
        hex::decode_to_slice(text, &mut id.0).map_err(|_| BadKeyId)?;
        Ok(id)
    }
}

impl Serialize for KeyId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    #[test]
    fn an_id_reads_back_from_its_text_and_tells_its_use() {
        for key_use in KeyUse::ALL {
            let id = KeyId::draw_for(&SystemEntropy, key_use);
            assert_eq!(id.to_string().parse(), Ok(id));
            assert_eq!(id.key_use(), Some(key_use));
        }
    }

    #[test]
    fn a_text_that_is_no_id_is_refused() {
        for text in ["", "00", "00112233445566778", "001122334455667G", "00112233445566AA"] {
            assert_eq!(text.parse::<KeyId>(), Err(BadKeyId), "{text}");
        }
    }
}

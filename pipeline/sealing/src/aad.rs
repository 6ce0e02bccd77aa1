//! What a ciphertext is for and whose it is: the associated data of every seal.

use std::ops::Deref;

/// Why bytes are sealed. Each has a number that is part of the format: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// A message's content under its message key; id: message id.
    Content,
    /// What a push or email may show, under the message key; id: message id.
    Notice,
    /// A message key under a transit key; id: message id.
    MessageKeyInTransit,
    /// A message key under a citizen key; id: message id.
    MessageKeyKept,
    /// A transit key under a master key; id: key id, part: validity.
    TransitKey,
    /// A citizen key under a master key; id: pseudonym, part: generation.
    CitizenKey,
    /// A device token under a citizen key; id: pseudonym, part: installation.
    DeviceToken,
    /// A validated email address under a citizen key; id: pseudonym.
    EmailAddress,
    /// A dead letter or a chunk of batch rows, under its envelope's key; id: chosen by the caller.
    Envelope,
    /// An envelope's key under a transit key; id: chosen by the caller.
    EnvelopeKey,
    /// A one-click unsubscribe token.
    UnsubscribeToken,
    /// A mailbox validation token.
    MailboxToken,
}

impl Purpose {
    /// The most plaintext one seal of this purpose may hold, in bytes.
    ///
    /// An envelope may hold a whole record, whose content may itself be at its limit.
    pub(crate) fn max_plain(self) -> usize {
        match self {
            Self::Envelope => 16 << 20,
            Self::Content => 1 << 20,
            Self::Notice
            | Self::MessageKeyInTransit
            | Self::MessageKeyKept
            | Self::TransitKey
            | Self::CitizenKey
            | Self::EnvelopeKey
            | Self::DeviceToken
            | Self::EmailAddress
            | Self::UnsubscribeToken
            | Self::MailboxToken => 64 << 10,
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Content => 1,
            Self::Notice => 2,
            Self::MessageKeyInTransit => 3,
            Self::MessageKeyKept => 4,
            Self::TransitKey => 5,
            Self::CitizenKey => 6,
            Self::DeviceToken => 7,
            Self::EmailAddress => 8,
            Self::Envelope => 9,
            Self::UnsubscribeToken => 10,
            Self::MailboxToken => 11,
            Self::EnvelopeKey => 12,
        }
    }

    /// Every number once: two purposes with one number would open as each other.
    #[cfg(test)]
    const ALL: [Self; 12] = [
        Self::Content,
        Self::Notice,
        Self::MessageKeyInTransit,
        Self::MessageKeyKept,
        Self::TransitKey,
        Self::CitizenKey,
        Self::DeviceToken,
        Self::EmailAddress,
        Self::Envelope,
        Self::UnsubscribeToken,
        Self::MailboxToken,
        Self::EnvelopeKey,
    ];
}

/// Associated data: prefix ‖ purpose (1 byte) ‖ length of id (4 bytes, big-endian) ‖ id ‖ part.
///
/// The length keeps (id "ab", part "c") apart from (id "a", part "bc").
#[derive(Clone, Copy)]
pub(crate) struct Aad<'a> {
    pub(crate) purpose: Purpose,
    id: &'a [u8],
    part: &'a [u8],
}

/// Names the format; another layout of sealed bytes or associated data gets another number.
const PREFIX: &[u8] = b"staffetta.seal.1";

impl<'a> Aad<'a> {
    pub(crate) fn new(purpose: Purpose, id: &'a [u8]) -> Self {
        Self { purpose, id, part: &[] }
    }

    pub(crate) fn part(self, part: &'a [u8]) -> Self {
        Self { part, ..self }
    }

    pub(crate) fn encode(&self) -> Encoded {
        let id_len = u32::try_from(self.id.len()).unwrap_or(u32::MAX).to_be_bytes();
        let pieces = [PREFIX, &[self.purpose.number()], &id_len, self.id, self.part];
        let len = pieces.iter().map(|piece| piece.len()).sum();
        let mut short = [0; SHORT];
        if len > SHORT {
            return Encoded::Long(pieces.concat());
        }
        let mut at = 0;
        for piece in pieces {
            short[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        }
        Encoded::Short(short, len)
    }
}

/// Enough for every id of ours; a caller's longer id costs an allocation.
const SHORT: usize = 128;

/// Encoded associated data, on the stack when it fits.
pub(crate) enum Encoded {
    Short([u8; SHORT], usize),
    Long(Vec<u8>),
}

impl Deref for Encoded {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Short(bytes, len) => &bytes[..*len],
            Self::Long(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_purposes_have_one_number() {
        let numbers = Purpose::ALL.map(Purpose::number);
        assert_eq!(numbers, std::array::from_fn(|at| u8::try_from(at + 1).expect("few")));
    }

    #[test]
    fn where_an_id_ends_is_part_of_the_data() {
        let one = Aad::new(Purpose::DeviceToken, b"ab").part(b"c").encode();
        let two = Aad::new(Purpose::DeviceToken, b"a").part(b"bc").encode();
        assert_ne!(*one, *two);
    }

    #[test]
    fn a_long_id_is_encoded_as_a_short_one_is() {
        let id = [7; 300];
        let encoded = Aad::new(Purpose::Content, &id).part(b"end").encode();
        assert_eq!(&encoded[..PREFIX.len()], PREFIX);
        assert_eq!(encoded[PREFIX.len()..][..5], [1, 0, 0, 1, 44]);
        assert_eq!(encoded[PREFIX.len() + 5..], [&id[..], b"end"].concat());
    }
}

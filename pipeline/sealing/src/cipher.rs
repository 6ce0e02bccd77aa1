//! AES-256-GCM and the layout of sealed bytes.

use std::borrow::Cow;

use aws_lc_rs::aead::{self, AES_256_GCM, LessSafeKey, Nonce, UnboundKey};

use crate::aad::Aad;
use crate::compress::{self, Body};
use crate::entropy::{Entropy, draw};
use crate::error::SealError;
use crate::secret::{Secret, redacted};

pub(crate) const NONCE_LEN: usize = 12;
pub(crate) const TAG_LEN: usize = 16;
/// What sealing adds to the bytes it encrypts.
pub(crate) const OVERHEAD: usize = NONCE_LEN + TAG_LEN;

/// An AES-256 key made ready (its schedule is computed once).
///
/// Nonces are random: at most 2³² seals under one key (NIST SP 800-38D §8.3). A transit key of one
/// day reaches that at 49,000 messages a second; no other key comes near.
pub(crate) struct Cipher(LessSafeKey);

redacted!(Cipher);

impl Cipher {
    pub(crate) fn new(secret: &Secret) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, secret.expose());
        Self(LessSafeKey::new(key.expect("32 bytes are an AES-256 key: out of memory otherwise")))
    }

    /// Compresses and seals into a fresh vector: nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes).
    /// Errors: `TooLarge` beyond the purpose's limit, the record's fault.
    pub(crate) fn seal(
        &self,
        entropy: &dyn Entropy,
        aad: &Aad<'_>,
        plain: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let mut out = Vec::new();
        self.seal_into(entropy, aad, plain, &mut out)?;
        Ok(out)
    }

    /// Like [`Cipher::seal`], appending to `out`; on an error `out` is as it was.
    pub(crate) fn seal_into(
        &self,
        entropy: &dyn Entropy,
        aad: &Aad<'_>,
        plain: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SealError> {
        let limit = aad.purpose.max_plain();
        if plain.len() > limit {
            return Err(SealError::TooLarge { limit });
        }
        let start = out.len();
        let nonce = draw(entropy);
        out.reserve(OVERHEAD + compress::bound(plain.len()));
        out.extend_from_slice(&nonce);
        compress::append(plain, out);
        match self.seal_at(nonce, aad, &mut out[start + NONCE_LEN..]) {
            Ok(tag) => out.extend_from_slice(&tag),
            Err(error) => {
                // The body is plaintext still: it must not stay behind in a reused buffer.
                out[start..].fill(0);
                out.truncate(start);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Opens what [`Cipher::seal`] made.
    /// Errors: `TooShort`, `Tampered`, `TooLarge`, `BadForm`; all the record's fault.
    pub(crate) fn open(&self, aad: &Aad<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut bytes = sealed.to_vec();
        match self.open_in_place(aad, &mut bytes)? {
            Cow::Owned(plain) => Ok(plain),
            Cow::Borrowed(plain) => {
                let len = plain.len();
                // Nonce and marker lie in front of the plaintext; moving it is cheaper than a copy.
                bytes.copy_within(NONCE_LEN + 1..NONCE_LEN + 1 + len, 0);
                bytes.truncate(len);
                Ok(bytes)
            }
        }
    }

    /// Opens within `sealed`, which holds plaintext (or its compressed form) afterwards. Borrowed
    /// when the plaintext was not compressed, owned when it had to be expanded.
    pub(crate) fn open_in_place<'a>(
        &self,
        aad: &Aad<'_>,
        sealed: &'a mut [u8],
    ) -> Result<Cow<'a, [u8]>, SealError> {
        let marked = self.open_at(aad, sealed)?;
        Ok(match compress::expand(marked, aad.purpose.max_plain())? {
            Body::Plain(plain) => Cow::Borrowed(plain),
            Body::Expanded(plain) => Cow::Owned(plain),
        })
    }

    /// The primitive: encrypts `body` where it lies and returns its tag. `nonce` must be fresh.
    pub(crate) fn seal_at(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &Aad<'_>,
        body: &mut [u8],
    ) -> Result<[u8; TAG_LEN], SealError> {
        self.encrypt(nonce, &aad.encode(), body)
    }

    fn encrypt(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        body: &mut [u8],
    ) -> Result<[u8; TAG_LEN], SealError> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, aead::Aad::from(aad), body)
            .map_err(|_| SealError::Unavailable)?;
        tag.as_ref().try_into().map_err(|_| SealError::Unavailable)
    }

    /// The primitive's reverse: splits `sealed` = nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes,
    /// NIST SP 800-38D) and decrypts where it lies.
    /// Errors: `TooShort` under 28 bytes, `Tampered`; always the record's fault, never ours.
    pub(crate) fn open_at<'a>(
        &self,
        aad: &Aad<'_>,
        sealed: &'a mut [u8],
    ) -> Result<&'a mut [u8], SealError> {
        self.decrypt(&aad.encode(), sealed)
    }

    fn decrypt<'a>(&self, aad: &[u8], sealed: &'a mut [u8]) -> Result<&'a mut [u8], SealError> {
        if sealed.len() < OVERHEAD {
            return Err(SealError::TooShort);
        }
        let (nonce, body) = sealed.split_at_mut(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::TooShort)?;
        let opened = self.0.open_in_place(nonce, aead::Aad::from(aad), body);
        opened.map_err(|_| SealError::Tampered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aad::Purpose;
    use crate::entropy::SeededEntropy;

    /// McGrew and Viega, "The Galois/Counter Mode of Operation", AES-256 test case 16, as
    /// submitted to NIST.
    #[test]
    fn the_published_gcm_vector_is_met_both_ways() {
        let half = hex::decode("feffe9928665731c6d6a8f9467308308").expect("hex");
        let secret = Secret::from_slice(&[&half[..], &half].concat()).expect("32 bytes");
        let nonce = hex::decode("cafebabefacedbaddecaf888").expect("hex");
        let aad = hex::decode("feedfacedeadbeeffeedfacedeadbeefabaddad2").expect("hex");
        let plain = hex::decode(concat!(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72",
            "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        ))
        .expect("hex");
        let sealed = hex::decode(concat!(
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa",
            "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
        ))
        .expect("hex");
        let tag = hex::decode("76fc6ece0f4e1768cddf8853bb2d551b").expect("hex");

        let cipher = Cipher::new(&secret);
        let mut body = plain.clone();
        let made = cipher.encrypt(nonce[..].try_into().expect("12"), &aad, &mut body);
        assert_eq!(made.as_ref().map(|tag| &tag[..]), Ok(&tag[..]));
        assert_eq!(body, sealed);
        let mut whole = [nonce, sealed, tag].concat();
        assert_eq!(cipher.decrypt(&aad, &mut whole).map(|opened| &*opened), Ok(&plain[..]));
    }

    #[test]
    fn sealing_appends_and_leaves_what_was_there() {
        let entropy = SeededEntropy::new(1);
        let cipher = Cipher::new(&Secret::draw(&entropy));
        let aad = Aad::new(Purpose::Notice, b"id");
        let mut out = b"before".to_vec();
        cipher.seal_into(&entropy, &aad, b"words", &mut out).expect("sealed");
        assert_eq!(&out[..6], b"before");
        assert_eq!(out.len(), 6 + OVERHEAD + 1 + 5);
        assert_eq!(cipher.open(&aad, &out[6..]).as_deref(), Ok(&b"words"[..]));
        let limit = Purpose::Notice.max_plain();
        let refused = cipher.seal_into(&entropy, &aad, &vec![0; limit + 1], &mut out);
        assert_eq!(refused, Err(SealError::TooLarge { limit }));
        assert_eq!(out.len(), 6 + OVERHEAD + 1 + 5);
    }

    #[test]
    fn fewer_than_28_bytes_are_too_short() {
        let cipher = Cipher::new(&Secret::new([1; 32]));
        let aad = Aad::new(Purpose::Content, b"id");
        for len in 0..OVERHEAD {
            assert_eq!(cipher.open(&aad, &vec![0; len]), Err(SealError::TooShort));
        }
        assert_eq!(cipher.open(&aad, &[0; OVERHEAD]), Err(SealError::Tampered));
    }
}

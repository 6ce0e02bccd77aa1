//! One 32-byte key under another, with the outer key's name in front.

use crate::aad::Aad;
use crate::cipher::{Cipher, NONCE_LEN, OVERHEAD};
use crate::entropy::{Entropy, draw};
use crate::error::SealError;
use crate::key_id::KeyId;
use crate::secret::Secret;

/// Length of a key sealed by another: nonce (12) ‖ ciphertext (32) ‖ tag (16).
pub(crate) const SEALED_KEY_LEN: usize = OVERHEAD + Secret::LEN;

/// Length of a wrapped key: id of the wrapping key (8) ‖ nonce (12) ‖ ciphertext (32) ‖ tag (16).
pub const WRAPPED_LEN: usize = KeyId::LEN + SEALED_KEY_LEN;

/// Seals `secret` without naming the key that did it.
pub(crate) fn seal_key(
    cipher: &Cipher,
    entropy: &dyn Entropy,
    aad: &Aad<'_>,
    secret: &Secret,
) -> Result<[u8; SEALED_KEY_LEN], SealError> {
    let mut out = [0; SEALED_KEY_LEN];
    let nonce = draw(entropy);
    let (body, tag) = out[NONCE_LEN..].split_at_mut(Secret::LEN);
    body.copy_from_slice(secret.expose());
    tag.copy_from_slice(&cipher.seal_at(nonce, aad, body)?);
    out[..NONCE_LEN].copy_from_slice(&nonce);
    Ok(out)
}

/// The reverse of [`seal_key`].
pub(crate) fn open_key(cipher: &Cipher, aad: &Aad<'_>, sealed: &[u8]) -> Result<Secret, SealError> {
    if sealed.len() < SEALED_KEY_LEN {
        return Err(SealError::TooShort);
    }
    // Longer than any wrapped key: the tag cannot fit what it covers.
    let mut bytes: [u8; SEALED_KEY_LEN] = sealed.try_into().map_err(|_| SealError::Tampered)?;
    let opened = cipher.open_at(aad, &mut bytes)?;
    let secret = Secret::from_slice(opened).ok_or(SealError::BadForm);
    opened.fill(0);
    secret
}

/// Seals `secret` and puts the wrapping key's id in front.
pub(crate) fn wrap(
    (id, cipher): (KeyId, &Cipher),
    entropy: &dyn Entropy,
    aad: &Aad<'_>,
    secret: &Secret,
) -> Result<[u8; WRAPPED_LEN], SealError> {
    let mut out = [0; WRAPPED_LEN];
    out[..KeyId::LEN].copy_from_slice(&id.0);
    out[KeyId::LEN..].copy_from_slice(&seal_key(cipher, entropy, aad, secret)?);
    Ok(out)
}

/// Splits `wrapped` into the id of the key that wrapped it and what [`open_key`] opens.
/// Errors: `TooShort` under [`WRAPPED_LEN`] bytes.
pub(crate) fn split(wrapped: &[u8]) -> Result<(KeyId, &[u8]), SealError> {
    if wrapped.len() < WRAPPED_LEN {
        return Err(SealError::TooShort);
    }
    let (id, sealed) = wrapped.split_first_chunk().ok_or(SealError::TooShort)?;
    Ok((KeyId(*id), sealed))
}

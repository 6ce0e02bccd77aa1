//! JSON web tokens in compact form (RFC 7515 §3.1).

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde::Serialize;

use super::TokenError;

/// `base64url(header).base64url(claims).base64url(signature)`, where `sign` signs the first two
/// parts with the dot between them.
pub(super) fn compact(
    header: &impl Serialize,
    claims: &impl Serialize,
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, TokenError>,
) -> Result<String, TokenError> {
    let mut token = String::with_capacity(512);
    encode_json(header, &mut token)?;
    token.push('.');
    encode_json(claims, &mut token)?;
    let signature = sign(token.as_bytes())?;
    token.push('.');
    BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

/// The PKCS#8 key (DER) of a PEM file; other sections before it are passed over.
pub(super) fn pkcs8(pem: &[u8]) -> Result<PrivatePkcs8KeyDer<'static>, TokenError> {
    PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| TokenError::NotPkcs8Pem)
}

fn encode_json(value: &impl Serialize, token: &mut String) -> Result<(), TokenError> {
    let json = serde_json::to_vec(value).map_err(|_| TokenError::Signing)?;
    BASE64_URL_SAFE_NO_PAD.encode_string(json, token);
    Ok(())
}

//! Time, randomness and the small encodings that all doubles share.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::fill;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde::de::DeserializeOwned;

/// Milliseconds since 1970, by the system's clock: certificates and tokens are judged by it.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// `N` random bytes.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes).expect("the system must offer random numbers");
    bytes
}

/// A version 4 UUID in the canonical form (RFC 9562): 8-4-4-4-12 lower-case hex digits.
pub(crate) fn uuid() -> String {
    let mut bytes: [u8; 16] = random();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode(bytes);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// `N` characters of A to Z and 0 to 9: the form of Apple's key and team ids.
pub(crate) fn capitals<const N: usize>() -> String {
    const ALPHABET: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    random::<N>().iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % 36])).collect()
}

/// Reads a JSON object. Reading into a type alone would take an array of its fields as well.
pub(crate) fn object<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(text)?;
    T::deserialize(fields)
}

/// The bytes of a part of a JWT (RFC 7515 §2: base64url, here with padding or without).
pub(crate) fn jwt_bytes(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).or_else(|_| URL_SAFE.decode(part)).ok()
}

/// The JSON object in a part of a JWT.
pub(crate) fn jwt_object<T: DeserializeOwned>(part: &str) -> Option<T> {
    object(&jwt_bytes(part)?).ok()
}

/// PEM (RFC 7468) around `der`.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_uuid_is_canonical_and_of_version_4() {
        let id = uuid();
        let groups: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
        assert_eq!(&id[14..15], "4");
        assert_eq!(id, id.to_ascii_lowercase());
    }

    #[test]
    fn pem_lines_have_at_most_64_characters() {
        assert!(pem("PRIVATE KEY", &[7; 200]).lines().all(|line| line.len() <= 64));
    }
}

//! `Idempotency-Key`: a sender that repeats a request gets the same message, not a second one.

use hyper::HeaderMap;
use policy::admit::Problem;
use schemas::headers::Claim;
use schemas::ids::ServiceId;
use sealing::KeyedHashes;

/// Longest key in bytes.
const KEY_LIMIT: usize = 255;

/// The key, if the sender gave one.
///
/// # Errors
/// 400: empty, too long, not printable ASCII, or given twice.
pub fn key_of(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| (1..=KEY_LIMIT).contains(&text.len()));
    match (text, values.next()) {
        (Some(text), None) => Ok(Some(text)),
        (_, _) => Err(Problem::new(
            400,
            "Invalid Idempotency-Key",
            "The Idempotency-Key must be given once, with 1 to 255 printable ASCII characters.",
        )),
    }
}

/// What is claimed: two services may use one key, and the path form is another request than the body form.
pub fn claim(
    hashes: &KeyedHashes,
    service: &ServiceId,
    key: &str,
    path_code: Option<&str>,
    body: &[u8],
) -> Claim {
    // A code in a path holds no zero byte once it has been admitted.
    let mut request = path_code.unwrap_or_default().as_bytes().to_vec();
    request.push(0);
    request.extend_from_slice(body);
    Claim { name: hashes.idempotency_key(service, key), request: hashes.body(service, &request) }
}

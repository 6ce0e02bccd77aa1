//! The rules for one request, apart from the provider token: Apple, "Sending notification requests
//! to APNs". The order in which they are asked is ours; Apple does not document one.

use http::request::Parts;
use http::{HeaderMap, Method};
use serde_json::{Map, Value};

use super::reason::Reason;
use crate::http2::Ask;

/// "The maximum payload is 4 KB; 5 KB for VoIP."
const PAYLOAD_MAX: usize = 4096;
const PAYLOAD_MAX_VOIP: usize = 5120;
const COLLAPSE_ID_MAX: usize = 64;
/// Apple names no length for tokens; this only keeps nonsense out.
const TOKEN_DIGITS_MAX: usize = 400;

/// Headers that may be sent once.
const SINGLE: [&str; 8] = [
    "authorization",
    "apns-id",
    "apns-topic",
    "apns-push-type",
    "apns-expiration",
    "apns-priority",
    "apns-collapse-id",
    "content-type",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum PushType {
    Alert,
    Background,
    Voip,
    /// Whatever asks nothing of `aps`: complication, fileprovider, mdm, location, controls,
    /// widgets.
    Other,
    LiveActivity,
    PushToTalk,
}

/// Suffixes of a topic by push type ("apns-push-type", the topic each one must use).
const SUFFIXES: [(&str, PushType); 9] = [
    (".voip-ptt", PushType::PushToTalk),
    (".voip", PushType::Voip),
    (".complication", PushType::Other),
    (".pushkit.fileprovider", PushType::Other),
    (".location-query", PushType::Other),
    (".push-type.liveactivity", PushType::LiveActivity),
    (".push-type.controls", PushType::Other),
    (".push-type.widgets", PushType::Other),
    (".push-type.mdm", PushType::Other),
];

/// Method, path and the form of the token, which come first. Gives the token's hex digits.
pub(crate) fn token(parts: &Parts) -> Result<&str, Reason> {
    if parts.method != Method::POST {
        return Err(Reason::MethodNotAllowed);
    }
    let token = parts.uri.path().strip_prefix("/3/device/").ok_or(Reason::BadPath)?;
    if token.contains('/') {
        return Err(Reason::BadPath);
    }
    if token.is_empty() {
        return Err(Reason::MissingDeviceToken);
    }
    let is_hex = token.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex && token.len().is_multiple_of(2) && token.len() <= TOKEN_DIGITS_MAX {
        Ok(token)
    } else {
        Err(Reason::BadDeviceToken)
    }
}

/// Everything after the provider token. Gives the payload. Precedence: topic > duplicate headers >
/// `apns-id` > push type > priority > expiration > collapse id > body.
pub(crate) fn check(ask: &Ask, topic: &str) -> Result<Value, Reason> {
    let headers = &ask.parts.headers;
    let suffix = check_topic(headers, topic)?;
    if SINGLE.iter().any(|name| headers.get_all(*name).iter().nth(1).is_some()) {
        return Err(Reason::DuplicateHeaders);
    }
    if value(headers, "apns-id").is_some_and(|id| !is_uuid(id)) {
        return Err(Reason::BadMessageId);
    }
    let payload = payload(ask);
    let push_type = check_push_type(headers, suffix, payload.as_ref().ok())?;
    check_priority(headers, push_type)?;
    let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    if value(headers, "apns-expiration").is_some_and(|seconds| !is_number(seconds)) {
        return Err(Reason::BadExpirationDate);
    }
    if value(headers, "apns-collapse-id").is_some_and(|id| id.len() > COLLAPSE_ID_MAX) {
        return Err(Reason::BadCollapseId);
    }
    let is_voip = push_type == Some(PushType::Voip);
    let max = if is_voip { PAYLOAD_MAX_VOIP } else { PAYLOAD_MAX };
    if ask.is_cut || ask.body.len() > max {
        return Err(Reason::PayloadTooLarge);
    }
    payload.map(Value::Object)
}

/// The body as an object. APNs has no reason of its own for a body that is none: such a body holds
/// no payload, so it counts as empty.
fn payload(ask: &Ask) -> Result<Map<String, Value>, Reason> {
    serde_json::from_slice(&ask.body).map_err(|_| Reason::PayloadEmpty)
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    headers.get(name).map(http::HeaderValue::as_bytes)
}

/// The push type that the topic's suffix asks for.
fn check_topic(headers: &HeaderMap, ours: &str) -> Result<Option<PushType>, Reason> {
    let topic = value(headers, "apns-topic").ok_or(Reason::MissingTopic)?;
    let is_bundle_id = |byte: &u8| byte.is_ascii_alphanumeric() || b".-".contains(byte);
    if topic.is_empty() || topic.len() > 255 || !topic.iter().all(is_bundle_id) {
        return Err(Reason::BadTopic);
    }
    let suffix = topic.strip_prefix(ours.as_bytes()).ok_or(Reason::TopicDisallowed)?;
    if suffix.is_empty() {
        return Ok(None);
    }
    let known = SUFFIXES.iter().find(|(name, _)| name.as_bytes() == suffix);
    known.map(|(_, push_type)| Some(*push_type)).ok_or(Reason::TopicDisallowed)
}

/// 8-4-4-4-12 hex digits, in either case: Apple describes lower case and itself answers in upper
/// case.
fn is_uuid(id: &[u8]) -> bool {
    id.len() == 36
        && id.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// "The value of this header must accurately reflect the contents of your notification's payload.
/// If there's a mismatch, … APNs may return an error, delay the delivery … or drop it": here it is
/// the error, so that a mismatch is seen. A body that is no JSON is left to the body's own rule.
fn check_push_type(
    headers: &HeaderMap,
    suffix: Option<PushType>,
    payload: Option<&Map<String, Value>>,
) -> Result<Option<PushType>, Reason> {
    let push_type = match value(headers, "apns-push-type") {
        None => return Ok(None),
        Some(b"alert") => PushType::Alert,
        Some(b"background") => PushType::Background,
        Some(b"voip") => PushType::Voip,
        Some(b"liveactivity") => PushType::LiveActivity,
        Some(b"pushtotalk") => PushType::PushToTalk,
        Some(
            b"complication" | b"fileprovider" | b"mdm" | b"location" | b"controls" | b"widgets",
        ) => PushType::Other,
        Some(_) => return Err(Reason::InvalidPushType),
    };
    let needs_suffix = match push_type {
        PushType::Voip | PushType::LiveActivity | PushType::PushToTalk => Some(push_type),
        PushType::Alert | PushType::Background => None,
        PushType::Other => suffix,
    };
    let Some(payload) = payload else { return Ok(Some(push_type)) };
    let empty = Map::new();
    let aps = payload.get("aps").and_then(Value::as_object).unwrap_or(&empty);
    let shows = ["alert", "badge", "sound"].iter().any(|key| aps.contains_key(*key));
    let wakes = aps.get("content-available").is_some_and(|flag| *flag == 1 || *flag == true);
    let fits = match push_type {
        PushType::Alert => shows,
        PushType::Background => wakes && !shows,
        PushType::LiveActivity => aps.contains_key("event"),
        PushType::Voip | PushType::PushToTalk | PushType::Other => true,
    };
    if fits && suffix == needs_suffix { Ok(Some(push_type)) } else { Err(Reason::InvalidPushType) }
}

/// 10, 5 or 1; "specify 5 … for background notifications, using 10 is an error".
fn check_priority(headers: &HeaderMap, push_type: Option<PushType>) -> Result<(), Reason> {
    let is_background = push_type == Some(PushType::Background);
    match value(headers, "apns-priority") {
        Some(b"5") => Ok(()),
        // Absent means 10.
        None | Some(b"1" | b"10") if !is_background => Ok(()),
        None | Some(_) => Err(Reason::BadPriority),
    }
}

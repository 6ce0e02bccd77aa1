//! What senders write.

use policy::contract::message::{self, NewMessage};
use policy::contract::{date, profile};

/// A detail quotes what it refuses; it must not grow with it.
const LONGEST_DETAIL: usize = 128 * 1024;

pub fn message_body(bytes: &[u8]) {
    match message::decode(bytes) {
        Ok(message) => sound(&message),
        Err(detail) => assert!(detail.len() < LONGEST_DETAIL, "a detail of {}", detail.len()),
    }
}

/// What is stored can be read again as it is.
fn sound(message: &NewMessage) {
    let content = serde_json::to_value(&message.content).expect("content is JSON");
    let again = serde_json::to_vec(&content).expect("JSON");
    let read: serde_json::Value = serde_json::from_slice(&again).expect("read again");
    assert_eq!(read, content);
}

pub fn profile_body(bytes: &[u8]) {
    if let Ok(code) = profile::decode_body(bytes) {
        assert_eq!(profile::decode_path_code(code.as_str()), Ok(code));
    }
    let text = String::from_utf8_lossy(bytes);
    let _ = profile::decode_path_code(&text);
    let _ = profile::decode_message_id(&text);
    if let Some(at) = date::parse(&text) {
        assert_eq!(date::parse(&date::format(at)), Some(at), "{text}");
    }
}

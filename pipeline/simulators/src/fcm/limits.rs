//! What FCM itself refuses in a request of the right shape. Sources: Firebase, "REST Resource:
//! projects.messages" and "Build app server send requests".

use serde_json::{Map, Value};

use super::errors::{Failure, Violation};
use super::schema::seconds;

/// "Maximum payload for messages is 4096 bytes", 2048 for topics.
const PAYLOAD_MAX: usize = 4096;
const PAYLOAD_MAX_TOPIC: usize = 2048;
/// "The maximum time to live supported is 4 weeks."
const TTL_MAX_SECONDS: i64 = 28 * 24 * 60 * 60;

/// Whom a message is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    Token(&'a str),
    /// A topic or a condition.
    Group(&'a str),
}

impl<'a> Target<'a> {
    pub(super) fn name(&self) -> &'a str {
        match self {
            Target::Token(name) | Target::Group(name) => name,
        }
    }
}

/// Checks a message whose names are in camelCase. Precedence: target > reserved keys > ttl > colour >
/// size.
pub(super) fn check(message: &Map<String, Value>) -> Result<Target<'_>, Failure> {
    let target = target(message)?;
    let empty = Map::new();
    let android = message.get("android").and_then(Value::as_object).unwrap_or(&empty);
    for (data, field) in
        [(message.get("data"), "message.data"), (android.get("data"), "message.android.data")]
    {
        let keys = data.and_then(Value::as_object).unwrap_or(&empty).keys();
        if let Some(key) = keys.into_iter().find(|key| is_reserved(key)) {
            return Err(rejected(field, format!("Invalid data payload key: {key}")));
        }
    }
    if let Some(ttl) = android.get("ttl").and_then(Value::as_str)
        && !seconds(ttl).is_some_and(|ttl| (0..=TTL_MAX_SECONDS).contains(&ttl))
    {
        let text = format!("The ttl must be between 0 and {TTL_MAX_SECONDS} seconds.");
        return Err(rejected("message.android.ttl", text));
    }
    let notification = android.get("notification").and_then(Value::as_object).unwrap_or(&empty);
    if let Some(color) = notification.get("color").and_then(Value::as_str)
        && !is_color(color)
    {
        let text = "The color must be in the form #RRGGBB.".to_owned();
        return Err(rejected("message.android.notification.color", text));
    }
    let max = match target {
        Target::Token(_) => PAYLOAD_MAX,
        Target::Group(_) => PAYLOAD_MAX_TOPIC,
    };
    let counted = [
        message.get("data"),
        message.get("notification"),
        android.get("data"),
        android.get("notification"),
    ];
    if counted.into_iter().flatten().map(size).sum::<usize>() > max {
        // The words are Google's (firebase/firebase-admin-go#580).
        return Err(rejected("message", "Android message is too big".to_owned()));
    }
    Ok(target)
}

fn target(message: &Map<String, Value>) -> Result<Target<'_>, Failure> {
    let text = |name| message.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (token, topic, condition) = (text("token"), text("topic"), text("condition"));
    match (token, topic.or(condition), topic.and(condition)) {
        // beste/firebase-php#308.
        (None, None, _) => {
            Err(rejected("message", "Recipient of the message is not set.".to_owned()))
        }
        (Some(_), Some(_), _) | (_, _, Some(_)) => Err(rejected(
            "message",
            "Invalid value at 'message' (oneof), oneof field 'target' is already set.".to_owned(),
        )),
        (Some(token), None, None) => Ok(Target::Token(token)),
        (None, Some(group), None) => Ok(Target::Group(group)),
    }
}

fn rejected(field: &str, description: String) -> Failure {
    Failure::rejected(Violation { field: field.into(), description })
}

/// "The key should not be a reserved word (`from`, `message_type`, or any word starting with `google.`
/// or `gcm.notification.`)"; the prefixes are read as the field's own documentation has them.
fn is_reserved(key: &str) -> bool {
    key == "from" || key == "message_type" || key.starts_with("google.") || key.starts_with("gcm.")
}

fn is_color(color: &str) -> bool {
    color.strip_prefix('#').is_some_and(|digits| {
        digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// Bytes of all names and values. How Google counts is not documented: a message whose whole JSON fits
/// into the limit always passes.
fn size(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Bool(_) | Value::Number(_) => value.to_string().len(),
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + size(value)).sum(),
    }
}

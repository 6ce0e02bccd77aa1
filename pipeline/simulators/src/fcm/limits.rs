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
    /// A registration token or an installation id.
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

/// What a message says to Android, in either version.
pub(super) struct Android<'a> {
    config: Option<&'a Map<String, Value>>,
    notification: Option<&'a Map<String, Value>>,
    /// The name of `config` in violations.
    field: &'static str,
}

impl<'a> Android<'a> {
    pub(super) fn of(message: &'a Map<String, Value>) -> Android<'a> {
        let object = |value: Option<&'a Value>| value.and_then(Value::as_object);
        let first = object(message.get("android"));
        let second = object(message.get("androidV2"));
        let (config, field, holder) = match second {
            None => (first, "message.android", first),
            Some(config) => {
                (second, "message.android_v2", object(config.get("remoteNotification")))
            }
        };
        let notification = holder.and_then(|holder| object(holder.get("notification")));
        Android { config, notification, field }
    }

    /// What replaces a notification that is shown.
    pub(super) fn tag(&self) -> Option<&'a str> {
        self.notification?.get("tag")?.as_str()
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.config?.get(name)?.as_str()
    }
}

/// Checks a message whose names are in camelCase. Precedence: target > both versions of Android >
/// reserved keys > ttl > colour > size.
pub(super) fn check(message: &Map<String, Value>) -> Result<Target<'_>, Failure> {
    let target = target(message)?;
    if message.contains_key("android") && message.contains_key("androidV2") {
        let text = "Requests with both android and android_v2 are rejected.";
        return Err(rejected("message", text.to_owned()));
    }
    let android = Android::of(message);
    let field = android.field;
    let android_data = android.config.and_then(|config| config.get("data"));
    for (data, field) in
        [(message.get("data"), "message.data".to_owned()), (android_data, format!("{field}.data"))]
    {
        let keys = data.and_then(Value::as_object).into_iter().flat_map(Map::keys);
        if let Some(key) = keys.into_iter().find(|key| is_reserved(key)) {
            // The words are Google's, as many threads quote them.
            return Err(rejected(&field, format!("Invalid data payload key: {key}")));
        }
    }
    if let Some(ttl) = android.text("ttl")
        && !seconds(ttl).is_some_and(|ttl| (0..=TTL_MAX_SECONDS).contains(&ttl))
    {
        let text = format!("The ttl must be between 0 and {TTL_MAX_SECONDS} seconds.");
        return Err(rejected(&format!("{field}.ttl"), text));
    }
    let color = android.notification.and_then(|notification| notification.get("color"));
    if color.and_then(Value::as_str).is_some_and(|color| !is_color(color)) {
        let text = "The color must be in the form #RRGGBB.".to_owned();
        return Err(rejected(&format!("{field}.notification.color"), text));
    }
    let max = match target {
        Target::Token(_) => PAYLOAD_MAX,
        Target::Group(_) => PAYLOAD_MAX_TOPIC,
    };
    let counted = [message.get("data"), message.get("notification"), android_data];
    let size = counted.into_iter().flatten().map(size).sum::<usize>()
        + android.notification.map_or(0, size_of_fields);
    if size > max {
        // The words are Google's (firebase/firebase-admin-go#580).
        return Err(rejected("message", "Android message is too big".to_owned()));
    }
    Ok(target)
}

fn target(message: &Map<String, Value>) -> Result<Target<'_>, Failure> {
    let text = |name| message.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let one = ["token", "fid"].into_iter().filter_map(text).map(Target::Token);
    let group = ["topic", "condition"].into_iter().filter_map(text).map(Target::Group);
    let mut targets = one.chain(group);
    // The words are Google's (beste/firebase-php#308).
    let target = targets
        .next()
        .ok_or_else(|| rejected("message", "Recipient of the message is not set.".to_owned()))?;
    if targets.next().is_some() {
        let text = "Invalid value at 'message' (oneof), oneof field 'target' is already set.";
        return Err(rejected("message", text.to_owned()));
    }
    Ok(target)
}

fn rejected(field: &str, description: String) -> Failure {
    Failure::rejected(Violation { field: field.into(), description })
}

/// "The key should not be a reserved word (`from`, `message_type`, or any word starting with
/// `google.` or `gcm.notification.`)".
fn is_reserved(key: &str) -> bool {
    matches!(key, "from" | "message_type")
        || key.starts_with("google.")
        || key.starts_with("gcm.notification.")
}

fn is_color(color: &str) -> bool {
    color.strip_prefix('#').is_some_and(|digits| {
        digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// Bytes of all names and values. How Google counts is not documented: a message whose whole JSON
/// fits into the limit always passes.
fn size(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Bool(_) | Value::Number(_) => value.to_string().len(),
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(fields) => size_of_fields(fields),
    }
}

fn size_of_fields(fields: &Map<String, Value>) -> usize {
    fields.iter().map(|(name, value)| name.len() + size(value)).sum()
}

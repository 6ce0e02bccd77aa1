//! The shape of `SendMessageRequest`, as strictly as Google's front reads it: no unknown names,
//! every value of its type. Names may be written in camelCase or as in the `.proto` file. Source:
//! the discovery document of `fcm.googleapis.com` v1 (tables in `message.rs`).

use serde_json::{Map, Value};

use super::errors::Violation;
use super::message::{Field, Kind, REQUEST};

const FCM: &str = "google.firebase.fcm.v1";

/// Brings a request's names into camelCase, where they are names (keys of `data`, `headers` and the
/// like are values). Errors: every value that does not fit, in the order of the request.
pub(super) fn read(request: &Value) -> Result<Value, Vec<Violation>> {
    let mut violations = Vec::new();
    let Value::Object(fields) = request else {
        violations.push(Violation {
            field: String::new(),
            description: "Invalid JSON payload received. The root must be an object.".into(),
        });
        return Err(violations);
    };
    let read = read_fields(fields, REQUEST, "", &mut violations);
    if violations.is_empty() { Ok(read) } else { Err(violations) }
}

fn read_fields(
    fields: &Map<String, Value>,
    known: &'static [Field],
    path: &str,
    violations: &mut Vec<Violation>,
) -> Value {
    let mut read = Map::new();
    for (name, value) in fields {
        let camel = camel(name);
        let Some((camel, kind)) = known.iter().find(|(known, _)| Some(*known) == camel.as_deref())
        else {
            violations.push(unknown_name(name, path));
            continue;
        };
        // In proto3 JSON null is "not set".
        if value.is_null() {
            continue;
        }
        let here = join(path, &snake(camel));
        let value = read_value(value, kind, &here, violations);
        if read.insert((*camel).to_owned(), value).is_some() {
            let description =
                format!("Invalid value at '{path}' (oneof), the field '{camel}' is given twice.");
            violations.push(Violation { field: here, description });
        }
    }
    Value::Object(read)
}

fn read_value(
    value: &Value,
    kind: &'static Kind,
    path: &str,
    violations: &mut Vec<Violation>,
) -> Value {
    let mut must = |fits: bool, type_name: &str| {
        if !fits {
            violations.push(invalid_value(path, type_name, value));
        }
    };
    match kind {
        Kind::Text => must(value.is_string(), "TYPE_STRING"),
        Kind::Bool => must(value.is_boolean(), "TYPE_BOOL"),
        Kind::Int32 => {
            let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
            must(number.is_some_and(|number| i32::try_from(number).is_ok()), "TYPE_INT32");
        }
        Kind::Float => must(value.is_number(), "TYPE_FLOAT"),
        Kind::Duration => must(
            value.as_str().and_then(seconds).is_some(),
            "type.googleapis.com/google.protobuf.Duration",
        ),
        Kind::Time => must(
            value.as_str().is_some_and(is_time),
            "type.googleapis.com/google.protobuf.Timestamp",
        ),
        Kind::Struct => must(value.is_object(), "type.googleapis.com/google.protobuf.Struct"),
        Kind::Enum(name, values) => {
            let fits = match value {
                // In any case of letters: Google's own SDKs send `high`.
                Value::String(text) => values.iter().any(|known| known.eq_ignore_ascii_case(text)),
                Value::Number(number) => {
                    number.as_u64().is_some_and(|number| number < values.len() as u64)
                }
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
            };
            must(fits, &format!("type.googleapis.com/{FCM}.{name}"));
        }
        Kind::Map => {
            must(value.is_object(), "Map");
            let entries = value.as_object().into_iter().flat_map(Map::values);
            for (at, entry) in entries.enumerate() {
                read_value(entry, &Kind::Text, &format!("{path}[{at}].value"), violations);
            }
        }
        Kind::List(kind) => {
            must(value.is_array(), "repeated field");
            for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                read_value(item, kind, &format!("{path}[{at}]"), violations);
            }
        }
        Kind::Message(name, known) => {
            must(value.is_object(), &format!("type.googleapis.com/{FCM}.{name}"));
            if let Some(fields) = value.as_object() {
                return read_fields(fields, known, path, violations);
            }
        }
    }
    value.clone()
}

fn unknown_name(name: &str, path: &str) -> Violation {
    let place = if path.is_empty() { String::new() } else { format!(" at '{path}'") };
    let description = format!(
        "Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field."
    );
    Violation { field: path.into(), description }
}

/// Google repeats the value in its text: whoever logs error texts of providers logs persons.
fn invalid_value(path: &str, type_name: &str, value: &Value) -> Violation {
    let description = format!("Invalid value at '{path}' ({type_name}), {value}");
    Violation { field: path.into(), description }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// `collapse_key` and `collapseKey` both give `collapseKey`; a mixture gives nothing.
fn camel(name: &str) -> Option<String> {
    if name.contains('_') && name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let mut words = name.split('_');
    let mut camel = words.next()?.to_owned();
    for word in words {
        let (first, rest) = word.split_at_checked(1)?;
        camel.push_str(&first.to_ascii_uppercase());
        camel.push_str(rest);
    }
    Some(camel)
}

fn snake(camel: &str) -> String {
    let mut snake = String::with_capacity(camel.len() + 4);
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// The whole seconds of a `google.protobuf.Duration`: `3s`, `3.000000001s`.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let number = text.strip_suffix('s')?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_fraction = (1..=9).contains(&fraction.len()) && fraction.bytes().all(is_digit);
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let is_whole = !digits.is_empty() && digits.bytes().all(is_digit);
    if is_fraction && is_whole { whole.parse().ok() } else { None }
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

fn is_time(text: &str) -> bool {
    let format = &time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::parse(text, format).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(request: Value, expected: &[(&str, &str)]) {
        let violations = read(&request).err().unwrap_or_default();
        let found: Vec<(&str, &str)> = violations
            .iter()
            .map(|wrong| (wrong.field.as_str(), wrong.description.as_str()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn both_spellings_of_a_name_are_read_as_one() {
        let android = json!({"message": {"android": {"collapse_key": "a", "directBootOk": true}}});
        let read = read(&android).unwrap();
        assert_eq!(read["message"]["android"]["collapseKey"], "a");
        assert_eq!(read["message"]["android"]["directBootOk"], true);
    }

    #[test]
    fn an_unknown_name_is_told_with_its_place() {
        check(
            json!({"message": {"android": {"tags": "x"}}}),
            &[(
                "message.android",
                "Invalid JSON payload received. Unknown name \"tags\" at 'message.android': \
                 Cannot find field.",
            )],
        );
    }

    #[test]
    fn a_number_in_data_is_told_with_its_position() {
        check(
            json!({"message": {"data": {"a": "1", "b": 2}}}),
            &[(
                "message.data[1].value",
                "Invalid value at 'message.data[1].value' (TYPE_STRING), 2",
            )],
        );
    }

    #[test]
    fn a_duration_ends_in_s() {
        assert_eq!(seconds("86400s"), Some(86_400));
        assert_eq!(seconds("3.000000001s"), Some(3));
        for wrong in ["86400", "s", "1.s", "1e3s", "1.0000000001s", " 1s"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_name_given_in_both_spellings_is_refused() {
        let twice = json!({"message": {"android": {"collapse_key": "a", "collapseKey": "b"}}});
        assert!(read(&twice).is_err());
    }
}

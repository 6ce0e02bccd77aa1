//! Values by their schemas, and what breaks them.

use rand::Rng as _;
use rand::seq::IndexedRandom as _;
use serde_json::{Map, Number, Value, json};

use super::Described;

/// Texts that readers stumble over.
const NASTY: &[&str] = &[
    "",
    " ",
    "\0",
    "\r\nX-Injected: 1",
    "../../etc/passwd",
    "'; DROP TABLE citizens;--",
    "%00",
    "{{7*7}}",
    "<script>alert(1)</script>",
    "\u{202e}\u{feff}\u{200b}",
    "è\u{301}",
    "💣",
    "NaN",
    "null",
    "-1",
    "9223372036854775808",
    "1e400",
    "TINIT-",
    "@",
    "a@b",
    "\u{fffd}",
    "%FF%FE",
    "日本語",
];

/// Deeper values repeat what is above them.
const DEEPEST: usize = 8;

impl Described {
    pub(super) fn one_in(&mut self, times: u32) -> bool {
        self.chance.random_ratio(1, times)
    }

    /// A parameter's text.
    pub(super) fn text(&mut self, name: &str, schema: &Value) -> String {
        if self.one_in(4) {
            return (*NASTY.choose(&mut self.chance).unwrap_or(&"")).to_owned() + "x";
        }
        match self.value(name, schema, 0) {
            Value::String(text) if !text.is_empty() => text,
            Value::String(_) => "x".to_owned(),
            other @ (Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_)) => other.to_string(),
        }
    }

    /// A value of the schema, as far as that says.
    pub(super) fn value(&mut self, name: &str, schema: &Value, depth: usize) -> Value {
        let schema = self.resolved(schema);
        let known: Vec<&str> =
            self.known.iter().filter(|it| it.0 == name).map(|it| it.1.as_str()).collect();
        if let Some(text) = known.choose(&mut self.chance) {
            return json!(text);
        }
        if let Some(words) = schema["enum"].as_array() {
            return words.choose(&mut self.chance).cloned().unwrap_or_default();
        }
        for several in ["oneOf", "anyOf", "allOf"] {
            if let Some(choices) = schema[several].as_array() {
                let chosen = choices.choose(&mut self.chance).cloned().unwrap_or_default();
                return self.value(name, &chosen, depth + 1);
            }
        }
        match self.kind(&schema).as_str() {
            "object" if depth < DEEPEST => self.object(&schema, depth),
            "array" if depth < DEEPEST => {
                let items = self.chance.random_range(0..3);
                (0..items).map(|_| self.value("", &schema["items"], depth + 1)).collect()
            }
            "integer" => self.integer(&schema),
            "number" => Number::from_f64(self.chance.random_range(0.0..9.0)).into(),
            "boolean" => json!(self.chance.random::<bool>()),
            "null" => Value::Null,
            _ => json!(self.string(&schema)),
        }
    }

    fn resolved(&self, schema: &Value) -> Value {
        let pointer = schema["$ref"].as_str().and_then(|it| it.strip_prefix('#'));
        pointer.and_then(|it| self.document.pointer(it)).unwrap_or(schema).clone()
    }

    /// Of several types one; where none is said, whatever has properties is an object.
    fn kind(&mut self, schema: &Value) -> String {
        let several: Vec<Value> = match &schema["type"] {
            Value::Array(kinds) => kinds.clone(),
            Value::String(kind) => vec![json!(kind)],
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
                vec![json!("object")]
            }
        };
        let chosen = several.choose(&mut self.chance).and_then(Value::as_str).unwrap_or("string");
        chosen.to_owned()
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut object = Map::new();
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            if required.contains(&name.as_str()) || self.one_in(5) {
                object.insert(name.clone(), self.value(name, member, depth + 1));
            }
        }
        Value::Object(object)
    }

    fn integer(&mut self, schema: &Value) -> Value {
        let low = schema["minimum"].as_i64().unwrap_or(0);
        let high = schema["maximum"].as_i64().unwrap_or(low.saturating_add(100));
        json!(self.chance.random_range(low..=high.max(low)))
    }

    fn string(&mut self, schema: &Value) -> String {
        let least = schema["minLength"].as_u64().unwrap_or(1);
        let most = schema["maxLength"].as_u64().unwrap_or(least + 20).max(least);
        let length = self.chance.random_range(least..=most.min(least + 40));
        (0..length).map(|_| char::from(self.chance.random_range(b'a'..=b'z'))).collect()
    }

    /// One member, somewhere, becomes another, goes, or comes.
    pub(super) fn break_somewhere(&mut self, value: &mut Value) {
        let into = self.one_in(2);
        match value {
            Value::Object(members) if into && !members.is_empty() => {
                let names: Vec<String> = members.keys().cloned().collect();
                let name = names.choose(&mut self.chance).cloned().unwrap_or_default();
                if self.one_in(5) {
                    members.remove(&name);
                } else if let Some(member) = members.get_mut(&name) {
                    self.break_somewhere(member);
                }
            }
            Value::Array(items) if into && !items.is_empty() => {
                let nth = self.chance.random_range(0..items.len());
                self.break_somewhere(&mut items[nth]);
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => *value = self.wrong(),
        }
    }

    fn wrong(&mut self) -> Value {
        let nasty = *NASTY.choose(&mut self.chance).unwrap_or(&"");
        match self.chance.random_range(0..9) {
            0 => Value::Null,
            1 => json!(self.chance.random::<i64>()),
            2 => json!(-1),
            3 => json!(1e300),
            4 => json!([[[[nasty]]]]),
            5 => json!({ nasty: nasty }),
            6 => json!(nasty.repeat(300)),
            _ => json!(nasty),
        }
    }

    pub(super) fn break_bytes(&mut self, bytes: &mut Vec<u8>) {
        let at = self.chance.random_range(0..=bytes.len());
        match self.chance.random_range(0..4) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, 0xff),
            2 => bytes.splice(at..at, b"[".repeat(2_000)).for_each(drop),
            _ => bytes.splice(at..at, *b"\xed\xa0\x80").for_each(drop),
        }
    }
}

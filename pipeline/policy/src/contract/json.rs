//! JSON as a JavaScript engine reads it, so that we accept and refuse what IO does.
//!
//! Differences from the usual Rust readers: numbers are doubles and overflow to infinity, members keep
//! their order and the last of two equal names counts. Refused on purpose, where JavaScript accepts:
//! bytes that are no UTF-8, lone surrogate escapes (no Rust string can hold them), and nesting deeper
//! than [`MAX_DEPTH`].

use std::borrow::Cow;
use std::fmt;

/// Arrays and objects inside one another; deeper bodies are refused.
pub const MAX_DEPTH: u32 = 128;

/// A JSON value that borrows its unescaped strings from the body.
#[derive(Clone, PartialEq)]
pub enum Json<'a> {
    Null,
    Bool(bool),
    /// A double; infinite when the text overflows.
    Number(f64),
    Text(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    /// Members in the order written, repeated names included.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Json::Null => "Null",
            Json::Bool(_) => "Bool[redacted]",
            Json::Number(_) => "Number[redacted]",
            Json::Text(_) => "Text[redacted]",
            Json::Array(_) => "Array[redacted]",
            Json::Object(_) => "Object[redacted]",
        })
    }
}

/// The body is not JSON as we take it. Says nothing about its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotJson;

impl<'a> Json<'a> {
    /// Reads one value with white space around it; a leading UTF-8 byte-order mark is skipped.
    ///
    /// # Errors
    /// [`NotJson`] for anything else: always the sender's fault.
    pub fn parse(body: &'a [u8]) -> Result<Self, NotJson> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let text = std::str::from_utf8(body).map_err(|_| NotJson)?;
        let mut reader = Reader { text, at: 0 };
        reader.skip_space();
        let value = reader.value(0)?;
        reader.skip_space();
        if reader.at == text.len() { Ok(value) } else { Err(NotJson) }
    }

    /// The last member of that name; `None` also when this is no object.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        match self {
            Json::Object(members) => {
                members.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::Array(_) => None,
        }
    }

    /// Writes the value as `JSON.stringify` would, until `out` holds `limit` bytes or more.
    pub fn stringify(&self, out: &mut String, limit: usize) {
        if out.len() >= limit {
            return;
        }
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Json::Number(value) => out.push_str(&number_text(*value)),
            Json::Text(text) => quote(text, out, limit),
            Json::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.stringify(out, limit);
                    if out.len() >= limit {
                        return;
                    }
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    quote(name, out, limit);
                    out.push(':');
                    value.stringify(out, limit);
                    if out.len() >= limit {
                        return;
                    }
                }
                out.push('}');
            }
        }
    }
}

/// ECMAScript `Number::toString`, and `null` for what JSON cannot say.
fn number_text(value: f64) -> String {
    if !value.is_finite() {
        return "null".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs();
    if (1e-6..1e21).contains(&magnitude) {
        return format!("{value}");
    }
    // Rust writes 1e21 and 1.5e-7; ECMAScript wants a sign in a positive exponent.
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        Some(_) | None => text,
    }
}

fn quote(text: &str, out: &mut String, limit: usize) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            control if control < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            plain => out.push(plain),
        }
        if out.len() >= limit {
            return;
        }
    }
    out.push('"');
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), NotJson> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        Err(NotJson)
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Result<Json<'a>, NotJson> {
        let found = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        self.at += word.len();
        if found { Ok(value) } else { Err(NotJson) }
    }

    fn value(&mut self, depth: u32) -> Result<Json<'a>, NotJson> {
        match self.peek().ok_or(NotJson)? {
            b'{' | b'[' if depth >= MAX_DEPTH => Err(NotJson),
            b'{' => self.object(depth + 1),
            b'[' => self.array(depth + 1),
            b'"' => self.string().map(Json::Text),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'n' => self.word("null", Json::Null),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(NotJson),
        }
    }

    fn object(&mut self, depth: u32) -> Result<Json<'a>, NotJson> {
        self.at += 1;
        let mut members = Vec::new();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_space();
            let name = self.string()?;
            self.skip_space();
            self.expect(b':')?;
            self.skip_space();
            members.push((name, self.value(depth)?));
            self.skip_space();
            if self.peek() == Some(b'}') {
                self.at += 1;
                return Ok(Json::Object(members));
            }
            self.expect(b',')?;
        }
    }

    fn array(&mut self, depth: u32) -> Result<Json<'a>, NotJson> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::Array(items));
        }
        loop {
            self.skip_space();
            items.push(self.value(depth)?);
            self.skip_space();
            if self.peek() == Some(b']') {
                self.at += 1;
                return Ok(Json::Array(items));
            }
            self.expect(b',')?;
        }
    }

    fn number(&mut self) -> Result<Json<'a>, NotJson> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            Some(_) | None => return Err(NotJson),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        // Rust rounds correctly and overflows to infinity, as ECMAScript does.
        self.text[start..self.at].parse().map(Json::Number).map_err(|_| NotJson)
    }

    fn digits(&mut self) -> Result<(), NotJson> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(NotJson) }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, NotJson> {
        self.expect(b'"')?;
        let start = self.at;
        let mut owned: Option<String> = None;
        loop {
            let run = self.at;
            while !matches!(self.peek(), Some(b'"' | b'\\' | 0..0x20) | None) {
                self.at += 1;
            }
            let plain = &self.text[run..self.at];
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(match owned {
                        Some(mut text) => {
                            text.push_str(plain);
                            Cow::Owned(text)
                        }
                        None => Cow::Borrowed(&self.text[start..self.at - 1]),
                    });
                }
                Some(b'\\') => {
                    let text = owned.get_or_insert_default();
                    text.push_str(plain);
                    self.at += 1;
                    let character = self.escape()?;
                    text.push(character);
                }
                Some(_) | None => return Err(NotJson),
            }
        }
    }

    fn escape(&mut self) -> Result<char, NotJson> {
        let letter = self.peek().ok_or(NotJson)?;
        self.at += 1;
        Ok(match letter {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(NotJson),
        })
    }

    fn unicode_escape(&mut self) -> Result<char, NotJson> {
        let first = self.four_hex()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).ok_or(NotJson);
        }
        self.expect(b'\\')?;
        self.expect(b'u')?;
        let second = self.four_hex()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(NotJson);
        }
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(NotJson)
    }

    fn four_hex(&mut self) -> Result<u32, NotJson> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|b| char::from(b).to_digit(16)).ok_or(NotJson)?;
            value = value << 4 | digit;
            self.at += 1;
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stringify(text: &str) -> String {
        let mut out = String::new();
        Json::parse(text.as_bytes()).unwrap().stringify(&mut out, usize::MAX);
        out
    }

    #[test]
    fn the_last_of_two_equal_names_counts() {
        assert_eq!(Json::parse(br#"{"a":1,"a":2}"#).unwrap().get("a"), Some(&Json::Number(2.0)));
    }

    #[test]
    fn a_number_too_large_is_infinite_and_not_an_error() {
        assert_eq!(Json::parse(b"1e400"), Ok(Json::Number(f64::INFINITY)));
    }

    #[test]
    fn a_lone_surrogate_is_refused_and_a_pair_is_one_character() {
        for lone in [r#""\ud83e""#, r#""\udd8a""#, r#""\ud83e\u0041""#, r#""\ud83e\ud83e""#] {
            assert_eq!(Json::parse(lone.as_bytes()), Err(NotJson), "{lone}");
        }
        assert_eq!(Json::parse(br#""\ud83e\udd8a""#), Ok(Json::Text("🦊".into())));
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Json::parse(nested(MAX_DEPTH as usize).as_bytes()).is_ok());
        assert_eq!(Json::parse(nested(MAX_DEPTH as usize + 1).as_bytes()), Err(NotJson));
        assert_eq!(Json::parse("[".repeat(1_000_000).as_bytes()), Err(NotJson));
    }

    #[test]
    fn values_are_written_as_javascript_writes_them() {
        for (text, written) in [
            ("3600.0", "3600"),
            ("-0", "0"),
            ("1e21", "1e+21"),
            ("1.5e-7", "1.5e-7"),
            ("1e400", "null"),
            ("123456789012345680000", "123456789012345680000"),
            (r#""\u0000\u001f\/\u2028""#, "\"\\u0000\\u001f/\u{2028}\""),
            (r#" { "b" : [ 1 , null ] , "a" : true } "#, r#"{"b":[1,null],"a":true}"#),
        ] {
            assert_eq!(stringify(text), written, "{text}");
        }
    }

    fn same(ours: &Json, theirs: &serde_json::Value) -> bool {
        match (ours, theirs) {
            (Json::Null, serde_json::Value::Null) => true,
            (Json::Bool(a), serde_json::Value::Bool(b)) => a == b,
            // serde_json's fast path may differ from correct rounding in the last place.
            (Json::Number(a), serde_json::Value::Number(b)) => {
                b.as_f64().is_some_and(|b| (a - b).abs() <= a.abs() * 1e-15)
            }
            (Json::Text(a), serde_json::Value::String(b)) => a == b,
            (Json::Array(a), serde_json::Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
            }
            (Json::Object(_), serde_json::Value::Object(b)) => {
                b.iter().all(|(k, b)| ours.get(k).is_some_and(|a| same(a, b)))
            }
            _ => false,
        }
    }

    fn any_value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i32>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                proptest::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_another_writer_wrote_reads_the_same(value in any_value(), pretty in any::<bool>()) {
            let text = if pretty {
                serde_json::to_string_pretty(&value).unwrap()
            } else {
                value.to_string()
            };
            let ours = Json::parse(text.as_bytes()).unwrap();
            prop_assert!(same(&ours, &serde_json::from_str(&text).unwrap()));
        }

        #[test]
        fn it_takes_and_refuses_what_an_independent_reader_does(
            text in r#"[\[\]{}",:0-9eE+.\-truefalsn\\ /u]{0,24}"#
        ) {
            let theirs: Result<serde_json::Value, _> = serde_json::from_str(&text);
            let ours = Json::parse(text.as_bytes());
            match theirs {
                Ok(theirs) => prop_assert!(same(&ours.unwrap(), &theirs)),
                Err(error) => prop_assert!(
                    ours.is_err() || error.to_string().contains("out of range"), "{}", text
                ),
            }
        }

        #[test]
        fn any_bytes_end_in_a_value_or_a_refusal(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Json::parse(&bytes);
        }
    }
}

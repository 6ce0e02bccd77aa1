//! Reading fields out of [`Json`] as IO's codecs do, keeping every error as IO words it.

use super::json::Json;

/// A detail line quotes at most this many bytes of the refused value.
const QUOTE_LIMIT: usize = 1024;
/// A detail has at most this many lines.
const LINES_LIMIT: usize = 50;

/// What a field must be: IO's name of the type, and the same for people.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    pub name: &'static str,
    pub words: &'static str,
}

impl Kind {
    #[must_use]
    pub const fn new(name: &'static str, words: &'static str) -> Self {
        Self { name, words }
    }
}

pub const BOOLEAN: Kind = Kind::new("boolean", "must be true or false");
pub const STRING: Kind = Kind::new("string", "must be a text");
pub const NON_EMPTY: Kind = Kind::new("non empty string", "must be a text that is not empty");

/// Collects errors while a body is read; the readers return `None` after having added one.
#[derive(Default)]
pub struct Decoder {
    path: String,
    lines: Vec<String>,
    words: Vec<String>,
}

impl Decoder {
    /// The detail of the 400, if anything was wrong: IO's lines, then the same for people.
    #[must_use]
    pub fn into_detail(self) -> Option<String> {
        if self.lines.is_empty() {
            return None;
        }
        Some(format!("{}\n{}", self.lines.join("\n"), self.words.join(" ")))
    }

    /// Adds `value <JSON> at root<path> is not a valid [<type>]`.
    pub fn refuse(&mut self, value: Option<&Json>, kind: Kind) {
        if self.lines.len() >= LINES_LIMIT {
            return;
        }
        let shown = shown(value);
        self.lines
            .push(format!("value {shown} at root{} is not a valid [{}]", self.path, kind.name));
        let field = self.path.strip_prefix('.').unwrap_or("The body");
        self.words.push(format!("{field} {}.", kind.words));
    }

    /// Reads the member `name` of `object` with `read`, which sees `None` when it is missing.
    pub fn field<'j, 'a, T>(
        &mut self,
        object: &'j Json<'a>,
        name: &str,
        read: impl FnOnce(&mut Self, Option<&'j Json<'a>>) -> Option<T>,
    ) -> Option<T> {
        let length = self.path.len();
        self.path.push('.');
        self.path.push_str(name);
        let value = read(self, object.get(name));
        self.path.truncate(length);
        value
    }

    /// A member that may be missing; `null` is handed to `read`, which refuses it.
    pub fn optional<'j, 'a, T>(
        &mut self,
        object: &'j Json<'a>,
        name: &str,
        read: impl FnOnce(&mut Self, Option<&'j Json<'a>>) -> Option<T>,
    ) -> Option<Option<T>> {
        match object.get(name) {
            None => Some(None),
            Some(_) => self.field(object, name, read).map(Some),
        }
    }

    /// A member with a default: missing and `null` both mean it.
    pub fn or_default<'j, 'a, T>(
        &mut self,
        object: &'j Json<'a>,
        name: &str,
        default: T,
        read: impl FnOnce(&mut Self, Option<&'j Json<'a>>) -> Option<T>,
    ) -> Option<T> {
        match object.get(name) {
            None | Some(Json::Null) => Some(default),
            Some(_) => self.field(object, name, read),
        }
    }

    pub fn object<'j, 'a>(
        &mut self,
        value: Option<&'j Json<'a>>,
        kind: Kind,
    ) -> Option<&'j Json<'a>> {
        match value {
            Some(object @ Json::Object(_)) => Some(object),
            _ => self.none(value, kind),
        }
    }

    /// A string for which `fits` holds.
    pub fn text(
        &mut self,
        value: Option<&Json>,
        kind: Kind,
        fits: impl FnOnce(&str) -> bool,
    ) -> Option<String> {
        match value {
            Some(Json::Text(text)) if fits(text) => Some(text.clone().into_owned()),
            _ => self.none(value, kind),
        }
    }

    pub fn boolean(&mut self, value: Option<&Json>) -> Option<bool> {
        match value {
            Some(Json::Bool(value)) => Some(*value),
            _ => self.none(value, BOOLEAN),
        }
    }

    /// A JavaScript integer from `low` to `high`, both within ±2^53: `3600.0` and `3.6e3` are integers.
    pub fn integer(
        &mut self,
        value: Option<&Json>,
        kind: Kind,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        match value {
            Some(Json::Number(number)) if number.fract() == 0.0 && *number >= 0.0 => {
                // Saturates for infinity and beyond 64 bits, which no range here includes.
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let whole = *number as u64;
                if range.contains(&whole) { Some(whole) } else { self.none(value, kind) }
            }
            _ => self.none(value, kind),
        }
    }

    /// What `convert` makes of a string; `None` from it is a refusal.
    pub fn converted<T>(
        &mut self,
        value: Option<&Json>,
        kind: Kind,
        convert: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let converted = match value {
            Some(Json::Text(text)) => convert(text),
            _ => None,
        };
        if converted.is_none() {
            self.refuse(value, kind);
        }
        converted
    }

    fn none<T>(&mut self, value: Option<&Json>, kind: Kind) -> Option<T> {
        self.refuse(value, kind);
        None
    }
}

/// `JSON.stringify` of a value, cut with an ellipsis when long; `undefined` for a missing one.
#[must_use]
pub fn shown(value: Option<&Json>) -> String {
    let Some(value) = value else { return "undefined".to_owned() };
    let mut text = String::new();
    value.stringify(&mut text, QUOTE_LIMIT);
    if text.len() >= QUOTE_LIMIT {
        text.truncate(text.floor_char_boundary(QUOTE_LIMIT));
        text.push('…');
    }
    text
}

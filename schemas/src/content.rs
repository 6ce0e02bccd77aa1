//! What is inside the seals: plain here, never on a disk. JSON, so that an old content stays readable.

use std::fmt;

use serde::{Deserialize, Serialize};

/// All that the sender said, as the inbox shows it and as `GET /messages` gives it back.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Content {
    pub fiscal_code: String,
    /// ISO 8601 with milliseconds and `Z`.
    pub created_at: String,
    /// Seconds.
    pub time_to_live: i64,
    /// `STANDARD` or `ADVANCED`.
    pub feature_level_type: String,
    /// The message's `content` object in IO's shape, unknown members dropped, defaults filled.
    pub content: serde_json::Value,
    /// The sender's fallback address, only where it may be used.
    pub fallback_email: Option<String>,
    /// Words for people: who writes, in whose name.
    pub organisation: String,
    pub service: String,
}

impl Content {
    /// A member of `content` that is text; empty where it is absent.
    #[must_use]
    pub fn text(&self, member: &str) -> &str {
        self.content.get(member).and_then(serde_json::Value::as_str).unwrap_or_default()
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Content([redacted])")
    }
}

/// The few words that a push or an email may show.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub organisation: String,
    pub service: String,
    pub subject: String,
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notice([redacted])")
    }
}

//! One service, many citizens with a phone each, and what is written to them. Nobody is real: the
//! municipality letter of the fiscal codes was never assigned.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use bytes::Bytes;
use serde_json::{Value, json};

/// Texts of the length and kind that administrations write.
const SAMPLE: &str = include_str!("../../../pipeline/data/sample/messages.ndjson");
/// So many of them.
const TEXTS: usize = 500;
/// Enough that hardly two messages in hand are for one citizen, whose records wait for each other.
pub const CITIZENS: usize = 10_000;

const SERVICE: &str = "01JNDKQJM0THQ3F7T59F27VNZ4";

/// What is sent, and with which key.
pub struct Mail {
    pub api_key: String,
    texts: Vec<String>,
}

impl Mail {
    /// A key of this process and the sample's texts, without what needs further rights.
    ///
    /// # Errors
    /// The sample has another shape.
    pub fn new() -> Result<Self> {
        let mut texts = Vec::new();
        for line in SAMPLE.lines().take(TEXTS) {
            let message: Value = serde_json::from_str(line).context("the sample's messages")?;
            let content = &message["body"]["content"];
            let content = json!({"subject": content["subject"], "markdown": content["markdown"]});
            texts.push(content.to_string());
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let api_key = format!("bench-{}-{}", std::process::id(), now.as_nanos());
        Ok(Self { api_key, texts })
    }

    /// The body of the message with this number, as `POST /api/v1/messages` takes it.
    #[must_use]
    pub fn body(&self, number: usize) -> Bytes {
        let (code, text) = (fiscal_code(number % CITIZENS), &self.texts[number % self.texts.len()]);
        Bytes::from(format!("{{\"fiscal_code\":\"{code}\",\"content\":{text}}}"))
    }

    /// A services file with the one service, whose owner is under no limit of calls.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_services(&self, file: &Path) -> Result<()> {
        let service = json!({
            "service_id": SERVICE, "name": "Avvisi", "description": "Avvisi ai cittadini",
            "organisation": {"name": "Comune di Prova", "fiscal_code": "80001017773"},
            "account": {"account_id": "01JNDKQJM0FHVXA7GJRVN1KA7N", "email": "avvisi@prova.example"},
            "groups": ["ApiMessageRead", "ApiMessageWrite", "ApiNoRateLimit"],
            "api_keys": {"primary": self.api_key, "secondary": format!("{}-second", self.api_key)},
        });
        let text = json!({ "services": [service] }).to_string();
        std::fs::write(file, text).with_context(|| file.display().to_string())
    }
}

/// A citizens file: everybody on board, push on, no email, one device each, APNs and FCM in turn.
///
/// # Errors
/// It cannot be written.
pub fn write_citizens(file: &Path) -> Result<()> {
    let out = std::fs::File::create(file).with_context(|| file.display().to_string())?;
    let mut out = std::io::BufWriter::new(out);
    for number in 0..CITIZENS {
        writeln!(out, "{}", citizen(number))?;
    }
    Ok(out.flush()?)
}

fn citizen(number: usize) -> Value {
    let (platform, token) = match number % 2 {
        0 => ("apns", format!("be{number:062x}")),
        _ => ("fcm", format!("bench{number:017}:APA91b{}", "x".repeat(134))),
    };
    json!({
        "fiscal_code": fiscal_code(number),
        "profile": {
            "is_inbox_enabled": true, "is_webhook_enabled": true, "is_email_enabled": false,
            "preferred_languages": ["it_IT"], "push_notifications_content_type": "FULL",
            "service_preferences_settings": {"mode": "AUTO", "version": 1},
            "version": 1, "updated_at": "2026-10-05T11:29:34.000Z",
        },
        "devices": [{
            "installation_id": format!("{number:032x}"), "platform": platform, "token": token,
            "registered_at": "2026-05-27T06:08:49.000Z",
        }],
    })
}

/// Sixteen characters of the pattern, another one for each number below 26^4.
fn fiscal_code(number: usize) -> String {
    let mut code = String::from("XX");
    for place in [17_576, 676, 26, 1] {
        let letter = u8::try_from(number / place % 26).unwrap_or(0) + b'A';
        code.push(char::from(letter));
    }
    let _ = write!(code, "80A01N{:03}X", number % 1_000);
    code
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_citizen_has_a_code_of_its_own() {
        let codes: HashSet<_> = (0..CITIZENS).map(fiscal_code).collect();
        assert_eq!(codes.len(), CITIZENS);
        assert!(codes.iter().all(|code| code.len() == 16), "{:?}", codes.iter().next());
    }

    #[test]
    fn a_body_is_what_the_door_takes() {
        let mail = Mail::new().unwrap();
        let body: Value = serde_json::from_slice(&mail.body(CITIZENS + 7)).unwrap();
        assert_eq!(body["fiscal_code"], fiscal_code(7));
        assert!(body["content"]["markdown"].as_str().unwrap().len() >= 80);
    }
}

//! What an operator reads of letters. Nothing personal is in it: no key, no value, no pseudonym.

use std::collections::BTreeMap;

use producers::redrive::{Letter, Letters, Refusal};
use runtime::dead::Original;
use schemas::ids::Timestamp;
use schemas::records::DeadResolution;
use serde_json::{Value, json};

use super::print;

/// Prints the letters and, on a terminal's line each, how many there are of each kind.
///
/// # Errors
/// None but those of writing JSON.
pub fn list(letters: &Letters, resolved: bool, json: bool, now: Timestamp) -> anyhow::Result<()> {
    let ended = letters.resolved.iter().map(|r| (&r.letter, Some(&r.resolution)));
    let open = letters.open.iter().map(|letter| (letter, None));
    let rows: Vec<_> = if resolved { ended.collect() } else { open.collect() };
    let mut kinds: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (letter, resolution) in &rows {
        let record = &letter.record;
        *kinds.entry((&record.stage, &record.cause)).or_default() += 1;
        if json {
            print(&serde_json::to_string(&described(letter, *resolution))?);
        } else {
            print(&line(letter, *resolution, now));
        }
    }
    if !json {
        for ((stage, cause), count) in kinds {
            print(&format!("{count:>8}  {stage}: {cause}"));
        }
        print(&format!("{:>8}  in all", rows.len()));
        if letters.unreadable > 0 {
            print(&format!("{:>8}  cannot be read by this version", letters.unreadable));
        }
    }
    Ok(())
}

fn line(letter: &Letter, resolution: Option<&DeadResolution>, now: Timestamp) -> String {
    let record = &letter.record;
    let age = now.since(record.at).as_secs();
    let message = record.message_id.map_or_else(|| "-".to_owned(), |id| id.to_string());
    let service = letter.service.as_ref().map_or("-", |service| service.as_str());
    let end = resolution.map(|end| format!("  {} by {}", end.how, end.operator));
    format!(
        "{}  {age} s ago  {}: {}  message {message}  service {service}{}",
        letter.origin(),
        record.stage,
        record.cause,
        end.unwrap_or_default(),
    )
}

fn described(letter: &Letter, resolution: Option<&DeadResolution>) -> Value {
    let record = &letter.record;
    json!({
        "origin": letter.origin().to_string(),
        "stage": record.stage,
        "cause": record.cause,
        "message_id": record.message_id.map(|id| id.to_string()),
        "service_id": letter.service.as_ref().map(|service| service.as_str()),
        "at": record.at.0,
        "sealed_bytes": record.record.0.len(),
        "resolution": resolution.map(|end| json!({
            "how": end.how, "operator": end.operator, "at": end.at.0,
        })),
    })
}

/// Prints one letter: what `list` says, and of the record its size and headers.
pub fn show(
    letter: &Letter,
    resolution: Option<&DeadResolution>,
    original: &Result<Original, Refusal>,
    json: bool,
) {
    let mut described = described(letter, resolution);
    described["record"] = match original {
        Ok(original) => json!({
            "value_bytes": original.value.len(),
            "frame": frame(&original.value),
            "headers": headers(original),
        }),
        Err(refusal) => json!({ "sealed": refusal.to_string() }),
    };
    if json {
        print(&described.to_string());
    } else {
        print(&format!("{described:#}"));
    }
}

/// Which schema the record names, in hex: Avro's fingerprint or a registry's id. Bytes without a frame
/// may be anything and are not shown.
fn frame(value: &[u8]) -> Option<String> {
    match value {
        [0xC3, 0x01, ..] if value.len() >= 10 => Some(hex::encode(&value[..10])),
        [0x00, ..] if value.len() >= 5 => Some(hex::encode(&value[..5])),
        _ => None,
    }
}

/// Headers hold ids, counts and times only; one that we never write is named without its value.
fn headers(original: &Original) -> Value {
    let known = schemas::headers::Headers::from_raw(&original.headers).to_raw();
    let shown = original.headers.iter().map(|(name, value)| {
        let ours = known.iter().any(|(ours, text)| ours == name && text == value);
        let text = if ours { String::from_utf8_lossy(value).into_owned() } else { redacted(value) };
        (name.clone(), Value::from(text))
    });
    Value::Object(shown.collect())
}

fn redacted(value: &[u8]) -> String {
    format!("[{} bytes]", value.len())
}

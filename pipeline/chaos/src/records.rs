//! What the checker knows of the records it reads: its own types, filled by a public Avro reader
//! under the published schemas. Nothing here is shared with the pipeline.

use anyhow::{Context, Result, bail};
use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A value as the log holds it, and where.
#[derive(Debug, Clone)]
pub struct Raw {
    pub partition: u32,
    pub offset: u64,
    pub value: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    Accepted,
    Rejected,
    NotOnBoard,
    Stored,
    Notified,
    Unnotified,
    Expired,
    Failed,
    Attempt,
    Waiting,
}

impl Status {
    /// How far along a message is that says so; `None` for what may be said at any time.
    #[must_use]
    pub fn rank(self) -> Option<u8> {
        match self {
            Self::Accepted => Some(0),
            Self::Stored => Some(1),
            Self::Rejected
            | Self::NotOnBoard
            | Self::Notified
            | Self::Unnotified
            | Self::Expired
            | Self::Failed => Some(2),
            Self::Attempt | Self::Waiting => None,
        }
    }

    #[must_use]
    pub fn is_final(self) -> bool {
        self.rank() == Some(2)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    Apns,
    Fcm,
    Email,
}

impl Channel {
    pub const ALL: [Self; 3] = [Self::Apns, Self::Fcm, Self::Email];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Apns => "apns",
            Self::Fcm => "fcm",
            Self::Email => "email",
        }
    }
}

/// One record of `message_status.avsc`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Event {
    pub message_id: String,
    pub service_id: String,
    pub epoch: i32,
    pub sequence: i32,
    pub status: Status,
    pub reason: String,
    pub channel: Option<Channel>,
    pub outcome: Option<String>,
    /// Unix milliseconds.
    pub at: i64,
}

impl Event {
    #[must_use]
    pub fn says(&self, outcome: &str) -> bool {
        self.outcome.as_deref() == Some(outcome)
    }
}

/// One record of `message_decision.avsc`: on which consent a send started.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Decision {
    pub message_id: String,
    pub channel: Channel,
    /// Unix milliseconds: when the consent was read.
    pub decided_at: i64,
    pub outcome: String,
    /// Of a mail its `Message-ID`.
    pub send_id: String,
}

pub const STATUS_SCHEMA: &str = include_str!("../../../schemas/avro/message_status.avsc");
pub const DECISION_SCHEMA: &str = include_str!("../../../schemas/avro/message_decision.avsc");

/// Decodes single-object encoded values (`C3 01`, fingerprint, datum) in their order.
///
/// Errors: the first value that is not exactly one record under `schema`, named by its place.
pub fn decode_all<T: DeserializeOwned>(schema: &str, values: &[Raw]) -> Result<Vec<T>> {
    let print = fingerprint(schema)?;
    let schema = Schema::parse_str(schema).context("a published schema does not parse")?;
    let reader = GenericDatumReader::builder(&schema).build()?;
    let one = |raw: &Raw| -> Result<T> {
        let (marker, rest) = raw.value.split_at_checked(2).context("too short")?;
        let (given, mut datum) = rest.split_at_checked(8).context("too short")?;
        if marker != [0xC3, 0x01] || given != print {
            bail!("not framed under the published schema");
        }
        let value = reader.read_value(&mut datum)?;
        if !datum.is_empty() {
            bail!("bytes behind the record");
        }
        Ok(apache_avro::from_value(&value)?)
    };
    values
        .iter()
        .map(|raw| {
            one(raw).with_context(|| format!("partition {}, offset {}", raw.partition, raw.offset))
        })
        .collect()
}

/// CRC-64-AVRO of the schema's canonical form, little-endian (Avro 1.12, "Single-object encoding").
/// Written out here: the canonical form of `apache-avro` names inner types without their namespace.
fn fingerprint(schema: &str) -> Result<[u8; 8]> {
    let form = canonical(&serde_json::from_str(schema)?, "");
    let sum = form.bytes().fold(EMPTY, |sum, byte| {
        let mut low = (sum ^ u64::from(byte)) & 0xFF;
        for _ in 0..8 {
            low = (low >> 1) ^ if low & 1 == 1 { EMPTY } else { 0 };
        }
        (sum >> 8) ^ low
    });
    Ok(sum.to_le_bytes())
}

/// The fingerprint of no byte at all, which is also the polynomial.
const EMPTY: u64 = 0xC15D_213A_A4D7_A795;

fn canonical(schema: &Value, namespace: &str) -> String {
    let list = |values: &[Value], each: &dyn Fn(&Value) -> String| {
        values.iter().map(each).collect::<Vec<_>>().join(",")
    };
    let kind = match schema {
        Value::Array(union) => {
            return format!("[{}]", list(union, &|one| canonical(one, namespace)));
        }
        Value::Object(_) => schema["type"].as_str(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    };
    let Some(kind) = kind else {
        return if schema.is_object() {
            canonical(&schema["type"], namespace)
        } else {
            schema.to_string()
        };
    };
    let namespace = schema["namespace"].as_str().unwrap_or(namespace);
    let name = schema["name"].as_str().unwrap_or_default();
    let entries = |key: &str| schema[key].as_array().map(Vec::as_slice).unwrap_or_default();
    match kind {
        "record" => {
            let field = |field: &Value| {
                let of = canonical(&field["type"], namespace);
                format!("{{\"name\":{},\"type\":{of}}}", field["name"])
            };
            let fields = list(entries("fields"), &field);
            let named = format!("\"name\":\"{namespace}.{name}\",\"type\":\"record\"");
            format!("{{{named},\"fields\":[{fields}]}}")
        }
        "enum" => {
            let symbols = list(entries("symbols"), &Value::to_string);
            let named = format!("\"name\":\"{namespace}.{name}\",\"type\":\"enum\"");
            format!("{{{named},\"symbols\":[{symbols}]}}")
        }
        "array" => {
            format!("{{\"type\":\"array\",\"items\":{}}}", canonical(&schema["items"], namespace))
        }
        primitive => format!("\"{primitive}\""),
    }
}

#[cfg(test)]
mod tests {
    use apache_avro::types::Record;

    use super::*;

    fn framed() -> Raw {
        let schema = Schema::parse_str(DECISION_SCHEMA).unwrap();
        let mut record = Record::new(&schema).unwrap();
        record.put("message_id", "01");
        record.put("channel", apache_avro::types::Value::Enum(2, "email".into()));
        record.put(
            "generation",
            apache_avro::types::Value::Union(0, Box::new(apache_avro::types::Value::Null)),
        );
        record.put("consent_version", 7_i64);
        record.put("decided_at", apache_avro::types::Value::TimestampMillis(9));
        record.put("outcome", "accepted");
        record.put("reason", "none");
        record.put("send_id", "<a@b>");
        let mut value = vec![0xC3, 0x01];
        value.extend(fingerprint(DECISION_SCHEMA).unwrap());
        let writer = apache_avro::writer::datum::GenericDatumWriter::builder(&schema);
        value.extend(writer.build().unwrap().write_value_to_vec(record).unwrap());
        Raw { partition: 3, offset: 5, value }
    }

    #[test]
    fn a_fingerprint_is_the_one_that_the_standard_gives() {
        let check = |schema: &str, expected: u64| {
            assert_eq!(u64::from_le_bytes(fingerprint(schema).unwrap()), expected, "{schema}");
        };
        check("\"int\"", 0x7275_D51A_3F39_5C8F);
        check("{\"type\": \"int\", \"logicalType\": \"date\"}", 0x7275_D51A_3F39_5C8F);
        check("\"string\"", 0x8F01_4872_6345_03C7);
    }

    #[test]
    fn a_framed_record_is_read_under_the_published_schema() {
        let read: Vec<Decision> = decode_all(DECISION_SCHEMA, &[framed()]).unwrap();
        assert_eq!((read[0].channel, read[0].decided_at), (Channel::Email, 9));
    }

    #[test]
    fn anything_but_one_whole_record_is_an_error_that_names_its_place() {
        let check = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut raw = framed();
            change(&mut raw.value);
            let error = decode_all::<Decision>(DECISION_SCHEMA, &[raw]).unwrap_err();
            assert!(format!("{error:#}").contains("partition 3, offset 5"), "{error:#}");
        };
        check(&|value| value.truncate(9));
        check(&|value| value.truncate(15));
        check(&|value| value.push(0));
        check(&|value| value[0] = 0);
        check(&|value| value[4] ^= 1);
    }
}

//! Records to bytes and back, in both framings that the field knows.
//!
//! Written: the Confluent wire format (`00`, registry id big-endian) where ids are configured, else
//! Avro single-object encoding (`C3 01`, CRC-64-AVRO fingerprint little-endian). Read: both; the first
//! byte tells. A reader takes every version in `avro/history/`: the writer's schema decodes, serde
//! fills what it lacked.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_avro_fast::Schema;
use serde_avro_fast::ser::SerializerConfig;

use crate::records as r;

/// Why bytes are no record of the wanted kind. Always the record's fault except `UnknownId`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("no frame: neither Confluent wire format nor Avro single-object encoding")]
    NoFrame,
    #[error("the fingerprint belongs to no known version of {0}")]
    UnknownFingerprint(&'static str),
    /// Ids come from configuration: an unknown one may be a version newer than this process.
    #[error("registry id {1} belongs to no known version of {0}")]
    UnknownId(&'static str, u32),
    #[error("the bytes do not follow the schema of {0}")]
    Malformed(&'static str),
}

impl DecodeError {
    /// Whether a process of another version, or with other pinned ids, may well read it: whoever must
    /// not pass a record over waits then.
    #[must_use]
    pub fn is_of_another_version(&self) -> bool {
        match self {
            Self::UnknownFingerprint(_) | Self::UnknownId(..) => true,
            Self::NoFrame | Self::Malformed(_) => false,
        }
    }
}

/// A record with its schema, newest version first.
pub trait Record: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Subject: the file's stem in `avro/` and, with `-value`, in a registry.
    const SUBJECT: &'static str;
    /// Every version, newest first, parsed once.
    fn versions() -> &'static [Schema];
    /// The newest version's text.
    const SCHEMA: &'static str;
}

/// Registry ids of the versions of one subject, from the first version on; a number is the first's. So an
/// id never changes its version, whichever versions the process at hand knows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "OneOrAll")]
pub struct VersionIds(Vec<u32>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrAll {
    One(u32),
    All(Vec<u32>),
}

impl From<OneOrAll> for VersionIds {
    fn from(ids: OneOrAll) -> Self {
        match ids {
            OneOrAll::One(id) => Self(vec![id]),
            OneOrAll::All(ids) => Self(ids),
        }
    }
}

impl From<u32> for VersionIds {
    fn from(id: u32) -> Self {
        Self(vec![id])
    }
}

impl From<Vec<u32>> for VersionIds {
    fn from(ids: Vec<u32>) -> Self {
        Self(ids)
    }
}

impl VersionIds {
    /// The id of the newest of `versions`; none where it is not pinned yet.
    fn of_newest(&self, versions: &[Schema]) -> Option<u32> {
        self.0.get(versions.len() - 1).copied()
    }

    /// The version that `id` belongs to, where it is among `versions`, newest first.
    fn version<'v>(&self, versions: &'v [Schema], id: u32) -> Option<&'v Schema> {
        let nth = self.0.iter().position(|known| *known == id)?;
        versions.iter().rev().nth(nth)
    }
}

/// Pinned registry ids by subject. What has none is written in single-object encoding.
#[derive(Debug, Clone, Default)]
pub struct Codec {
    ids: Arc<BTreeMap<String, VersionIds>>,
}

impl Codec {
    /// A codec that writes the Confluent wire format for the subjects in `ids`.
    #[must_use]
    pub fn with_registry_ids(ids: BTreeMap<String, VersionIds>) -> Self {
        Self { ids: Arc::new(ids) }
    }

    /// The framed bytes of `record`.
    ///
    /// # Panics
    /// Never for our records: types and schemas are held together by a test of each.
    #[must_use]
    pub fn encode<R: Record>(&self, record: &R) -> Vec<u8> {
        let schema = &R::versions()[0];
        let mut config = SerializerConfig::new(schema);
        let mut bytes = Vec::with_capacity(512);
        match self.ids.get(R::SUBJECT).and_then(|ids| ids.of_newest(R::versions())) {
            Some(id) => {
                bytes.push(0);
                bytes.extend_from_slice(&id.to_be_bytes());
            }
            None => {
                bytes.extend_from_slice(&[0xC3, 0x01]);
                bytes.extend_from_slice(schema.rabin_fingerprint());
            }
        }
        serde_avro_fast::to_datum(record, bytes, &mut config)
            .expect("types and schemas agree: schemas/tests/laws.rs")
    }

    /// The record in `bytes`, whichever way it is framed.
    ///
    /// # Errors
    /// See [`DecodeError`]; nothing of the bytes is in the error.
    pub fn decode<R: Record>(&self, bytes: &[u8]) -> Result<R, DecodeError> {
        let (schema, datum) = self.frame::<R>(bytes)?;
        serde_avro_fast::from_datum_slice(datum, schema)
            .map_err(|_| DecodeError::Malformed(R::SUBJECT))
    }

    fn frame<'b, R: Record>(
        &self,
        bytes: &'b [u8],
    ) -> Result<(&'static Schema, &'b [u8]), DecodeError> {
        match bytes {
            [0xC3, 0x01, rest @ ..] if rest.len() >= 8 => {
                let (print, datum) = rest.split_at(8);
                R::versions()
                    .iter()
                    .find(|schema| schema.rabin_fingerprint() == print)
                    .map(|schema| (schema, datum))
                    .ok_or(DecodeError::UnknownFingerprint(R::SUBJECT))
            }
            [0, a, b, c, d, datum @ ..] => {
                let id = u32::from_be_bytes([*a, *b, *c, *d]);
                let ids = self.ids.get(R::SUBJECT);
                ids.and_then(|ids| ids.version(R::versions(), id))
                    .map(|schema| (schema, datum))
                    .ok_or(DecodeError::UnknownId(R::SUBJECT, id))
            }
            _ => Err(DecodeError::NoFrame),
        }
    }
}

macro_rules! records {
    ($($type:ty => $subject:literal [$($version:literal),+]),* $(,)?) => {
        $(impl Record for $type {
            const SUBJECT: &'static str = $subject;
            const SCHEMA: &'static str = include_str!(concat!("../avro/", $subject, ".avsc"));
            fn versions() -> &'static [Schema] {
                static VERSIONS: OnceLock<Vec<Schema>> = OnceLock::new();
                VERSIONS.get_or_init(|| vec![$(
                    include_str!(concat!("../avro/history/", $subject, "/", $version, ".avsc"))
                        .parse()
                        .expect("every shipped schema parses: schemas/tests/laws.rs")
                ),+])
            }
        })*

        /// Every subject with its newest schema's text.
        pub const SUBJECTS: &[(&str, &str)] = &[
            $(($subject, <$type as Record>::SCHEMA)),*
        ];
    };
}

// Newest first. A version once listed stays for as long as a record of it may lie on a topic.
records! {
    r::MessageAccepted => "message_accepted" ["v1"],
    r::MessagePermitted => "message_permitted" ["v1"],
    r::MessageStored => "message_stored" ["v1"],
    r::Story => "story" ["v1"],
    r::MessageStatus => "message_status" ["v1"],
    r::MessageDecision => "message_decision" ["v1"],
    r::CitizenProfile => "citizen_profile" ["v1"],
    r::CitizenKeyRecord => "citizen_key" ["v1"],
    r::Preference => "citizen_preference" ["v1"],
    r::Activation => "citizen_activation" ["v1"],
    r::Unsubscribe => "citizen_unsubscribe" ["v1"],
    r::Device => "citizen_device" ["v1"],
    r::DeviceDeath => "citizen_device_death" ["v1"],
    r::CitizenErased => "citizen_erased" ["v1"],
    r::MailboxValidation => "mailbox_validation" ["v1"],
    r::ServiceRecord => "service" ["v1"],
    r::TransitKeyRecord => "key_transit" ["v1"],
    r::DeadLetter => "dead_letter" ["v1"],
    r::DeadResolution => "dead_resolution" ["v1"],
    r::BatchCommand => "batch_command" ["v1"],
    r::BatchState => "batch_state" ["v1"],
    r::BatchChunk => "batch_chunk" ["v1"],
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = r#"{"type":"record","name":"Two","fields":[{"name":"a","type":"int"}]}"#;
    const SECOND: &str = r#"{"type":"record","name":"Two","fields":[
        {"name":"b","type":"int","default":7},{"name":"a","type":"int"}]}"#;

    /// A subject of two versions, whose bytes differ.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Two {
        #[serde(default = "seven")]
        b: i32,
        a: i32,
    }

    fn seven() -> i32 {
        7
    }

    impl Record for Two {
        const SUBJECT: &'static str = "two";
        const SCHEMA: &'static str = SECOND;

        fn versions() -> &'static [Schema] {
            static VERSIONS: OnceLock<Vec<Schema>> = OnceLock::new();
            VERSIONS.get_or_init(|| [SECOND, FIRST].map(|text| text.parse().expect("valid")).into())
        }
    }

    fn pinned(ids: impl Into<VersionIds>) -> Codec {
        Codec::with_registry_ids(BTreeMap::from([("two".to_owned(), ids.into())]))
    }

    #[test]
    fn a_registry_id_belongs_to_one_version_whichever_is_the_newest() {
        // a = 4 by the first version; b = 1, a = 4 by the second.
        let (old, new) = ([0, 0, 0, 0, 30, 8], [0, 0, 0, 0, 31, 2, 8]);
        let both = pinned(vec![30, 31, 32]);
        assert_eq!(both.decode::<Two>(&old), Ok(Two { a: 4, b: 7 }));
        assert_eq!(both.decode::<Two>(&new), Ok(Two { a: 4, b: 1 }));
        assert_eq!(both.encode(&Two { a: 4, b: 1 }), new);
        let newer = [0, 0, 0, 0, 32, 2, 8];
        assert_eq!(both.decode::<Two>(&newer), Err(DecodeError::UnknownId("two", 32)));
    }

    #[test]
    fn a_version_whose_id_is_not_pinned_yet_is_written_in_single_object_encoding() {
        let first = pinned(30);
        assert_eq!(first.decode::<Two>(&[0, 0, 0, 0, 30, 8]), Ok(Two { a: 4, b: 7 }));
        assert_eq!(first.encode(&Two { a: 4, b: 1 })[..2], [0xC3, 0x01]);
    }
}

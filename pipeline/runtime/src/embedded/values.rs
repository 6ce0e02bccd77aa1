//! What lies behind the keys, in bytes.
//!
//! Record: one byte (bit 0: a value follows) ‖ `appended_at` (8, big-endian) ‖ key ‖ number of
//! headers ‖ each name and value ‖ the value to the end. Texts and byte strings carry their length
//! before them, as LEB128. Offsets and counts: big-endian.

use schemas::headers::RawHeaders;
use schemas::ids::Timestamp;

use super::keys::TopicId;
use crate::log::Outgoing;

/// A record without its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub appended_at: Timestamp,
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
    pub headers: RawHeaders,
}

const HAS_VALUE: u8 = 1;

/// The bytes of `record`.
pub(super) fn encode(record: &Outgoing, appended_at: Timestamp) -> Vec<u8> {
    let headers = record.headers.to_raw();
    let value = record.value.as_deref();
    let mut bytes = Vec::with_capacity(
        value.map_or(0, <[u8]>::len) + record.key.len() + 16 + 48 * headers.len(),
    );
    bytes.push(if value.is_some() { HAS_VALUE } else { 0 });
    bytes.extend_from_slice(&appended_at.0.to_be_bytes());
    put(&mut bytes, &record.key);
    put_length(&mut bytes, headers.len());
    for (name, value) in &headers {
        put(&mut bytes, name.as_bytes());
        put(&mut bytes, value);
    }
    bytes.extend_from_slice(value.unwrap_or_default());
    bytes
}

/// The reverse of [`encode`]. `None`: these bytes were not written by it.
pub(super) fn decode(bytes: &[u8]) -> Option<Stored> {
    let (appended_at, has_value, mut rest) = head(bytes)?;
    let key = take(&mut rest)?.to_vec();
    let count = take_length(&mut rest)?;
    let mut headers = RawHeaders::with_capacity(count.min(32));
    for _ in 0..count {
        let name = std::str::from_utf8(take(&mut rest)?).ok()?.to_owned();
        headers.push((name, take(&mut rest)?.to_vec()));
    }
    let value = has_value.then(|| rest.to_vec());
    Some(Stored { appended_at, key, value, headers })
}

/// When a record was appended, without decoding the rest.
pub(super) fn appended_at(bytes: &[u8]) -> Option<Timestamp> {
    head(bytes).map(|(at, _, _)| at)
}

fn head(bytes: &[u8]) -> Option<(Timestamp, bool, &[u8])> {
    let (flags, rest) = bytes.split_first()?;
    let (at, rest) = rest.split_first_chunk()?;
    (*flags <= HAS_VALUE).then_some((Timestamp(i64::from_be_bytes(*at)), *flags == HAS_VALUE, rest))
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    put_length(bytes, part.len());
    bytes.extend_from_slice(part);
}

fn put_length(bytes: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_length(rest)?;
    let (part, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(part)
}

fn take_length(rest: &mut &[u8]) -> Option<usize> {
    let mut length = 0;
    for shift in [0, 7, 14, 21, 28] {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        length |= usize::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(length);
        }
    }
    None
}

/// Where the newest record of a key lies in a compacted partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Newest {
    pub offset: u64,
    /// Set for a tombstone: when it was written.
    pub tombstone: Option<Timestamp>,
}

impl Newest {
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = self.offset.to_be_bytes().to_vec();
        if let Some(at) = self.tombstone {
            bytes.extend_from_slice(&at.0.to_be_bytes());
        }
        bytes
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (offset, rest) = bytes.split_first_chunk()?;
        let tombstone = match rest {
            [] => None,
            rest => Some(Timestamp(i64::from_be_bytes(rest.try_into().ok()?))),
        };
        Some(Self { offset: u64::from_be_bytes(*offset), tombstone })
    }
}

/// First offset kept and next offset given of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Bounds {
    pub start: u64,
    pub end: u64,
}

impl Bounds {
    pub fn to_bytes(self) -> Vec<u8> {
        [self.start.to_be_bytes(), self.end.to_be_bytes()].concat()
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (start, end) = bytes.split_first_chunk()?;
        let (start, end) = (u64::from_be_bytes(*start), u64::from_be_bytes(end.try_into().ok()?));
        Some(Self { start, end })
    }
}

/// What is written of a topic when it is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TopicRow {
    pub id: TopicId,
    pub partitions: u32,
    pub compacted: bool,
}

impl TopicRow {
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = self.id.0.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.partitions.to_be_bytes());
        bytes.push(self.compacted.into());
        bytes
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, rest) = bytes.split_first_chunk()?;
        let (partitions, rest) = rest.split_first_chunk()?;
        let compacted = match rest {
            [0] => false,
            [1] => true,
            _ => return None,
        };
        let (id, partitions) = (TopicId(u16::from_be_bytes(*id)), u32::from_be_bytes(*partitions));
        Some(Self { id, partitions, compacted })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemas::headers::Headers;
    use schemas::topics::Topic;

    use super::*;

    proptest! {
        #[test]
        fn a_record_reads_back_as_it_was_written(
            key in prop::collection::vec(any::<u8>(), 0..200),
            value in prop::option::of(prop::collection::vec(any::<u8>(), 0..400)),
            attempt in prop::option::of(any::<i32>()),
            ce_id in prop::option::of(".{0,200}"),
            at in any::<i64>(),
        ) {
            let headers = Headers { attempt, ce_id, ..Headers::default() };
            let raw = headers.to_raw();
            let record = Outgoing {
                topic: Topic::Status,
                key: key.clone(),
                partition_by: vec![],
                value: value.clone(),
                headers,
            };
            let bytes = encode(&record, Timestamp(at));
            let stored = Stored { appended_at: Timestamp(at), key, value, headers: raw };
            prop_assert_eq!(appended_at(&bytes), Some(Timestamp(at)));
            prop_assert_eq!(decode(&bytes), Some(stored));
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = (decode(&bytes), Newest::from_bytes(&bytes), TopicRow::from_bytes(&bytes));
        }
    }

    #[test]
    fn an_empty_value_is_no_tombstone() {
        let record = |value| Outgoing {
            topic: Topic::Status,
            key: vec![],
            partition_by: vec![],
            value,
            headers: Headers::default(),
        };
        let value = |value| decode(&encode(&record(value), Timestamp(0))).unwrap().value;
        assert_eq!(value(Some(vec![])), Some(vec![]));
        assert_eq!(value(None), None);
    }
}

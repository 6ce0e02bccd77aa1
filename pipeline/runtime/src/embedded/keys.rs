//! Where things lie in the store: a kind byte, then numbers big-endian, so that byte order is the
//! order of reading. Topics are numbered once, when they are created, and keep their number for
//! ever.

use schemas::ids::Timestamp;

/// What a key's first byte says.
pub(super) mod kind {
    /// A record of a topic that is kept for a time.
    pub const RETAINED: u8 = b'r';
    /// A record of a compacted topic.
    pub const COMPACTED: u8 = b'v';
    /// The offset of a key's newest record in a compacted partition.
    pub const NEWEST: u8 = b'k';
    /// A tombstone by the time it was written, so that a sweep finds the oldest first.
    pub const TOMBSTONE: u8 = b't';
    /// A topic's number, partitions and policy by its name.
    pub const TOPIC: u8 = b'T';
    /// First and next offset of a partition.
    pub const BOUNDS: u8 = b'b';
    /// A group's committed offset.
    pub const COMMITTED: u8 = b'o';
    /// When the last compaction began that was finished.
    pub const COMPACTION: u8 = b'c';
    /// The version of this layout.
    pub const FORMAT: u8 = b'F';
}

/// A topic's number in this store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TopicId(pub u16);

/// The partition of a numbered topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub topic: TopicId,
    pub partition: u32,
    pub compacted: bool,
}

fn placed(kind: u8, place: Place, more: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(7 + more.len());
    key.push(kind);
    key.extend_from_slice(&place.topic.0.to_be_bytes());
    key.extend_from_slice(&place.partition.to_be_bytes());
    key.extend_from_slice(more);
    key
}

impl Place {
    pub fn record(self, offset: u64) -> Vec<u8> {
        let kind = if self.compacted { kind::COMPACTED } else { kind::RETAINED };
        placed(kind, self, &offset.to_be_bytes())
    }

    pub fn newest(self, record_key: &[u8]) -> Vec<u8> {
        placed(kind::NEWEST, self, record_key)
    }

    pub fn bounds(self) -> Vec<u8> {
        placed(kind::BOUNDS, self, &[])
    }

    pub fn committed(self, group: &str) -> Vec<u8> {
        let mut key = vec![kind::COMMITTED];
        key.extend_from_slice(group.as_bytes());
        key.push(0);
        key.extend_from_slice(&placed(kind::COMMITTED, self, &[]));
        key
    }

    pub fn tombstone(self, written_at: Timestamp, offset: u64) -> Vec<u8> {
        let mut key = tombstones_before(written_at);
        key.extend_from_slice(&placed(kind::TOMBSTONE, self, &offset.to_be_bytes()));
        key
    }
}

pub(super) fn topic(name: &str) -> Vec<u8> {
    [&[kind::TOPIC], name.as_bytes()].concat()
}

/// Lies behind every tombstone that was written before `moment`.
pub(super) fn tombstones_before(moment: Timestamp) -> Vec<u8> {
    // The sign bit turned, so that moments before 1970 come first.
    let sortable = moment.0.cast_unsigned() ^ (1 << 63);
    [&[kind::TOMBSTONE][..], &sortable.to_be_bytes()].concat()
}

/// Everything of one kind: first key and the key behind the last.
pub(super) fn all_of(kind: u8) -> (Vec<u8>, Vec<u8>) {
    (vec![kind], vec![kind + 1])
}

/// Topic and partition at the end of a `COMMITTED` or the middle of a `TOMBSTONE` key; the rest
/// after them. `None`: no such key.
pub(super) fn place_in(bytes: &[u8]) -> Option<(TopicId, u32, &[u8])> {
    let (_, bytes) = bytes.split_first()?;
    let (topic, bytes) = bytes.split_first_chunk()?;
    let (partition, rest) = bytes.split_first_chunk()?;
    Some((TopicId(u16::from_be_bytes(*topic)), u32::from_be_bytes(*partition), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_by_partition_then_offset() {
        let place = |topic, partition| Place { topic: TopicId(topic), partition, compacted: false };
        let ordered = [
            place(1, 0).record(0),
            place(1, 0).record(255),
            place(1, 0).record(256),
            place(1, 1).record(0),
            place(2, 0).record(0),
        ];
        assert!(ordered.is_sorted());
    }

    #[test]
    fn tombstones_sort_by_time_also_before_1970() {
        let place = Place { topic: TopicId(9), partition: 3, compacted: true };
        let ordered = [-5, -1, 0, 1, 7].map(|at| place.tombstone(Timestamp(at), 4));
        assert!(ordered.is_sorted());
        assert!(ordered[3] < tombstones_before(Timestamp(2)));
        assert!(ordered[4] > tombstones_before(Timestamp(7)));
    }
}

//! Which records are in hand, which are done, and how far a commit may go: pure arithmetic.
//!
//! Records of one key are handled one after another, so that first attempts keep a citizen's order.
//! A commit covers the contiguous prefix of finished records of each partition, never more.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use schemas::ids::Timestamp;

use crate::log::{Incoming, Outgoing, TopicPartition};

/// What a finished record leaves to be produced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    pub outputs: Vec<Outgoing>,
}

#[derive(Debug)]
enum State {
    /// Not handed out yet, or to be handed out again at a moment.
    Waiting {
        from: Timestamp,
    },
    HandedOut,
    Finished(Finished),
}

#[derive(Debug)]
struct Entry {
    record: Arc<Incoming>,
    state: State,
}

#[derive(Debug, Default)]
struct Partition {
    /// In offset order; offsets may have gaps (compaction, transaction markers).
    entries: BTreeMap<u64, Entry>,
    /// Everything before this offset is committed.
    done: u64,
}

/// The records of one worker between poll and commit.
#[derive(Debug, Default)]
pub struct Ledger {
    partitions: BTreeMap<TopicPartition, Partition>,
    /// Per key the offsets in hand, first come first served.
    keys: HashMap<(TopicPartition, Vec<u8>), VecDeque<u64>>,
    in_hand: usize,
    finished: usize,
}

/// The part of the ledger that a transaction takes.
#[derive(Debug, Default)]
pub struct Prefix {
    pub outputs: Vec<Outgoing>,
    pub offsets: Vec<(TopicPartition, u64)>,
    pub records: usize,
}

impl Ledger {
    /// Takes a record in hand. A record delivered again after a rewind is not taken twice: neither
    /// while it is in hand, where what was computed of it stays, nor when a later commit took it along.
    pub fn take(&mut self, record: Incoming) {
        let at = record.position.at;
        let offset = record.position.offset;
        let partition = self.partitions.entry(at).or_default();
        if offset < partition.done || partition.entries.contains_key(&offset) {
            return;
        }
        self.keys.entry((at, record.key.clone())).or_default().push_back(offset);
        let state = State::Waiting { from: Timestamp(i64::MIN) };
        partition.entries.insert(offset, Entry { record: Arc::new(record), state });
        self.in_hand += 1;
    }

    /// Up to `max` records that may be handled now: first of their key, and due.
    pub fn hand_out(&mut self, max: usize, now: Timestamp) -> Vec<Arc<Incoming>> {
        let mut batch = Vec::new();
        for (at, partition) in &mut self.partitions {
            for (offset, entry) in &mut partition.entries {
                if batch.len() >= max {
                    return batch;
                }
                let State::Waiting { from } = entry.state else { continue };
                let key = (*at, entry.record.key.clone());
                let first = self.keys.get(&key).and_then(|queue| queue.front()) == Some(offset);
                if from <= now && first {
                    entry.state = State::HandedOut;
                    batch.push(Arc::clone(&entry.record));
                }
            }
        }
        batch
    }

    /// The record is done. Unknown records (their partition was given away meanwhile) are ignored.
    pub fn finish(&mut self, record: &Incoming, finished: Finished) {
        let (at, offset) = (record.position.at, record.position.offset);
        let Some(entry) = self.entry(at, offset) else { return };
        if matches!(entry.state, State::Finished(_)) {
            return;
        }
        entry.state = State::Finished(finished);
        self.finished += 1;
        let key = (at, record.key.clone());
        if let Some(queue) = self.keys.get_mut(&key) {
            queue.retain(|other| *other != offset);
            if queue.is_empty() {
                self.keys.remove(&key);
            }
        }
    }

    /// The record could not be handled for reasons of ours: again, not before `from`. A late answer
    /// from before its partition went away and came back undoes nothing that was finished since.
    pub fn put_back(&mut self, record: &Incoming, from: Timestamp) {
        if let Some(entry) = self.entry(record.position.at, record.position.offset)
            && matches!(entry.state, State::HandedOut)
        {
            entry.state = State::Waiting { from };
        }
    }

    fn entry(&mut self, at: TopicPartition, offset: u64) -> Option<&mut Entry> {
        self.partitions.get_mut(&at)?.entries.get_mut(&offset)
    }

    /// A copy of the contiguous finished prefix of every partition, at most about `max` records.
    /// It stays in hand until [`Ledger::committed`].
    #[must_use]
    pub fn prefix(&self, max: usize) -> Prefix {
        let mut prefix = Prefix::default();
        for (at, partition) in &self.partitions {
            let mut upto = None;
            for (offset, entry) in &partition.entries {
                let State::Finished(finished) = &entry.state else { break };
                if prefix.records >= max {
                    break;
                }
                prefix.outputs.extend(finished.outputs.iter().cloned());
                prefix.records += 1;
                upto = Some(offset + 1);
            }
            if let Some(upto) = upto {
                prefix.offsets.push((*at, upto));
            }
        }
        prefix
    }

    /// Whether a commit would move anything.
    #[must_use]
    pub fn has_prefix(&self) -> bool {
        self.finished > 0
            && self.partitions.values().any(|partition| {
                let first = partition.entries.values().next();
                first.is_some_and(|entry| matches!(entry.state, State::Finished(_)))
            })
    }

    /// The group's offsets moved: everything before them leaves the hand.
    pub fn committed(&mut self, offsets: &[(TopicPartition, u64)]) {
        for (at, upto) in offsets {
            let Some(partition) = self.partitions.get_mut(at) else { continue };
            partition.done = partition.done.max(*upto);
            let kept = partition.entries.split_off(upto);
            let gone = std::mem::replace(&mut partition.entries, kept);
            for (offset, entry) in gone {
                self.forget(*at, offset, &entry);
            }
        }
    }

    /// The partition is somebody else's now; late answers about it are ignored.
    pub fn drop_partition(&mut self, at: TopicPartition) {
        let Some(partition) = self.partitions.remove(&at) else { return };
        for (offset, entry) in partition.entries {
            self.forget(at, offset, &entry);
        }
    }

    fn forget(&mut self, at: TopicPartition, offset: u64, entry: &Entry) {
        self.in_hand -= 1;
        if matches!(entry.state, State::Finished(_)) {
            self.finished -= 1;
        }
        let key = (at, entry.record.key.clone());
        if let Some(queue) = self.keys.get_mut(&key) {
            queue.retain(|other| *other != offset);
            if queue.is_empty() {
                self.keys.remove(&key);
            }
        }
    }

    /// Records between poll and commit.
    #[must_use]
    pub fn in_hand(&self) -> usize {
        self.in_hand
    }

    /// Partitions with records in hand, and how many.
    pub fn loads(&self) -> impl Iterator<Item = (TopicPartition, usize)> {
        self.partitions.iter().map(|(at, partition)| (*at, partition.entries.len()))
    }

    /// Finished records that wait for their prefix or for the next commit.
    #[must_use]
    pub fn finished(&self) -> usize {
        self.finished
    }

    /// The earliest moment at which a record that was put back may be handed out again. What waits
    /// for an earlier record of its key, or for a free batch, is due when an answer comes.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let entries = self.partitions.values().flat_map(|partition| partition.entries.values());
        entries
            .filter_map(|entry| match entry.state {
                State::Waiting { from } if from > Timestamp(i64::MIN) => Some(from),
                State::Waiting { .. } | State::HandedOut | State::Finished(_) => None,
            })
            .min()
    }

    /// When the oldest record in hand was appended.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        self.partitions
            .values()
            .filter_map(|partition| partition.entries.values().next())
            .map(|entry| entry.record.appended_at)
            .min()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemas::topics::Topic;

    use super::*;
    use crate::log::Position;

    const AT: TopicPartition = TopicPartition { topic: Topic::Status, partition: 0 };
    const NOW: Timestamp = Timestamp(0);

    fn record(offset: u64, key: u8) -> Incoming {
        Incoming {
            position: Position { at: AT, offset },
            appended_at: NOW,
            key: vec![key],
            value: None,
            headers: Vec::new(),
        }
    }

    fn none() -> Finished {
        Finished { outputs: Vec::new() }
    }

    #[test]
    fn a_commit_stops_before_the_first_unfinished_record() {
        let mut ledger = Ledger::default();
        for offset in 0..3 {
            ledger.take(record(offset, u8::try_from(offset).expect("small")));
        }
        ledger.finish(&record(0, 0), none());
        ledger.finish(&record(2, 2), none());
        assert_eq!(ledger.prefix(10).offsets, vec![(AT, 1)]);
    }

    #[test]
    fn a_second_record_of_a_key_waits_for_the_first() {
        let mut ledger = Ledger::default();
        ledger.take(record(0, 7));
        ledger.take(record(1, 7));
        assert_eq!(ledger.hand_out(10, NOW).len(), 1);
        assert!(ledger.hand_out(10, NOW).is_empty());
        ledger.finish(&record(0, 7), none());
        assert_eq!(ledger.hand_out(10, NOW).len(), 1);
    }

    #[test]
    fn what_was_computed_survives_a_rewind() {
        let mut ledger = Ledger::default();
        ledger.take(record(0, 1));
        ledger.hand_out(1, NOW);
        ledger.finish(&record(0, 1), none());
        ledger.take(record(0, 1));
        assert!(ledger.hand_out(1, NOW).is_empty());
        assert_eq!(ledger.prefix(10).offsets, vec![(AT, 1)]);
    }

    #[test]
    fn a_record_that_comes_again_after_its_commit_is_not_taken() {
        let mut ledger = Ledger::default();
        ledger.take(record(0, 1));
        ledger.hand_out(1, NOW);
        ledger.finish(&record(0, 1), none());
        // The first commit was rewound, the second went through before the record was read again.
        ledger.committed(&[(AT, 0)]);
        ledger.committed(&[(AT, 1)]);
        ledger.take(record(0, 1));
        ledger.take(record(1, 1));
        assert_eq!((ledger.in_hand(), ledger.hand_out(9, NOW).len()), (1, 1));
        // Given away and back, the group's offsets count.
        ledger.drop_partition(AT);
        ledger.take(record(0, 1));
        assert_eq!(ledger.in_hand(), 1);
    }

    #[test]
    fn a_record_put_back_is_not_handed_out_before_its_time() {
        let mut ledger = Ledger::default();
        ledger.take(record(0, 1));
        ledger.hand_out(1, NOW);
        ledger.put_back(&record(0, 1), Timestamp(5));
        assert!(ledger.hand_out(1, Timestamp(4)).is_empty());
        assert_eq!(ledger.next_due(), Some(Timestamp(5)));
        assert_eq!(ledger.hand_out(1, Timestamp(5)).len(), 1);
    }

    #[test]
    fn a_late_fault_does_not_undo_a_finished_record() {
        let mut ledger = Ledger::default();
        ledger.take(record(0, 1));
        ledger.hand_out(1, NOW);
        ledger.drop_partition(AT);
        ledger.take(record(0, 1));
        ledger.hand_out(1, NOW);
        ledger.finish(&record(0, 1), none());
        ledger.put_back(&record(0, 1), Timestamp(5));
        assert_eq!(ledger.prefix(10).offsets, vec![(AT, 1)]);
    }

    #[test]
    fn a_late_answer_about_a_partition_given_away_is_ignored() {
        let mut ledger = Ledger::default();
        ledger.take(record(0, 1));
        ledger.drop_partition(AT);
        ledger.finish(&record(0, 1), none());
        assert_eq!((ledger.in_hand(), ledger.finished()), (0, 0));
        assert!(ledger.prefix(10).offsets.is_empty());
    }

    proptest! {
        #[test]
        fn the_prefix_equals_a_naive_count(order in Just((0u64..12).collect::<Vec<_>>()).prop_shuffle(), n in 0usize..12) {
            let mut ledger = Ledger::default();
            for offset in 0..12 {
                ledger.take(record(offset, u8::try_from(offset).expect("small")));
            }
            let done = &order[..n];
            for offset in done {
                ledger.finish(&record(*offset, u8::try_from(*offset).expect("small")), none());
            }
            let naive = (0..12).take_while(|offset| done.contains(offset)).count();
            let offset = ledger.prefix(100).offsets.first().map_or(0, |(_, upto)| *upto);
            prop_assert_eq!(usize::try_from(offset).expect("small"), naive);
            prop_assert_eq!(ledger.has_prefix(), naive > 0);
        }
    }
}

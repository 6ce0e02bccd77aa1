//! Which records are in hand, which are done, and how far a commit may go: pure arithmetic.
//!
//! Records of one key are handled one after another, so that first attempts keep a citizen's order.
//! A commit covers the contiguous prefix of finished records of each partition, never more.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use schemas::ids::Timestamp;

use crate::log::{Incoming, Outgoing, TopicPartition};

/// What was begun of a partition that was taken away is known for so long, should it come back: a
/// decision older than this is made anew.
const REMEMBERED: Duration = Duration::from_secs(60);

/// What a finished record leaves to be produced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    pub outputs: Vec<Outgoing>,
}

/// When and how a record that could not be handled is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again {
    /// When it was put back. A clock that shows less was set back, and nobody waits for it to catch up.
    pub now: Timestamp,
    /// Not before this.
    pub from: Timestamp,
    /// In a batch of its own: the one that it was in broke down, perhaps because of another.
    pub alone: bool,
}

impl Again {
    const AT_ONCE: Self =
        Self { now: Timestamp(i64::MIN), from: Timestamp(i64::MIN), alone: false };

    fn is_due(self, now: Timestamp) -> bool {
        self.from <= now || now < self.now
    }
}

#[derive(Debug)]
enum State {
    /// Not handed out yet, or put back.
    Waiting(Again),
    HandedOut,
    Finished(Finished),
}

#[derive(Debug)]
struct Entry {
    record: Arc<Incoming>,
    state: State,
}

impl Entry {
    /// Something was done for it that a repeat would do again.
    fn is_begun(&self) -> bool {
        match self.state {
            State::HandedOut | State::Finished(_) => true,
            State::Waiting(_) => false,
        }
    }
}

#[derive(Debug, Default)]
struct Partition {
    /// In offset order; offsets may have gaps (compaction, transaction markers).
    entries: BTreeMap<u64, Entry>,
    /// Everything before this offset is committed.
    done: u64,
    /// Nothing more is begun of it but what a finished record waits for.
    closing: bool,
}

impl Partition {
    /// What may be handed out lies before this offset.
    fn open_end(&self) -> u64 {
        if !self.closing {
            return u64::MAX;
        }
        let begun = self.entries.iter().rev().find(|(_, entry)| entry.is_begun());
        begun.map_or(0, |(offset, _)| *offset)
    }
}

/// What was begun of a partition when it was taken away.
#[derive(Debug)]
struct Aside {
    since: Timestamp,
    entries: BTreeMap<u64, Entry>,
}

/// Records begun and not committed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Begun {
    pub finished: u64,
    pub under_way: u64,
}

/// The records of one worker between poll and commit.
#[derive(Debug, Default)]
pub struct Ledger {
    partitions: BTreeMap<TopicPartition, Partition>,
    /// Per key the offsets in hand, first come first served.
    keys: HashMap<(TopicPartition, Vec<u8>), VecDeque<u64>>,
    in_hand: usize,
    finished: usize,
    /// A record that wants a batch of its own may be among those that wait.
    alone: bool,
    /// Of each partition no more than was once in hand.
    aside: BTreeMap<TopicPartition, Aside>,
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
    /// True: it had been begun before its partition was taken away, and is not begun again.
    pub fn take(&mut self, record: Incoming, now: Timestamp) -> bool {
        let at = record.position.at;
        let offset = record.position.offset;
        let partition = self.partitions.entry(at).or_default();
        if offset < partition.done || partition.entries.contains_key(&offset) {
            return false;
        }
        let key = (at, record.key.clone());
        let known = remembered(&mut self.aside, &record, now);
        let is_known = known.is_some();
        let fresh = || Entry { record: Arc::new(record), state: State::Waiting(Again::AT_ONCE) };
        let entry = known.unwrap_or_else(fresh);
        match entry.state {
            State::Finished(_) => self.finished += 1,
            State::Waiting(_) | State::HandedOut => {
                self.keys.entry(key).or_default().push_back(offset);
            }
        }
        partition.entries.insert(offset, entry);
        self.in_hand += 1;
        is_known
    }

    /// Up to `max` records that may be handled now: first of their key, and due.
    pub fn hand_out(&mut self, max: usize, now: Timestamp) -> Vec<Arc<Incoming>> {
        if let Some(record) = self.hand_out_alone(now) {
            return vec![record];
        }
        let mut batch = Vec::new();
        for (at, partition) in &mut self.partitions {
            let end = partition.open_end();
            for (offset, entry) in partition.entries.range_mut(..end) {
                if batch.len() >= max {
                    return batch;
                }
                let State::Waiting(again) = entry.state else { continue };
                if !again.alone && again.is_due(now) && is_first(&self.keys, *at, *offset, entry) {
                    entry.state = State::HandedOut;
                    batch.push(Arc::clone(&entry.record));
                }
            }
        }
        batch
    }

    fn hand_out_alone(&mut self, now: Timestamp) -> Option<Arc<Incoming>> {
        if !self.alone {
            return None;
        }
        self.alone = false;
        for (at, partition) in &mut self.partitions {
            let end = partition.open_end();
            for (offset, entry) in partition.entries.range_mut(..end) {
                let State::Waiting(again @ Again { alone: true, .. }) = entry.state else {
                    continue;
                };
                self.alone = true;
                if again.is_due(now) && is_first(&self.keys, *at, *offset, entry) {
                    entry.state = State::HandedOut;
                    return Some(Arc::clone(&entry.record));
                }
            }
        }
        None
    }

    /// The record is done. Unknown records (their partition was given away meanwhile) are ignored.
    pub fn finish(&mut self, record: &Incoming, finished: Finished) {
        let (at, offset) = (record.position.at, record.position.offset);
        let Some(entry) = self.entry(at, offset) else {
            let aside = self.aside.get_mut(&at).and_then(|aside| aside.entries.get_mut(&offset));
            if let Some(entry) = aside {
                entry.state = State::Finished(finished);
            }
            return;
        };
        if matches!(entry.state, State::Finished(_)) {
            return;
        }
        entry.state = State::Finished(finished);
        self.finished += 1;
        self.leave_queue(at, offset, record);
    }

    /// The record, as it was handed out, could not be handled for reasons of ours. The answer to an
    /// earlier taking of it, from before its partition went away, undoes nothing.
    pub fn put_back(&mut self, record: &Arc<Incoming>, again: Again) {
        let (at, offset) = (record.position.at, record.position.offset);
        if let Some(entry) = self.entry(at, offset)
            && Arc::ptr_eq(&entry.record, record)
            && matches!(entry.state, State::HandedOut)
        {
            entry.state = State::Waiting(again);
            self.alone |= again.alone;
        }
        if let Some(aside) = self.aside.get_mut(&at)
            && aside.entries.get(&offset).is_some_and(|entry| Arc::ptr_eq(&entry.record, record))
        {
            aside.entries.remove(&offset);
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

    /// Begins nothing more of `at`, but what stands in the way of finished records.
    pub fn close(&mut self, at: TopicPartition) {
        if let Some(partition) = self.partitions.get_mut(&at) {
            partition.closing = true;
        }
    }

    /// [`Ledger::close`] for all.
    pub fn close_all(&mut self) {
        for partition in self.partitions.values_mut() {
            partition.closing = true;
        }
    }

    /// Whether something of `at` was begun and is not committed.
    #[must_use]
    pub fn has_begun(&self, at: TopicPartition) -> bool {
        let partition = self.partitions.get(&at);
        partition.is_some_and(|it| it.entries.values().any(Entry::is_begun))
    }

    /// [`Ledger::has_begun`] of any.
    #[must_use]
    pub fn has_begun_any(&self) -> bool {
        self.partitions.values().any(|it| it.entries.values().any(Entry::is_begun))
    }

    /// Whether something of `at` is being handled.
    #[must_use]
    pub fn is_handling(&self, at: TopicPartition) -> bool {
        let handed_out = |entry: &Entry| matches!(entry.state, State::HandedOut);
        self.partitions.get(&at).is_some_and(|it| it.entries.values().any(handed_out))
    }

    /// The partition was given to somebody else; late answers about it are ignored. Tells what was begun
    /// of it in vain.
    pub fn drop_partition(&mut self, at: TopicPartition) -> Begun {
        count(self.begun_of(at).values())
    }

    /// The partition was taken away, and may come back: what was begun of it is then not begun again, if
    /// nobody else has committed it meanwhile. Tells how much that is.
    pub fn put_aside(&mut self, at: TopicPartition, now: Timestamp) -> Begun {
        let entries = self.begun_of(at);
        let begun = count(entries.values());
        match self.aside.get_mut(&at).filter(|aside| aside.is_young(now)) {
            // Taken away again before all of it was delivered again.
            Some(aside) => aside.entries.extend(entries),
            None => {
                self.aside.insert(at, Aside { since: now, entries });
            }
        }
        begun
    }

    /// [`Ledger::put_aside`] for all.
    pub fn put_all_aside(&mut self, now: Timestamp) -> Begun {
        let all: Vec<_> = self.partitions.keys().copied().collect();
        let mut sum = Begun::default();
        for at in all {
            let begun = self.put_aside(at, now);
            sum.finished += begun.finished;
            sum.under_way += begun.under_way;
        }
        sum
    }

    /// Frees what was put aside too long ago to count.
    pub fn forget_old(&mut self, now: Timestamp) {
        self.aside.retain(|_, aside| aside.is_young(now));
    }

    /// Takes the partition out; what of it was begun.
    fn begun_of(&mut self, at: TopicPartition) -> BTreeMap<u64, Entry> {
        let Some(partition) = self.partitions.remove(&at) else { return BTreeMap::new() };
        for (offset, entry) in &partition.entries {
            self.forget(at, *offset, entry);
        }
        let mut entries = partition.entries;
        entries.retain(|_, entry| entry.is_begun());
        entries
    }

    fn forget(&mut self, at: TopicPartition, offset: u64, entry: &Entry) {
        self.in_hand -= 1;
        if matches!(entry.state, State::Finished(_)) {
            self.finished -= 1;
        }
        self.leave_queue(at, offset, &entry.record);
    }

    fn leave_queue(&mut self, at: TopicPartition, offset: u64, record: &Incoming) {
        let key = (at, record.key.clone());
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
        let open = |partition: &'_ Partition| partition.open_end();
        let entries = self.partitions.values().flat_map(|it| it.entries.range(..open(it)));
        entries
            .filter_map(|(_, entry)| match entry.state {
                State::Waiting(again) if again != Again::AT_ONCE => Some(again.from),
                State::Waiting(_) | State::HandedOut | State::Finished(_) => None,
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

impl Aside {
    fn is_young(&self, now: Timestamp) -> bool {
        self.since <= now && now.since(self.since) < REMEMBERED
    }
}

fn is_first(
    keys: &HashMap<(TopicPartition, Vec<u8>), VecDeque<u64>>,
    at: TopicPartition,
    offset: u64,
    entry: &Entry,
) -> bool {
    let key = (at, entry.record.key.clone());
    keys.get(&key).and_then(VecDeque::front) == Some(&offset)
}

/// What was begun of this very record: a topic made anew counts its offsets anew.
fn remembered(
    aside: &mut BTreeMap<TopicPartition, Aside>,
    record: &Incoming,
    now: Timestamp,
) -> Option<Entry> {
    let aside = aside.get_mut(&record.position.at).filter(|aside| aside.is_young(now))?;
    let entry = aside.entries.remove(&record.position.offset)?;
    let known = &entry.record;
    let same = known.appended_at == record.appended_at
        && known.key == record.key
        && known.value == record.value;
    same.then_some(entry)
}

fn count<'a>(entries: impl Iterator<Item = &'a Entry>) -> Begun {
    let mut begun = Begun::default();
    for entry in entries {
        match entry.state {
            State::Finished(_) => begun.finished += 1,
            State::HandedOut => begun.under_way += 1,
            State::Waiting(_) => {}
        }
    }
    begun
}

#[cfg(test)]
mod laws;

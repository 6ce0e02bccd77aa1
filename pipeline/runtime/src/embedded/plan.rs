//! From requests to one batch for the store: offsets given, superseded records removed.

use std::collections::BTreeMap;

use schemas::ids::Timestamp;
use schemas::partitioner::partition;
use schemas::topics::Topic;

use super::keys::Place;
use super::state::Topics;
use super::store::{Batch, Store, StoreError};
use super::values::{self, Bounds, Newest};
use crate::log::{Outgoing, Position, TopicPartition};

/// The longest key and the longest record (key and value), in bytes.
const LONGEST_KEY: usize = 16 * 1024;
const LONGEST_RECORD: usize = 16 * 1024 * 1024;

/// A batch in the making, over what is already durable.
pub(super) struct Plan<'a> {
    store: &'a dyn Store,
    topics: &'a Topics,
    now: Timestamp,
    batch: Batch,
    /// New bounds of the partitions appended to.
    pub bounds: BTreeMap<TopicPartition, Bounds>,
    /// New committed offsets, by group.
    pub committed: Vec<(String, TopicPartition, u64)>,
}

impl<'a> Plan<'a> {
    pub fn new(store: &'a dyn Store, topics: &'a Topics, now: Timestamp) -> Self {
        let (batch, bounds, committed) = (Batch::new(), BTreeMap::new(), Vec::new());
        Self { store, topics, now, batch, bounds, committed }
    }

    /// Why `record` can never be appended, if so.
    pub fn refusal(&self, record: &Outgoing) -> Option<String> {
        let value = record.value.as_ref().map_or(0, Vec::len);
        if !self.topics.contains_key(&record.topic) {
            Some(format!("topic {} is missing: run `staffetta topics apply`", record.topic))
        } else if record.key.len() > LONGEST_KEY {
            Some(format!("a key for {} is longer than {LONGEST_KEY} bytes", record.topic))
        } else if value > LONGEST_RECORD {
            Some(format!("a record for {} is longer than {LONGEST_RECORD} bytes", record.topic))
        } else {
            None
        }
    }

    /// Puts `record` behind the last of its partition; its topic must exist.
    pub fn append(&mut self, record: &Outgoing) -> Result<Position, StoreError> {
        let topics = self.topics;
        let missing = |topic: Topic| StoreError::Refused(format!("topic {topic} is missing"));
        let topic = topics.get(&record.topic).ok_or_else(|| missing(record.topic))?;
        let partition = partition(&record.partition_by, topic.partitions());
        let at = TopicPartition { topic: record.topic, partition };
        let known = topic.bounds.get(partition as usize).copied().unwrap_or_default();
        let bounds = self.bounds.entry(at).or_insert(known);
        let offset = bounds.end;
        bounds.end += 1;
        let place = topic.place(partition);
        self.batch.insert(place.record(offset), Some(values::encode(record, self.now)));
        if topic.compacted {
            self.supersede(place, record, offset)?;
        }
        Ok(Position { at, offset })
    }

    /// Lets `group` continue at `offset`.
    pub fn commit(&mut self, group: &str, at: TopicPartition, offset: u64) {
        if let Some(topic) = self.topics.get(&at.topic) {
            let key = topic.place(at.partition).committed(group);
            self.batch.insert(key, Some(offset.to_be_bytes().to_vec()));
            self.committed.push((group.to_owned(), at, offset));
        }
    }

    /// The end of `at`, with what this plan appends.
    pub fn end(&self, at: TopicPartition) -> u64 {
        let known = || self.topics.get(&at.topic)?.bounds.get(at.partition as usize).copied();
        self.bounds.get(&at).copied().or_else(known).unwrap_or_default().end
    }

    /// Everything that the store shall write.
    pub fn take_batch(&mut self) -> Batch {
        for (at, bounds) in &self.bounds {
            if let Some(topic) = self.topics.get(&at.topic) {
                self.batch.insert(topic.place(at.partition).bounds(), Some(bounds.to_bytes()));
            }
        }
        std::mem::take(&mut self.batch)
    }

    /// Removes the record that `record` replaces, and remembers where the new one lies.
    fn supersede(
        &mut self,
        place: Place,
        record: &Outgoing,
        offset: u64,
    ) -> Result<(), StoreError> {
        let index = place.newest(&record.key);
        let former = match self.batch.get(&index) {
            Some(planned) => planned.clone(),
            None => self.store.get(&index)?,
        };
        if let Some(former) = former.as_deref().and_then(Newest::from_bytes) {
            self.batch.insert(place.record(former.offset), None);
            if let Some(written_at) = former.tombstone {
                self.batch.insert(place.tombstone(written_at, former.offset), None);
            }
        }
        let tombstone = record.value.is_none().then_some(self.now);
        if tombstone.is_some() {
            self.batch.insert(place.tombstone(self.now, offset), Some(record.key.clone()));
        }
        self.batch.insert(index, Some(Newest { offset, tombstone }.to_bytes()));
        Ok(())
    }
}

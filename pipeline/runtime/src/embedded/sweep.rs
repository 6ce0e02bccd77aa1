//! Removing what has outlived its time, a bounded piece a call; and making it unreadable.

use std::ops::ControlFlow;
use std::time::Duration;

use schemas::ids::Timestamp;
use schemas::topics::{Kept, Topic};

use super::core::Core;
use super::keys::{self, Place, kind};
use super::state::{State, TopicState, Topics, set_bounds};
use super::store::{Batch, Scope, StoreError};
use super::values::{self, Bounds, Newest};
use crate::log::{LogError, TopicPartition};

/// What one call removes at most.
const PIECE: usize = 10_000;

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Records removed, tombstones included.
    pub removed: usize,
    /// The bound was reached: call again.
    pub more: bool,
}

/// An entry in the list of tombstones by age.
struct Tombstone {
    key: Vec<u8>,
    place: Place,
    offset: u64,
    record_key: Vec<u8>,
}

impl Core {
    /// Removes records older than their topic keeps them, and tombstones older than their life.
    /// What a group has still to read stays, whatever its age.
    pub fn sweep(&self, now: Timestamp) -> Result<Swept, LogError> {
        let mut turn = self.turn.lock();
        let (mut batch, mut left, mut starts) = (Batch::new(), PIECE, Vec::new());
        for (at, place, bounds) in partitions(&turn) {
            let Kept::For(life) = at.topic.kept() else { continue };
            let until = unread_from(&self.state.lock(), at).unwrap_or(bounds.end).min(bounds.end);
            let start = self.expired(place, bounds.start..until, older(now, life), left)?;
            for offset in bounds.start..start {
                batch.insert(place.record(offset), None);
                left -= 1;
            }
            if start > bounds.start {
                let bounds = Bounds { start, ..bounds };
                batch.insert(place.bounds(), Some(bounds.to_bytes()));
                starts.push((at, bounds));
            }
        }
        let limit = older(now, self.settings.tombstone_life);
        let dead = self.dead_tombstones(&turn, limit, left)?;
        for Tombstone { key, place, offset, record_key } in dead {
            batch.insert(key, None);
            batch.insert(place.record(offset), None);
            let index = place.newest(&record_key);
            let newest = self.store.get(&index)?;
            let newest = newest.as_deref().and_then(Newest::from_bytes);
            if newest.is_some_and(|newest| newest.offset == offset) {
                batch.insert(index, None);
            }
            left -= 1;
        }
        if batch.is_empty() {
            return Ok(Swept::default());
        }
        self.store.apply(batch, self.settings.sync)?;
        let mut state = self.state.lock();
        for (at, bounds) in starts {
            set_bounds(&mut turn, at, bounds);
            set_bounds(&mut state.topics, at, bounds);
        }
        Ok(Swept { removed: PIECE - left, more: left == 0 })
    }

    /// See [`super::EmbeddedLog::compact`].
    pub fn compact(&self, scope: Scope) -> Result<(), LogError> {
        let began = self.world.now();
        self.store.compact(scope)?;
        let note = (vec![kind::COMPACTION], Some(began.0.to_be_bytes().to_vec()));
        Ok(self.store.apply([note].into(), self.settings.sync)?)
    }

    /// See [`super::EmbeddedLog::compacted_at`].
    pub fn compacted_at(&self) -> Result<Option<Timestamp>, LogError> {
        let note = self.store.get(&[kind::COMPACTION])?;
        let began = note.and_then(|bytes| bytes.try_into().ok());
        Ok(began.map(|bytes| Timestamp(i64::from_be_bytes(bytes))))
    }

    /// The first offset of `range` that is not older than `limit`, at most `most` behind the start.
    fn expired(
        &self,
        place: Place,
        range: std::ops::Range<u64>,
        limit: Timestamp,
        most: usize,
    ) -> Result<u64, StoreError> {
        let mut start = range.start;
        let end = range.end.min(range.start.saturating_add(most as u64));
        self.store.scan(&place.record(range.start), &place.record(end), &mut |key, bytes| {
            // What cannot be read cannot be judged: it stays, and so does all behind it.
            if values::appended_at(bytes).is_none_or(|at| at >= limit) {
                return ControlFlow::Break(());
            }
            start = key.last_chunk().map_or(start, |offset| u64::from_be_bytes(*offset) + 1);
            ControlFlow::Continue(())
        })?;
        Ok(start)
    }

    /// Tombstones written before `limit`, oldest first.
    fn dead_tombstones(
        &self,
        topics: &Topics,
        limit: Timestamp,
        most: usize,
    ) -> Result<Vec<Tombstone>, StoreError> {
        let mut found = Vec::new();
        let (from, until) = (vec![kind::TOMBSTONE], keys::tombstones_before(limit));
        self.store.scan(&from, &until, &mut |key, record_key| {
            if found.len() == most {
                return ControlFlow::Break(());
            }
            // Behind the kind and eight bytes of time; a topic unknown here is another version's.
            let place = key.get(9..).and_then(keys::place_in);
            if let Some((topic, partition, offset)) = place
                && topics.values().any(|known| known.id == topic)
                && let Ok(offset) = offset.try_into()
            {
                found.push(Tombstone {
                    key: key.to_vec(),
                    place: Place { topic, partition, compacted: true },
                    offset: u64::from_be_bytes(offset),
                    record_key: record_key.to_vec(),
                });
            }
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }
}

fn older(now: Timestamp, life: Duration) -> Timestamp {
    Timestamp(now.0.saturating_sub(i64::try_from(life.as_millis()).unwrap_or(i64::MAX)))
}

/// The lowest offset that a group has still to read, of groups that read `at` at all.
fn unread_from(state: &State, at: TopicPartition) -> Option<u64> {
    state.committed.values().filter_map(|offsets| offsets.get(&at)).min().copied()
}

fn partitions(topics: &Topics) -> Vec<(TopicPartition, Place, Bounds)> {
    let of = |(topic, state): (&Topic, &TopicState)| {
        let (topic, state) = (*topic, state.clone());
        (0..).zip(state.bounds.clone()).map(move |(partition, bounds)| {
            (TopicPartition { topic, partition }, state.place(partition), bounds)
        })
    };
    topics.iter().flat_map(of).collect()
}

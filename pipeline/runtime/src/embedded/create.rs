//! Creating topics and the first offsets of groups.

use std::ops::ControlFlow;

use schemas::topics::{Kept, Topic};

use super::core::Core;
use super::keys::{self, TopicId, kind};
use super::state::{Committed, TopicState, Topics, missing};
use super::store::{Batch, StoreError};
use super::values::{Bounds, TopicRow};
use crate::log::{LogError, Seat, TopicPartition};

impl Core {
    /// See [`crate::log::Log::apply`]. A topic keeps its number of partitions: another one would
    /// move keys, and their order with them.
    pub fn apply(&self, topics: &[Topic], partitions: u32, seats: &[Seat]) -> Result<(), LogError> {
        let mut turn = self.turn.lock();
        let mut state = self.state.lock();
        let mut batch = Batch::new();
        let (mut wanted, mut committed) = (turn.clone(), state.committed.clone());
        let mut free = self.free_id()?;
        for topic in topics {
            create(&mut wanted, *topic, partitions, &mut free, &mut batch);
        }
        for seat in seats {
            for topic in &seat.topics {
                first_offsets(&wanted, &seat.group, *topic, &mut committed, &mut batch)?;
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.store.apply(batch, self.settings.sync)?;
        turn.clone_from(&wanted);
        state.topics = wanted;
        state.committed = committed;
        self.news.notify_all();
        Ok(())
    }

    /// Higher than every number ever given, also to topics that this version does not know.
    fn free_id(&self) -> Result<u16, StoreError> {
        let mut free = 0;
        let (from, until) = keys::all_of(kind::TOPIC);
        self.store.scan(&from, &until, &mut |_, row| {
            if let Some(TopicRow { id: TopicId(id), .. }) = TopicRow::from_bytes(row) {
                free = free.max(id + 1);
            }
            ControlFlow::Continue(())
        })?;
        Ok(free)
    }
}

/// Creates `topic` where it is missing.
fn create(topics: &mut Topics, topic: Topic, partitions: u32, free: &mut u16, batch: &mut Batch) {
    if let Some(known) = topics.get(&topic) {
        if known.partitions() != partitions {
            let (has, asked) = (known.partitions(), partitions);
            tracing::warn!(%topic, has, asked, "a topic keeps its number of partitions");
        }
        return;
    }
    let (id, compacted) = (TopicId(*free), topic.kept() == Kept::Compacted);
    *free += 1;
    let row = TopicRow { id, partitions: partitions.max(1), compacted };
    batch.insert(keys::topic(topic.name()), Some(row.to_bytes()));
    let bounds = vec![Bounds::default(); row.partitions as usize];
    topics.insert(topic, TopicState { id, compacted, bounds });
}

/// Lets `group` begin at the first record wherever it has no offset.
fn first_offsets(
    topics: &Topics,
    group: &str,
    topic: Topic,
    committed: &mut Committed,
    batch: &mut Batch,
) -> Result<(), LogError> {
    let row = topics.get(&topic).ok_or_else(|| missing(topic))?;
    let offsets = committed.entry(group.to_owned()).or_default();
    for (partition, bounds) in (0..).zip(&row.bounds) {
        offsets.entry(TopicPartition { topic, partition }).or_insert_with(|| {
            let key = row.place(partition).committed(group);
            batch.insert(key, Some(bounds.start.to_be_bytes().to_vec()));
            bounds.start
        });
    }
    Ok(())
}

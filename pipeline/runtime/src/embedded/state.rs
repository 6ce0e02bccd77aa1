//! What readers and members see: committed topics, bounds, offsets; and who sits where.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use schemas::topics::{Kept, Topic};

use super::faults::{Call, Fault};
use super::group::{Group, Holder};
use super::keys::{self, Place, TopicId, kind};
use super::store::Store;
use super::values::{Bounds, TopicRow};
use crate::log::{LogError, TopicPartition};

/// The layout that this code reads and writes.
const FORMAT: [u8; 1] = [1];

/// A topic and how far each of its partitions reaches.
#[derive(Debug, Clone)]
pub(super) struct TopicState {
    pub id: TopicId,
    pub compacted: bool,
    pub bounds: Vec<Bounds>,
}

impl TopicState {
    pub fn place(&self, partition: u32) -> Place {
        Place { topic: self.id, partition, compacted: self.compacted }
    }

    pub fn partitions(&self) -> u32 {
        u32::try_from(self.bounds.len()).unwrap_or(u32::MAX)
    }
}

pub(super) type Topics = BTreeMap<Topic, TopicState>;
pub(super) type Committed = BTreeMap<String, BTreeMap<TopicPartition, u64>>;

/// Behind one lock; changes only to what is durable.
#[derive(Default)]
pub(super) struct State {
    pub topics: Topics,
    pub committed: Committed,
    pub groups: BTreeMap<String, Group>,
    /// The newest holder of each writer's name.
    pub writers: BTreeMap<String, u64>,
    /// Offsets that a batch now being written will commit: nobody starts to read there before it
    /// ends.
    pub in_flight: BTreeSet<(String, TopicPartition)>,
    /// Compacted partitions that a batch now being written appends to: it may already have removed
    /// a record whose successor is not readable yet, so nobody may say to have seen all of them.
    pub rewriting: BTreeSet<TopicPartition>,
    pub faults: BTreeMap<Call, VecDeque<Fault>>,
    epochs: u64,
}

impl State {
    /// What `store` holds.
    ///
    /// # Errors
    /// `Broken`: it cannot be read, or was written by another version.
    pub fn load(store: &dyn Store) -> Result<Self, LogError> {
        match store.get(&[kind::FORMAT])?.as_deref() {
            Some(format) if *format == FORMAT => {}
            Some(_) => {
                return Err(LogError::Broken("the log was written by another version".into()));
            }
            None => {
                let first = (vec![kind::FORMAT], Some(FORMAT.to_vec()));
                store.apply([first].into(), true)?;
            }
        }
        let topics = load_topics(store)?;
        let committed = load_committed(store, &topics)?;
        Ok(Self { topics, committed, ..Self::default() })
    }

    pub fn next_epoch(&mut self) -> u64 {
        self.epochs += 1;
        self.epochs
    }

    pub fn topic(&self, topic: Topic) -> Result<&TopicState, LogError> {
        self.topics.get(&topic).ok_or_else(|| missing(topic))
    }

    pub fn bounds(&self, at: TopicPartition) -> Bounds {
        let topic = self.topics.get(&at.topic);
        topic.and_then(|topic| topic.bounds.get(at.partition as usize)).copied().unwrap_or_default()
    }

    pub fn committed(&self, group: &str, at: TopicPartition) -> Option<u64> {
        self.committed.get(group)?.get(&at).copied()
    }

    /// Takes the next fault that was put there for `call`.
    pub fn fault(&mut self, call: Call) -> Option<Fault> {
        self.faults.get_mut(&call)?.pop_front()
    }

    pub fn holds(&self, holder: &Holder) -> bool {
        let group = self.groups.get(&holder.group);
        group.is_some_and(|group| group.holds(holder.ordinal, holder.epoch))
    }

    /// The group with the partition counts that its methods ask for.
    pub fn group(&mut self, name: &str) -> (&mut Group, impl Fn(Topic) -> u32 + use<'_>) {
        if !self.groups.contains_key(name) {
            self.groups.insert(name.to_owned(), Group::default());
        }
        let topics = &self.topics;
        let partitions = move |topic| topics.get(&topic).map_or(0, TopicState::partitions);
        #[expect(clippy::expect_used, reason = "inserted above")]
        let group = self.groups.get_mut(name).expect("the group was just put there");
        (group, partitions)
    }
}

/// Lets `at` reach as far as `bounds` say.
pub(super) fn set_bounds(topics: &mut Topics, at: TopicPartition, bounds: Bounds) {
    let topic = topics.get_mut(&at.topic);
    if let Some(known) = topic.and_then(|topic| topic.bounds.get_mut(at.partition as usize)) {
        *known = bounds;
    }
}

pub(super) fn missing(topic: Topic) -> LogError {
    LogError::Broken(format!("topic {topic} is missing: run `staffetta topics apply`"))
}

fn damaged(what: &str) -> LogError {
    LogError::Broken(format!("the log holds {what} that this version cannot read"))
}

fn load_topics(store: &dyn Store) -> Result<Topics, LogError> {
    let mut rows = Vec::new();
    let (from, until) = keys::all_of(kind::TOPIC);
    store.scan(&from, &until, &mut |key, value| {
        rows.push((String::from_utf8_lossy(&key[1..]).into_owned(), TopicRow::from_bytes(value)));
        std::ops::ControlFlow::Continue(())
    })?;
    let mut topics = Topics::new();
    for (name, row) in rows {
        let row = row.ok_or_else(|| damaged("a topic"))?;
        // A topic of another version of the catalogue keeps its number and its records.
        let Some(topic) = Topic::named(&name) else { continue };
        if row.compacted != (topic.kept() == Kept::Compacted) {
            return Err(damaged("records under another policy of their topic"));
        }
        let mut state = TopicState { id: row.id, compacted: row.compacted, bounds: Vec::new() };
        for partition in 0..row.partitions {
            let bytes = store.get(&state.place(partition).bounds())?;
            let bounds = bytes.as_deref().map_or(Some(Bounds::default()), Bounds::from_bytes);
            state.bounds.push(bounds.ok_or_else(|| damaged("bounds"))?);
        }
        topics.insert(topic, state);
    }
    Ok(topics)
}

fn load_committed(store: &dyn Store, topics: &Topics) -> Result<Committed, LogError> {
    let mut committed = Committed::new();
    let mut readable = true;
    let (from, until) = keys::all_of(kind::COMMITTED);
    store.scan(&from, &until, &mut |key, value| {
        match committed_row(key, value) {
            Some((group, id, partition, offset)) => {
                let named = topics.iter().find(|(_, topic)| topic.id == id);
                if let Some((topic, _)) = named {
                    let at = TopicPartition { topic: *topic, partition };
                    committed.entry(group).or_default().insert(at, offset);
                }
            }
            None => readable = false,
        }
        std::ops::ControlFlow::Continue(())
    })?;
    if readable { Ok(committed) } else { Err(damaged("committed offsets")) }
}

fn committed_row(key: &[u8], value: &[u8]) -> Option<(String, TopicId, u32, u64)> {
    let rest = key.get(1..)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    let group = std::str::from_utf8(&rest[..end]).ok()?.to_owned();
    let (id, partition, _) = keys::place_in(&rest[end + 1..])?;
    Some((group, id, partition, u64::from_be_bytes(value.try_into().ok()?)))
}

//! The consuming half of a member: who owns what, where it stands, what is handed out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use schemas::headers::RawHeaders;
use schemas::ids::Timestamp;

use super::cluster::{Cluster, offset_number, partition_number};
use super::context::{self, Named, Ownership};
use super::errors;
use super::ffi;
use crate::log::{Incoming, LogError, Polled, Position, Seat, TopicPartition};

/// A caller without room for so long gets everything paused: the group must still see it alive.
const HELD_AFTER: Duration = Duration::from_secs(1);
/// Metrics wait for nobody longer.
const LAG_PATIENCE: Duration = Duration::from_secs(1);

/// Where one owned partition stands.
#[derive(Default)]
struct Place {
    /// Behind the last record fetched since it was assigned.
    next: Option<u64>,
    /// The committed offset it was assigned with, once somebody asked.
    start: Option<u64>,
}

pub(super) struct Delivery {
    cluster: Arc<Cluster>,
    consumer: BaseConsumer<Ownership>,
    owned: BTreeMap<TopicPartition, Place>,
    /// Named as revoking by the last poll; the next one releases them.
    releasing: Vec<TopicPartition>,
    /// Paused by the caller.
    paused: BTreeSet<TopicPartition>,
    /// Everything is paused because the caller has no room.
    held: bool,
    /// When events were last served.
    served: Instant,
    /// Fetched while the caller had no room.
    waiting: VecDeque<Incoming>,
    /// Came while there was something to hand out; told at the next poll.
    trouble: Option<LogError>,
}

impl Delivery {
    pub(super) fn subscribe(cluster: Arc<Cluster>, seat: &Seat) -> Result<Self, LogError> {
        let group = cluster.names.group(seat);
        let consumer: BaseConsumer<Ownership> = cluster
            .settings
            .member(&group, &cluster.names.instance(seat))
            .create_with_context(Ownership::default())
            .map_err(|error| errors::passing(&error))?;
        let topics: Vec<_> = seat.topics.iter().map(|topic| cluster.names.topic(*topic)).collect();
        consumer.subscribe(&topics).map_err(|error| errors::passing(&error))?;
        Ok(Self {
            cluster,
            consumer,
            owned: BTreeMap::new(),
            releasing: Vec::new(),
            paused: BTreeSet::new(),
            held: false,
            served: Instant::now(),
            waiting: VecDeque::new(),
            trouble: None,
        })
    }

    pub(super) fn group(&self) -> Option<ConsumerGroupMetadata> {
        self.consumer.group_metadata()
    }

    pub(super) fn owned(&self) -> Vec<TopicPartition> {
        self.owned.keys().copied().collect()
    }

    /// At most `max` records and what changed hands; releases what the last call named.
    pub(super) fn poll(&mut self, max: usize, wait: Duration) -> Result<Polled, LogError> {
        if let Some(trouble) = self.trouble.take() {
            return Err(trouble);
        }
        self.release()?;
        let mut polled = Polled::default();
        match max {
            0 => self.attend(),
            max => {
                self.hold(false);
                let waiting = max.min(self.waiting.len());
                polled.records.extend(self.waiting.drain(..waiting));
                self.fetch(max, wait, &mut polled.records);
            }
        }
        self.take_changes(&mut polled);
        let quiet = polled.records.is_empty()
            && polled.assigned.is_empty()
            && polled.revoking.is_empty()
            && polled.lost.is_empty();
        match self.trouble.take() {
            Some(trouble) if quiet => Err(trouble),
            trouble => {
                self.trouble = trouble;
                Ok(polled)
            }
        }
    }

    /// Records until `max`, an empty queue, a change of ownership or an error.
    fn fetch(&mut self, max: usize, wait: Duration, records: &mut Vec<Incoming>) {
        let deadline = Instant::now() + wait;
        self.served = Instant::now();
        while records.len() < max && !self.consumer.context().changed() {
            let left = match records.is_empty() {
                true => whole_millis(deadline.saturating_duration_since(Instant::now())),
                false => Duration::ZERO,
            };
            match self.consumer.poll(left) {
                Some(Ok(message)) => {
                    if let Some(record) = incoming(&self.cluster, &message) {
                        let next = record.position.offset + 1;
                        self.owned.entry(record.position.at).or_default().next = Some(next);
                        records.push(record);
                    }
                }
                Some(Err(error)) => {
                    self.trouble = errors::of_poll(&self.consumer, &error);
                    if self.trouble.is_some() {
                        return;
                    }
                }
                None if left.is_zero() => return,
                None => {}
            }
        }
    }

    /// Serves the group for a caller without room. What is fetched ahead stays where it is for a
    /// while; after that everything is paused, for only an empty queue lets changes of ownership
    /// through, and a member that is not served would be thrown out of the group.
    fn attend(&mut self) {
        if !self.held && self.served.elapsed() < HELD_AFTER {
            return;
        }
        self.hold(true);
        let mut slipped_in = Vec::new();
        self.fetch(usize::MAX, Duration::ZERO, &mut slipped_in);
        self.waiting.extend(slipped_in);
    }

    /// Pauses or resumes everything but what the caller has paused.
    fn hold(&mut self, held: bool) {
        if self.held == held {
            return;
        }
        self.held = held;
        let partitions: Vec<_> =
            self.owned.keys().filter(|at| !self.paused.contains(at)).copied().collect();
        self.set_paused(&partitions, held);
    }

    fn take_changes(&mut self, polled: &mut Polled) {
        let changes = self.consumer.context().take();
        let ours = |named: Vec<Named>| {
            let names = &self.cluster.names;
            let known = |(topic, partition): (String, i32)| names.partition(&topic, partition);
            named.into_iter().filter_map(known).collect::<Vec<_>>()
        };
        polled.lost = ours(changes.lost);
        polled.assigned = ours(changes.assigned);
        polled.revoking = ours(changes.revoking);
        let lost = polled.lost.clone();
        let goes = |at: &TopicPartition| lost.contains(at) || polled.revoking.contains(at);
        polled.records.retain(|record| !goes(&record.position.at));
        self.forget(&lost);
        // An assignment may follow a loss within one poll, never the other way round. A pause does
        // not outlive ownership; librdkafka would keep it.
        let mut again = polled.assigned.clone();
        again.retain(|at| self.paused.remove(at));
        self.set_paused(&again, false);
        for at in &polled.assigned {
            self.owned.entry(*at).or_default();
        }
        if self.held {
            self.set_paused(&polled.assigned, true);
        }
        self.releasing.clone_from(&polled.revoking);
    }

    /// Gives up what the last poll named.
    pub(super) fn release(&mut self) -> Result<(), LogError> {
        if self.releasing.is_empty() {
            return Ok(());
        }
        let list = self.cluster.list(self.releasing.iter().copied());
        context::release(&self.consumer, &list).map_err(|error| errors::passing(&error))?;
        let released = std::mem::take(&mut self.releasing);
        self.forget(&released);
        Ok(())
    }

    fn forget(&mut self, partitions: &[TopicPartition]) {
        for at in partitions {
            self.owned.remove(at);
        }
        self.waiting.retain(|record| !partitions.contains(&record.position.at));
    }

    pub(super) fn pause(&mut self, at: TopicPartition, paused: bool) {
        if !self.owned.contains_key(&at) {
            return;
        }
        let changed = match paused {
            true => self.paused.insert(at),
            false => self.paused.remove(&at),
        };
        if changed && !self.held {
            self.set_paused(&[at], paused);
        }
    }

    fn set_paused(&self, partitions: &[TopicPartition], paused: bool) {
        if partitions.is_empty() {
            return;
        }
        let list = self.cluster.list(partitions.iter().copied());
        let done = match paused {
            true => self.consumer.pause(&list),
            false => self.consumer.resume(&list),
        };
        if let Err(error) = done {
            tracing::warn!(target: "kafka", %error, paused, "a pause was refused");
        }
    }

    /// The group's committed offsets; waits for those that an open transaction still holds.
    pub(super) fn committed(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
        limit: Duration,
    ) -> Result<Vec<(TopicPartition, u64)>, LogError> {
        let list = self.cluster.list(partitions);
        if list.count() == 0 {
            return Ok(Vec::new());
        }
        let answer = self
            .consumer
            .committed_offsets(list, limit)
            .map_err(|error| errors::passing(&error))?;
        let mut committed = Vec::new();
        for element in answer.elements() {
            element.error().map_err(|error| errors::passing(&error))?;
            let at = self.cluster.names.partition(element.topic(), element.partition());
            if let (Some(at), Offset::Offset(offset)) = (at, element.offset()) {
                committed.push((at, u64::try_from(offset).unwrap_or(0)));
            }
        }
        Ok(committed)
    }

    /// Seeks every partition of which records were fetched. The others still stand at what was
    /// committed, for nothing of theirs can have been committed by us.
    pub(super) fn go_back(&mut self, committed: &[(TopicPartition, u64)]) -> Result<(), LogError> {
        self.waiting.clear();
        let mut list = TopicPartitionList::new();
        for (at, offset) in committed {
            if self.owned.get(at).is_some_and(|place| place.next.is_some()) {
                let name = self.cluster.names.topic(at.topic);
                let offset = Offset::Offset(offset_number(*offset));
                list.add_partition_offset(name, partition_number(at.partition), offset)
                    .map_err(|error| errors::passing(&error))?;
            }
        }
        if list.count() > 0 {
            let answer = self
                .consumer
                .seek_partitions(list, self.cluster.settings.call_timeout)
                .map_err(|error| errors::passing(&error))?;
            for element in answer.elements() {
                element.error().map_err(|error| errors::passing(&error))?;
            }
        }
        for (at, offset) in committed {
            if let Some(next) = self.owned.get_mut(at).and_then(|place| place.next.as_mut()) {
                *next = *offset;
            }
        }
        Ok(())
    }

    /// High watermark − position; partitions that were not fetched from yet are left out.
    pub(super) fn lag(&mut self) -> Vec<(TopicPartition, u64)> {
        let asked = |place: &Place| place.next.is_none() && place.start.is_none();
        let fresh = self.owned.iter().filter(|(_, place)| asked(place)).map(|(at, _)| *at);
        let committed = self.committed(fresh.collect::<Vec<_>>(), LAG_PATIENCE);
        for (at, offset) in committed.into_iter().flatten() {
            self.owned.entry(at).or_default().start = Some(offset);
        }
        let behind = |(at, place): (&TopicPartition, &Place)| {
            let name = self.cluster.names.topic(at.topic);
            let end = ffi::high_watermark(&self.consumer, name, partition_number(at.partition))?;
            let waiting = self.waiting.iter().filter(|record| record.position.at == *at).count();
            let behind = end.saturating_sub(place.next.or(place.start)?);
            Some((*at, behind + u64::try_from(waiting).unwrap_or(0)))
        };
        self.owned.iter().filter_map(behind).collect()
    }
}

/// A static member does not leave: its successor finds its partitions.
impl Drop for Delivery {
    fn drop(&mut self) {
        self.consumer.context().close();
        if let Err(error) = self.release() {
            tracing::debug!(target: "kafka", %error, "nothing to release at the end");
        }
    }
}

/// librdkafka counts in milliseconds: less would be a busy loop until the deadline.
fn whole_millis(left: Duration) -> Duration {
    match left.as_millis() {
        0 => Duration::ZERO,
        _ => left,
    }
}

/// None for a record of a topic that is not ours: nobody subscribed to it.
fn incoming(cluster: &Cluster, message: &BorrowedMessage<'_>) -> Option<Incoming> {
    let at = cluster.names.partition(message.topic(), message.partition())?;
    Some(Incoming {
        position: Position { at, offset: u64::try_from(message.offset()).ok()? },
        appended_at: Timestamp(message.timestamp().to_millis().unwrap_or(0)),
        key: message.key().unwrap_or_default().to_vec(),
        value: message.payload().map(<[u8]>::to_vec),
        headers: message.headers().map_or_else(RawHeaders::new, |headers| {
            let owned = |header: Header<'_, &[u8]>| {
                (header.key.to_owned(), header.value.unwrap_or_default().to_vec())
            };
            headers.iter().map(owned).collect()
        }),
    })
}

//! A seat in a consumer group: what comes in, and what is committed together with its offsets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use schemas::headers::RawHeaders;
use schemas::ids::Timestamp;

use super::cluster::{Cluster, offset_number, partition_number};
use super::context::{self, Named, Ownership};
use super::errors;
use super::ffi;
use super::ring::{Failure, Ring};
use super::turns::State;
use crate::log::{
    CommitError, Incoming, LogError, Member, Polled, Position, Seat, TopicPartition, Transaction,
};

pub(super) struct KafkaMember {
    cluster: Arc<Cluster>,
    consumer: BaseConsumer<Ownership>,
    ring: Ring,
    /// Owned partitions with the offset behind the last record handed out since they were assigned.
    owned: BTreeMap<TopicPartition, Option<u64>>,
    /// Named as revoking by the last poll; the next one releases them.
    releasing: Vec<TopicPartition>,
    /// The consumer stands elsewhere than the group's committed offsets: go back before delivering.
    astray: bool,
    /// Came while records were at hand; told at the next poll.
    trouble: Option<LogError>,
}

impl KafkaMember {
    pub(super) fn join(cluster: Arc<Cluster>, seat: &Seat) -> Result<Self, LogError> {
        for topic in &seat.topics {
            cluster.partitions(*topic)?;
        }
        // Before the consumer exists: offsets that an earlier holder left open are decided by now.
        let turns = 0..cluster.settings.producers_in_turn;
        let ids = turns.map(|turn| cluster.names.transactional(seat, turn)).collect();
        let ring = Ring::start(cluster.clone(), ids)?;
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
            ring,
            owned: BTreeMap::new(),
            releasing: Vec::new(),
            astray: false,
            trouble: None,
        })
    }

    /// Makes the member fit to deliver: producers alive, consumer at the committed offsets.
    fn recover(&mut self) -> Result<Vec<(TopicPartition, u64)>, LogError> {
        self.astray = true;
        match self.ring.state() {
            State::Fenced => return Err(LogError::Fenced),
            State::Idle => {}
            State::Broken
            | State::Open
            | State::OffsetsSent
            | State::Flushed
            | State::Committing
            | State::Aborting => self.ring.rebuild()?,
        }
        let committed = self.committed(self.owned.keys().copied())?;
        self.go_back(&committed)?;
        self.astray = false;
        Ok(committed)
    }

    /// The group's committed offsets; waits for those that an open transaction still holds.
    fn committed(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<Vec<(TopicPartition, u64)>, LogError> {
        let list = self.cluster.list(partitions);
        if list.count() == 0 {
            return Ok(Vec::new());
        }
        let answer = self
            .consumer
            .committed_offsets(list, self.cluster.settings.call_timeout)
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

    /// Seeks every partition of which records were handed out. The others still stand at what was
    /// committed, for nothing of theirs can have been committed by us.
    fn go_back(&mut self, committed: &[(TopicPartition, u64)]) -> Result<(), LogError> {
        let mut list = TopicPartitionList::new();
        for (at, offset) in committed {
            if self.owned.get(at).copied().flatten().is_some() {
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
            if let Some(Some(next)) = self.owned.get_mut(at) {
                *next = *offset;
            }
        }
        Ok(())
    }

    fn rewound(&mut self, why: String) -> Result<(), CommitError> {
        let committed = self.recover()?;
        tracing::warn!(target: "kafka", %why, "went back to the committed offsets");
        Err(CommitError::Rewound { committed, why })
    }

    /// Gives up what the last poll named.
    fn release(&mut self) -> Result<(), LogError> {
        if self.releasing.is_empty() {
            return Ok(());
        }
        let list = self.cluster.list(self.releasing.iter().copied());
        context::release(&self.consumer, &list).map_err(|error| errors::passing(&error))?;
        for at in self.releasing.drain(..) {
            self.owned.remove(&at);
        }
        Ok(())
    }

    fn take_changes(&mut self, polled: &mut Polled) {
        let changes = self.consumer.context().take();
        let ours = |named: Vec<Named>| {
            let names = &self.cluster.names;
            named
                .into_iter()
                .filter_map(|(topic, partition)| names.partition(&topic, partition))
                .collect::<Vec<_>>()
        };
        polled.lost = ours(changes.lost);
        polled.assigned = ours(changes.assigned);
        polled.revoking = ours(changes.revoking);
        for at in &polled.lost {
            self.owned.remove(at);
        }
        // An assignment may follow a loss within one poll, never the other way round.
        for at in &polled.assigned {
            self.owned.insert(*at, None);
        }
        self.releasing.clone_from(&polled.revoking);
    }

    /// Records until `max`, an empty queue, a change of ownership or an error.
    fn fetch(&mut self, max: usize, wait: Duration, records: &mut Vec<Incoming>) {
        let deadline = Instant::now() + wait;
        while records.len() < max && !self.consumer.context().changed() {
            let left = match records.is_empty() {
                true => deadline.saturating_duration_since(Instant::now()),
                false => Duration::ZERO,
            };
            match self.consumer.poll(left) {
                Some(Ok(message)) => {
                    if let Some(record) = incoming(&self.cluster, &message) {
                        let next = record.position.offset + 1;
                        self.owned.insert(record.position.at, Some(next));
                        records.push(record);
                    }
                }
                Some(Err(error)) => {
                    self.trouble = match error {
                        KafkaError::MessageConsumption(code)
                        | KafkaError::MessageConsumptionFatal(code) => {
                            errors::of_consumer(&self.consumer, code)
                        }
                        other => Some(errors::passing(&other)),
                    };
                    if self.trouble.is_some() {
                        return;
                    }
                }
                None if left.is_zero() => return,
                None => {}
            }
        }
    }
}

impl Member for KafkaMember {
    fn poll(&mut self, max: usize, wait: Duration) -> Result<Polled, LogError> {
        if let Some(trouble) = self.trouble.take() {
            return Err(trouble);
        }
        if self.ring.state() == State::Fenced {
            return Err(LogError::Fenced);
        }
        if self.astray {
            self.recover()?;
        }
        self.release()?;
        let mut polled = Polled::default();
        self.fetch(max.max(1), wait, &mut polled.records);
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

    fn commit(&mut self, transaction: Transaction) -> Result<(), CommitError> {
        if transaction.outputs.is_empty() && transaction.offsets.is_empty() {
            return Ok(());
        }
        if self.astray {
            return self.rewound("the last outcome had to be found out first".into());
        }
        let consumer = &self.consumer;
        match self.ring.commit(&transaction, || consumer.group_metadata()) {
            Ok(()) => Ok(()),
            Err(Failure::Fenced) => Err(LogError::Fenced.into()),
            Err(Failure::Aborted(why) | Failure::Unknown(why)) => self.rewound(why),
            Err(Failure::Hopeless(why)) => {
                self.recover()?;
                Err(LogError::Broken(why).into())
            }
        }
    }

    fn pause(&mut self, partition: TopicPartition, paused: bool) {
        if !self.owned.contains_key(&partition) {
            return;
        }
        let list = self.cluster.list([partition]);
        let done = match paused {
            true => self.consumer.pause(&list),
            false => self.consumer.resume(&list),
        };
        if let Err(error) = done {
            tracing::warn!(target: "kafka", %error, ?partition, paused, "pause was refused");
        }
    }

    fn lag(&mut self) -> Vec<(TopicPartition, u64)> {
        let fresh = self.owned.iter().filter(|(_, next)| next.is_none()).map(|(at, _)| *at);
        let committed: BTreeMap<_, _> = self.committed(fresh).into_iter().flatten().collect();
        let end = |at: TopicPartition| {
            let name = self.cluster.names.topic(at.topic);
            ffi::high_watermark(&self.consumer, name, partition_number(at.partition))
                .or_else(|| self.cluster.watermarks(at).ok().map(|(_, high)| high))
        };
        let behind = |(at, next): (&TopicPartition, &Option<u64>)| {
            let next = next.or_else(|| committed.get(at).copied())?;
            Some((*at, end(*at)?.saturating_sub(next)))
        };
        self.owned.iter().filter_map(behind).collect()
    }
}

/// Like a crash, on purpose: a static member does not leave, its successor finds its partitions, and
/// what it left open its successor aborts.
impl Drop for KafkaMember {
    fn drop(&mut self) {
        self.consumer.context().close();
        if let Err(error) = self.release() {
            tracing::debug!(target: "kafka", %error, "nothing to release at the end");
        }
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
            let owned = |header: rdkafka::message::Header<'_, &[u8]>| {
                (header.key.to_owned(), header.value.unwrap_or_default().to_vec())
            };
            headers.iter().map(owned).collect()
        }),
    })
}

//! What all parts of one log share: settings, names, partition counts, and how a record leaves.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use schemas::partitioner;
use schemas::topics::Topic;

use super::context::Plain;
use super::errors;
use super::names::Names;
use super::settings::KafkaSettings;
use crate::log::{LogError, Outgoing, Seat, TopicPartition};

pub(super) struct Cluster {
    pub(super) settings: KafkaSettings,
    pub(super) names: Names,
    counts: Mutex<HashMap<Topic, u32>>,
    /// Asks for metadata and offsets; belongs to no group. The ends it is told are those of the
    /// partitions, whatever of them is still undecided.
    questions: BaseConsumer<Plain>,
    /// One for each group whose offsets somebody asks for; it never joins.
    onlookers: Mutex<HashMap<String, Arc<BaseConsumer<Plain>>>>,
}

impl Cluster {
    pub(super) fn connect(settings: KafkaSettings) -> Result<Self, LogError> {
        let mut client = settings.client();
        client.set("isolation.level", "read_uncommitted");
        let questions: BaseConsumer<Plain> =
            client.create_with_context(Plain).map_err(|error| errors::passing(&error))?;
        let names = Names::new(&settings.prefix);
        let (counts, onlookers) = (Mutex::default(), Mutex::default());
        let cluster = Self { settings, names, counts, questions, onlookers };
        cluster.learn()?;
        Ok(cluster)
    }

    /// Reads the partition counts of all our topics that exist, in one request.
    pub(super) fn learn(&self) -> Result<(), LogError> {
        let metadata = self
            .questions
            .fetch_metadata(None, self.settings.call_timeout)
            .map_err(|error| errors::passing(&error))?;
        let mut counts = self.counts.lock();
        for described in metadata.topics() {
            let usable = described.error().is_none() && !described.partitions().is_empty();
            if let (Some(topic), true) = (self.names.find(described.name()), usable) {
                counts.insert(topic, u32::try_from(described.partitions().len()).unwrap_or(0));
            }
        }
        Ok(())
    }

    /// How many partitions `topic` has, remembered after the first answer.
    pub(super) fn partitions(&self, topic: Topic) -> Result<u32, LogError> {
        if let Some(count) = self.known_partitions(topic) {
            return Ok(count);
        }
        let name = self.names.topic(topic);
        let metadata = self
            .questions
            .fetch_metadata(Some(name), self.settings.call_timeout)
            .map_err(|error| errors::passing(&error))?;
        let described = metadata.topics().iter().find(|described| described.name() == name);
        let error = described.and_then(|described| described.error());
        let count = described.map_or(0, |described| described.partitions().len());
        match error {
            Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) => {
                Err(LogError::Unavailable(format!("topic {name} has no leader yet")))
            }
            None if count > 0 => {
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                self.counts.lock().insert(topic, count);
                Ok(count)
            }
            _ => Err(LogError::Broken(format!("topic {name} is missing: run `topics apply`"))),
        }
    }

    /// The remembered count; asks nobody.
    pub(super) fn known_partitions(&self, topic: Topic) -> Option<u32> {
        self.counts.lock().get(&topic).copied()
    }

    /// First and next offset of a partition, asked of its leader.
    pub(super) fn watermarks(&self, at: TopicPartition) -> Result<(u64, u64), LogError> {
        let (low, high) = self
            .questions
            .fetch_watermarks(
                self.names.topic(at.topic),
                partition_number(at.partition),
                self.settings.call_timeout,
            )
            .map_err(|error| errors::passing(&error))?;
        Ok((u64::try_from(low).unwrap_or(0), u64::try_from(high).unwrap_or(0)))
    }

    /// Between what a group has committed and the ends of its partitions.
    pub(super) fn behind(&self, seat: &Seat) -> Result<u64, LogError> {
        let mut partitions = Vec::new();
        for topic in &seat.topics {
            let count = self.partitions(*topic)?;
            partitions
                .extend((0..count).map(|partition| TopicPartition { topic: *topic, partition }));
        }
        let answer = self
            .onlooker(&self.names.group(seat))?
            .committed_offsets(self.list(partitions), self.settings.call_timeout)
            .map_err(|error| errors::passing(&error))?;
        let mut behind = 0;
        for element in answer.elements() {
            element.error().map_err(|error| errors::passing(&error))?;
            let Some(at) = self.names.partition(element.topic(), element.partition()) else {
                continue;
            };
            let (low, high) = self.watermarks(at)?;
            // A group without an offset has read nothing.
            let next = match element.offset() {
                Offset::Offset(offset) => u64::try_from(offset).unwrap_or(low),
                Offset::Beginning
                | Offset::End
                | Offset::Stored
                | Offset::Invalid
                | Offset::OffsetTail(_) => low,
            };
            behind += high.saturating_sub(next.max(low));
        }
        Ok(behind)
    }

    fn onlooker(&self, group: &str) -> Result<Arc<BaseConsumer<Plain>>, LogError> {
        let mut onlookers = self.onlookers.lock();
        if let Some(known) = onlookers.get(group) {
            return Ok(Arc::clone(known));
        }
        let made = self.settings.consumer(group).create_with_context(Plain);
        let made = Arc::new(made.map_err(|error| errors::passing(&error))?);
        onlookers.insert(group.to_owned(), Arc::clone(&made));
        Ok(made)
    }

    /// Lets the cluster get on with it: serves the client's events for `wait`.
    pub(super) fn breathe(&self, wait: Duration) {
        drop(self.questions.poll(wait));
    }

    /// Hands `record` to `producer`. Blocks only while the producer's queue is full, at most until
    /// `deadline`.
    pub(super) fn send<C: ProducerContext + 'static>(
        &self,
        producer: &ThreadedProducer<C>,
        record: &Outgoing,
        opaque: C::DeliveryOpaque,
        deadline: Instant,
    ) -> Result<(), Unsent> {
        let partitions = self.partitions(record.topic).map_err(Unsent::Log)?;
        let mut prepared = self.prepared(record, partitions, opaque);
        loop {
            match producer.send(prepared) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if Instant::now() < deadline =>
                {
                    prepared = back;
                    producer.poll(Duration::from_millis(5));
                }
                Err((error, _)) => return Err(Unsent::Refused(error)),
            }
        }
    }

    /// `record` as the client takes it, its partition computed by our one partitioner.
    pub(super) fn prepared<'a, D: rdkafka::IntoOpaque>(
        &'a self,
        record: &'a Outgoing,
        partitions: u32,
        opaque: D,
    ) -> BaseRecord<'a, [u8], [u8], D> {
        let partition = partitioner::partition(&record.partition_by, partitions);
        let raw = record.headers.to_raw();
        let mut headers = OwnedHeaders::new_with_capacity(raw.len());
        for (name, value) in &raw {
            headers = headers.insert(Header { key: name, value: Some(value) });
        }
        let mut prepared = BaseRecord::with_opaque_to(self.names.topic(record.topic), opaque)
            .partition(partition_number(partition))
            .key(record.key.as_slice())
            .headers(headers);
        prepared.payload = record.value.as_deref();
        prepared
    }

    /// The list that names `partitions`, offsets unset.
    pub(super) fn list(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for at in partitions {
            list.add_partition(self.names.topic(at.topic), partition_number(at.partition));
        }
        list
    }
}

/// Why a record did not even reach the producer's queue.
pub(super) enum Unsent {
    Log(LogError),
    Refused(KafkaError),
}

pub(super) fn partition_number(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

pub(super) fn offset_number(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

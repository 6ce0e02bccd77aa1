//! Reads whole topics without a group, up to the last stable offset, and says when it is there.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use schemas::ids::Timestamp;
use schemas::topics::Topic;

use super::cluster::{Cluster, offset_number, partition_number};
use super::context::Plain;
use super::errors;
use super::ffi::{self, Event};
use crate::log::{Incoming, LogError, Position, Read, Reader, Start, TopicPartition};

pub(super) struct KafkaReader {
    cluster: Arc<Cluster>,
    consumer: BaseConsumer<Plain>,
    trouble: Option<LogError>,
}

impl KafkaReader {
    pub(super) fn open(
        cluster: Arc<Cluster>,
        topics: &[Topic],
        start: &Start,
    ) -> Result<Self, LogError> {
        let list = starts(&cluster, topics, start)?;
        let mut config = cluster.settings.consumer(&cluster.names.reader());
        config.set("enable.partition.eof", "true");
        let consumer: BaseConsumer<Plain> =
            config.create_with_context(Plain).map_err(|error| errors::passing(&error))?;
        consumer.assign(&list).map_err(|error| errors::passing(&error))?;
        Ok(Self { cluster, consumer, trouble: None })
    }

    fn taken(&self, event: Event, read: &mut Read) -> Option<LogError> {
        match event {
            Event::Record { topic, partition, offset, appended_ms, key, value, headers } => {
                let at = self.cluster.names.partition(&topic, partition)?;
                read.records.push(Incoming {
                    position: Position { at, offset: u64::try_from(offset).ok()? },
                    appended_at: Timestamp(appended_ms),
                    key,
                    value,
                    headers,
                });
                None
            }
            Event::End { topic, partition, offset } => {
                let at = self.cluster.names.partition(&topic, partition)?;
                read.ended.push((at, u64::try_from(offset).ok()?));
                None
            }
            Event::Error(code) => errors::of_consumer(&self.consumer, code),
        }
    }
}

impl Reader for KafkaReader {
    fn poll(&mut self, max: usize, wait: Duration) -> Result<Read, LogError> {
        if let Some(trouble) = self.trouble.take() {
            return Err(trouble);
        }
        let deadline = Instant::now() + wait;
        let mut read = Read::default();
        while read.records.len() < max.max(1) {
            let quiet = read.records.is_empty() && read.ended.is_empty();
            let left = match quiet {
                true => deadline.saturating_duration_since(Instant::now()),
                false => Duration::ZERO,
            };
            let Some(event) = ffi::next(&self.consumer, left) else { break };
            if let Some(trouble) = self.taken(event, &mut read) {
                if quiet {
                    return Err(trouble);
                }
                self.trouble = Some(trouble);
                break;
            }
        }
        Ok(read)
    }
}

/// The partitions of `topics` that are read, with the offset to begin at.
fn starts(
    cluster: &Cluster,
    topics: &[Topic],
    start: &Start,
) -> Result<TopicPartitionList, LogError> {
    let named: HashMap<TopicPartition, u64> = match start {
        Start::At(offsets) | Start::Only(offsets) => offsets.iter().copied().collect(),
        Start::Beginning | Start::End => HashMap::new(),
    };
    let mut list = TopicPartitionList::new();
    for topic in topics {
        for partition in 0..cluster.partitions(*topic)? {
            let at = TopicPartition { topic: *topic, partition };
            let offset = match (start, named.get(&at)) {
                // Asked now, not when the client gets round to it: what is appended in between counts.
                (Start::End, _) => Offset::Offset(offset_number(cluster.watermarks(at)?.1)),
                (Start::At(_) | Start::Only(_), Some(offset)) => {
                    Offset::Offset(offset_number(*offset))
                }
                (Start::Only(_), None) => continue,
                (Start::At(_) | Start::Beginning, _) => Offset::Beginning,
            };
            let (name, number) = (cluster.names.topic(*topic), partition_number(partition));
            list.add_partition_offset(name, number, offset)
                .map_err(|error| errors::passing(&error))?;
        }
    }
    Ok(list)
}

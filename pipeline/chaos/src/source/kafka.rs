//! The checker's own consumer. It joins no group, reads committed records only, and finds out by
//! itself what the stages have not read yet.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use schemas::topics::Topic;

use super::Source;
use crate::records::Raw;

const ANSWER: Duration = Duration::from_secs(20);
/// A partition whose end does not come within this is not to be had.
const READ: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(200);

/// A cluster, and the prefix that marks this run's topics and groups.
#[derive(Debug, Clone)]
pub struct KafkaSource {
    pub bootstrap: String,
    pub prefix: String,
}

impl KafkaSource {
    fn consumer(&self, group: &str) -> Result<BaseConsumer> {
        ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", group)
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "100")
            .create()
            .context("no consumer")
    }

    fn checker(&self) -> Result<BaseConsumer> {
        self.consumer(&format!("{}checker", self.prefix))
    }

    fn spelt(&self, topic: Topic) -> String {
        format!("{}{}", self.prefix, topic.name())
    }

    /// Follows a topic from its beginning.
    pub fn follow(&self, topic: Topic) -> Result<Follower> {
        let consumer = self.checker()?;
        assign_whole(&consumer, &self.spelt(topic))?;
        Ok(Follower(consumer))
    }

    /// Whether some group of this run has committed records before it that it has not committed past.
    /// Offsets alone do not tell: markers of transactions take offsets too.
    pub fn anything_unread(&self) -> Result<bool> {
        let client = self.checker()?;
        let metadata = client.fetch_metadata(None, ANSWER)?;
        let mut all = TopicPartitionList::new();
        for topic in metadata.topics().iter().filter(|t| t.name().starts_with(&self.prefix)) {
            for partition in topic.partitions() {
                all.add_partition(topic.name(), partition.id());
            }
        }
        let groups = client.fetch_group_list(None, ANSWER)?;
        let ours: Vec<_> = groups.groups().iter().map(|group| group.name().to_owned()).collect();
        let ours: Vec<_> = ours.into_iter().filter(|name| name.starts_with(&self.prefix)).collect();
        if ours.is_empty() {
            bail!("no group of this run is known to the cluster");
        }
        for group in ours {
            if self.is_behind(&group, all.clone())? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether every group of this run has its members and knows who reads what.
    pub fn is_settled(&self) -> Result<bool> {
        let groups = self.checker()?.fetch_group_list(None, ANSWER)?;
        let mut ours =
            groups.groups().iter().filter(|group| group.name().starts_with(&self.prefix));
        Ok(ours.all(|group| group.state() == "Stable" && !group.members().is_empty()))
    }

    fn is_behind(&self, group: &str, all: TopicPartitionList) -> Result<bool> {
        let consumer = self.consumer(group)?;
        let committed = consumer.committed_offsets(all, ANSWER)?;
        let mut behind = TopicPartitionList::new();
        for element in committed.elements() {
            let Offset::Offset(next) = element.offset() else { continue };
            let (_, end) =
                consumer.fetch_watermarks(element.topic(), element.partition(), ANSWER)?;
            if next < end {
                let (topic, partition) = (element.topic(), element.partition());
                behind.add_partition_offset(topic, partition, Offset::Offset(next))?;
            }
        }
        if behind.count() == 0 {
            return Ok(false);
        }
        consumer.assign(&behind)?;
        let until = Instant::now() + READ;
        let mut ends = 0;
        while ends < behind.count() {
            match consumer.poll(POLL) {
                Some(Ok(_)) => return Ok(true),
                Some(Err(KafkaError::PartitionEOF(_))) => ends += 1,
                Some(Err(error)) => return Err(error).context("reading before a group"),
                None if Instant::now() > until => bail!("{group}: no end within {READ:?}"),
                None => {}
            }
        }
        Ok(false)
    }
}

fn assign_whole(consumer: &BaseConsumer, topic: &str) -> Result<usize> {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER)?;
    let found = metadata.topics().first().context("no such topic")?;
    let mut list = TopicPartitionList::new();
    for partition in found.partitions() {
        list.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    Ok(list.count())
}

fn raw(message: &rdkafka::message::BorrowedMessage<'_>) -> Result<Raw> {
    Ok(Raw {
        partition: u32::try_from(message.partition())?,
        offset: u64::try_from(message.offset())?,
        value: message.payload().unwrap_or_default().to_vec(),
    })
}

impl Source for KafkaSource {
    fn read(&self, topic: Topic) -> Result<Vec<Raw>> {
        let consumer = self.checker()?;
        let partitions = assign_whole(&consumer, &self.spelt(topic))?;
        let until = Instant::now() + READ;
        let (mut ended, mut read) = (HashSet::new(), Vec::new());
        while ended.len() < partitions {
            match consumer.poll(POLL) {
                Some(Ok(message)) => read.push(raw(&message)?),
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    ended.insert(partition);
                }
                Some(Err(error)) => return Err(error).context("reading a topic"),
                None if Instant::now() > until => bail!("{topic}: no end within {READ:?}"),
                None => {}
            }
        }
        read.sort_by_key(|raw| (raw.partition, raw.offset));
        Ok(read)
    }
}

/// A topic, as it grows.
pub struct Follower(BaseConsumer);

impl Follower {
    /// What has come since the last call; empty when nothing comes for a moment. A broker that does not
    /// answer is waited for: this only watches, the verdict reads anew.
    pub fn news(&self, at_most: usize) -> Vec<Raw> {
        let mut news = Vec::new();
        while news.len() < at_most {
            match self.0.poll(POLL) {
                Some(Ok(message)) => news.extend(raw(&message).ok()),
                Some(Err(_)) => {}
                None => break,
            }
        }
        news
    }
}

//! Topics as the catalogue wants them, and the first offsets of groups. A deliberate act, repeatable.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigSource, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use schemas::topics::{Kept, Topic};

use super::cluster::{Cluster, offset_number, partition_number};
use super::context::Plain;
use super::errors;
use super::settings::FirstOffsets;
use crate::log::{LogError, Seat, TopicPartition};

const HOUR: Duration = Duration::from_secs(3_600);

/// Creates what is missing and sets right what differs; answers what it made. A topic keeps the number of
/// partitions it has: widening would move keys, and their order and compaction with them.
pub(super) fn topics(
    cluster: &Cluster,
    topics: &[Topic],
    partitions: u32,
) -> Result<Vec<Topic>, LogError> {
    let admin = Admin::of(cluster)?;
    let existing = admin.created(topics, partitions)?;
    for topic in &existing {
        admin.set_right(*topic)?;
    }
    let deadline = Instant::now() + cluster.settings.call_timeout;
    for topic in topics {
        await_leaders(cluster, *topic, deadline)?;
    }
    Ok(topics.iter().copied().filter(|topic| !existing.contains(topic)).collect())
}

/// Settings of a topic by name.
type Config = BTreeMap<String, String>;

struct Admin<'a> {
    cluster: &'a Cluster,
    client: AdminClient<Plain>,
    options: AdminOptions,
}

impl<'a> Admin<'a> {
    fn of(cluster: &'a Cluster) -> Result<Self, LogError> {
        let client = cluster
            .settings
            .client()
            .create_with_context(Plain)
            .map_err(|error| errors::passing(&error))?;
        let limit = Some(cluster.settings.call_timeout);
        let options = AdminOptions::new().request_timeout(limit).operation_timeout(limit);
        Ok(Self { cluster, client, options })
    }

    /// Creates the missing ones; answers those that were there before.
    fn created(&self, topics: &[Topic], partitions: u32) -> Result<Vec<Topic>, LogError> {
        let Self { cluster, client, options } = self;
        let copies = cluster.settings.replication;
        let policies: Vec<_> = topics.iter().map(|topic| policy(topic.kept(), copies)).collect();
        let wanted = topics.iter().zip(&policies).map(|(topic, policy)| {
            let replication = TopicReplication::Fixed(i32::from(copies));
            let name = cluster.names.topic(*topic);
            let fresh = NewTopic::new(name, partition_number(partitions), replication);
            policy.iter().fold(fresh, |topic, (key, value)| topic.set(key, value))
        });
        let results = block_on(client.create_topics(&wanted.collect::<Vec<_>>(), options))
            .map_err(|error| errors::passing(&error))?;
        let mut existing = Vec::new();
        for result in results {
            match result {
                Ok(_) => {}
                Err((name, RDKafkaErrorCode::TopicAlreadyExists)) => {
                    existing.extend(cluster.names.find(&name));
                }
                Err((name, code)) => {
                    return Err(LogError::Broken(format!("topic {name} was not created: {code}")));
                }
            }
        }
        Ok(existing)
    }

    /// Changes what differs and leaves every other setting that somebody has made.
    fn set_right(&self, topic: Topic) -> Result<(), LogError> {
        let (now, mut own) = self.described(topic)?;
        let wanted = policy(topic.kept(), self.cluster.settings.replication);
        if wanted.iter().all(|(key, value)| now.get(*key) == Some(value)) {
            return Ok(());
        }
        // The request replaces all settings of the topic: the others go along as they are.
        own.extend(wanted.into_iter().map(|(key, value)| (key.to_owned(), value)));
        self.alter(topic, &own)
    }

    /// All settings of `topic`, and those made for it in particular.
    fn described(&self, topic: Topic) -> Result<(Config, Config), LogError> {
        let name = self.cluster.names.topic(topic);
        let resource = ResourceSpecifier::Topic(name);
        let answer = block_on(self.client.describe_configs([&resource], &self.options))
            .map_err(|error| errors::passing(&error))?;
        let (mut now, mut own) = (Config::new(), Config::new());
        for described in answer {
            let refused =
                |code| LogError::Broken(format!("topic {name} hides its settings: {code}"));
            for entry in described.map_err(refused)?.entries {
                let Some(value) = entry.value else { continue };
                if entry.source == ConfigSource::DynamicTopic {
                    own.insert(entry.name.clone(), value.clone());
                }
                now.insert(entry.name, value);
            }
        }
        Ok((now, own))
    }

    fn alter(&self, topic: Topic, own: &Config) -> Result<(), LogError> {
        let name = self.cluster.names.topic(topic);
        let fresh = AlterConfig::new(ResourceSpecifier::Topic(name));
        let change = own.iter().fold(fresh, |change, (key, value)| change.set(key, value));
        let results = block_on(self.client.alter_configs([&change], &self.options))
            .map_err(|error| errors::passing(&error))?;
        for result in results {
            let refused = |(_, code)| LogError::Broken(format!("topic {name} was not set: {code}"));
            result.map_err(refused)?;
        }
        Ok(())
    }
}

/// What the catalogue says of a topic, in Kafka's words: its settings by name, times in milliseconds.
#[must_use]
pub fn policy(kept: Kept, replication: u16) -> BTreeMap<&'static str, String> {
    let mut policy = BTreeMap::from([("cleanup.policy", kept.cleanup_policy().to_owned())]);
    match kept {
        Kept::For(time) => {
            policy.insert("retention.ms", time.as_millis().to_string());
        }
        Kept::Compacted => {
            // An erased citizen's key is gone from the disks within a day: the segment closes after
            // an hour at most, is cleaned within twelve, and its tombstone outlives slow readers.
            policy.insert("segment.ms", HOUR.as_millis().to_string());
            policy.insert("max.compaction.lag.ms", (HOUR * 12).as_millis().to_string());
            policy.insert("delete.retention.ms", (HOUR * 24).as_millis().to_string());
            policy.insert("min.cleanable.dirty.ratio", "0.1".to_owned());
        }
    }
    if replication >= 3 {
        policy.insert("min.insync.replicas", "2".to_owned());
    }
    policy
}

/// A topic just created takes a moment to be known everywhere.
fn await_leaders(cluster: &Cluster, topic: Topic, deadline: Instant) -> Result<(), LogError> {
    loop {
        match cluster.partitions(topic) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => cluster.breathe(Duration::from_millis(50)),
        }
    }
}

/// Writes a first offset for every partition of every group that has none, where [`first_offset`] knows
/// one. Workers never do this on their own: a missing offset is a question for an operator.
pub(super) fn first_offsets(
    cluster: &Cluster,
    groups: &[Seat],
    made: &[Topic],
) -> Result<(), LogError> {
    let mut topics_of: BTreeMap<String, Vec<Topic>> = BTreeMap::new();
    for seat in groups {
        let topics = topics_of.entry(cluster.names.group(seat)).or_default();
        topics.extend(seat.topics.iter().copied());
        topics.sort_unstable();
        topics.dedup();
    }
    let mut refused = Vec::new();
    for (group, topics) in topics_of {
        if !patiently(cluster, || first_offsets_of(cluster, &group, &topics, made))? {
            refused.push(group);
        }
    }
    if refused.is_empty() {
        return Ok(());
    }
    Err(LogError::Broken(format!(
        "no offsets of {} on topics that hold records: a new group, or one that was away for so long that \
         the brokers forgot it; all else is done. Say where such groups begin: `staffetta topics apply \
         --first-offsets end` passes over what lies there, `--first-offsets beginning` handles all of it, \
         also what was handled before",
        refused.join(", ")
    )))
}

/// The coordinator is made on first use and moves now and then.
fn patiently<T>(
    cluster: &Cluster,
    mut work: impl FnMut() -> Result<T, LogError>,
) -> Result<T, LogError> {
    let deadline = Instant::now() + cluster.settings.call_timeout;
    loop {
        match work() {
            Err(LogError::Unavailable(_)) if Instant::now() < deadline => {
                cluster.breathe(Duration::from_millis(100));
            }
            ended => return ended,
        }
    }
}

/// Whether the group has offsets everywhere now; where not, nothing was written for it.
fn first_offsets_of(
    cluster: &Cluster,
    group: &str,
    topics: &[Topic],
    made: &[Topic],
) -> Result<bool, LogError> {
    let passing = |error: KafkaError| errors::passing(&error);
    let consumer: BaseConsumer<Plain> =
        cluster.settings.consumer(group).create_with_context(Plain).map_err(passing)?;
    let mut asked = Vec::new();
    for topic in topics {
        let all = 0..cluster.partitions(*topic)?;
        asked.extend(all.map(|partition| TopicPartition { topic: *topic, partition }));
    }
    let committed = consumer
        .committed_offsets(cluster.list(asked), cluster.settings.call_timeout)
        .map_err(passing)?;
    let mut first = TopicPartitionList::new();
    for element in committed.elements() {
        element.error().map_err(passing)?;
        let at = cluster.names.partition(element.topic(), element.partition());
        if let (Some(at), Offset::Invalid) = (at, element.offset()) {
            // Nobody can have read of a topic that was not there a moment ago.
            let told = match made.contains(&at.topic) {
                true => Some(FirstOffsets::Beginning),
                false => cluster.settings.first_offsets,
            };
            let Some(offset) = first_offset(cluster.watermarks(at)?, told) else {
                return Ok(false);
            };
            let offset = Offset::Offset(offset_number(offset));
            first
                .add_partition_offset(element.topic(), element.partition(), offset)
                .map_err(passing)?;
        }
    }
    if first.count() > 0 {
        consumer.commit(&first, CommitMode::Sync).map_err(passing)?;
    }
    Ok(true)
}

/// Where a group begins that has no offset of a partition from `low` up to `high`. An empty one has one
/// place only; of a full one an operator must have `told`.
fn first_offset((low, high): (u64, u64), told: Option<FirstOffsets>) -> Option<u64> {
    match told {
        Some(FirstOffsets::Beginning) => Some(low),
        Some(FirstOffsets::End) => Some(high),
        None => (low == high).then_some(high),
    }
}

#[cfg(test)]
pub(super) fn described(cluster: &Cluster, topic: Topic) -> Result<Config, LogError> {
    Ok(Admin::of(cluster)?.described(topic)?.0)
}

#[cfg(test)]
pub(super) fn altered(cluster: &Cluster, topic: Topic, own: &Config) -> Result<(), LogError> {
    Admin::of(cluster)?.alter(topic, own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_erased_key_is_compacted_away_within_a_day() {
        let policy = policy(Topic::CitizenKey.kept(), 3);
        let hours = |key: &str| policy[key].parse::<u64>().unwrap() / 3_600_000;
        assert_eq!(policy["cleanup.policy"], "compact");
        assert!(hours("segment.ms") + hours("max.compaction.lag.ms") <= 24);
        assert_eq!(policy["min.insync.replicas"], "2");
    }

    #[test]
    fn a_group_without_offsets_begins_in_a_full_partition_only_where_it_was_told() {
        assert_eq!(first_offset((7, 7), None), Some(7));
        assert_eq!(first_offset((5, 7), None), None);
        assert_eq!(first_offset((5, 7), Some(FirstOffsets::Beginning)), Some(5));
        assert_eq!(first_offset((5, 7), Some(FirstOffsets::End)), Some(7));
    }

    #[test]
    fn one_copy_asks_for_no_second() {
        assert!(!policy(Topic::Status.kept(), 1).contains_key("min.insync.replicas"));
    }
}

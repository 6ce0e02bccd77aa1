//! Our topics, groups and ids as the cluster spells them: the prefix before the name.

use std::collections::HashMap;

use schemas::topics::Topic;

use crate::log::{Seat, TopicPartition};

pub(super) struct Names {
    prefix: String,
    spelt: HashMap<Topic, String>,
    topics: HashMap<String, Topic>,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        let spell = |topic: Topic| (topic, format!("{prefix}{}", topic.name()));
        let spelt: HashMap<_, _> = Topic::all().into_iter().map(spell).collect();
        let topics = spelt.iter().map(|(topic, name)| (name.clone(), *topic)).collect();
        Self { prefix: prefix.to_owned(), spelt, topics }
    }

    pub(super) fn topic(&self, topic: Topic) -> &str {
        self.spelt.get(&topic).map_or_else(|| topic.name(), String::as_str)
    }

    /// Our topic of that spelling; none for a stranger's.
    pub(super) fn find(&self, name: &str) -> Option<Topic> {
        self.topics.get(name).copied()
    }

    pub(super) fn partition(&self, name: &str, partition: i32) -> Option<TopicPartition> {
        let partition = u32::try_from(partition).ok()?;
        Some(TopicPartition { topic: self.find(name)?, partition })
    }

    pub(super) fn group(&self, seat: &Seat) -> String {
        format!("{}{}", self.prefix, seat.group)
    }

    pub(super) fn instance(&self, seat: &Seat) -> String {
        format!("{}{}", self.prefix, seat.instance_id())
    }

    pub(super) fn transactional(&self, seat: &Seat, turn: usize) -> String {
        format!("{}{}", self.prefix, seat.transactional_id(turn))
    }

    /// Readers never join: the name only satisfies the client.
    pub(super) fn reader(&self) -> String {
        format!("{}reader", self.prefix)
    }

    pub(super) fn writer(&self, name: &str) -> String {
        format!("{}writer.{name}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_is_found_under_its_prefix_only() {
        let names = Names::new("town.");
        for topic in Topic::all() {
            let spelt = names.topic(topic);
            assert!(spelt.starts_with("town."));
            assert_eq!(names.find(spelt), Some(topic));
            assert_eq!(names.find(topic.name()), None);
        }
    }
}

//! What each stage writes to, against the rights that the chart gives its processes on Kafka.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use runtime::log::{CommitError, LogError, Member, Polled, TopicPartition, Transaction};
use schemas::records::Status;
use schemas::topics::{Channel, Lane, Topic};
use serde_json::Value;

use super::people::PEOPLE;
use super::rig::Rig;
use super::{LONG, MINUTE, a_crowd};

/// Stage and topic of every output that was committed.
pub type Written = Arc<Mutex<BTreeSet<(&'static str, Topic)>>>;

/// A member that notes what its stage writes.
pub struct Watched {
    pub member: Box<dyn Member>,
    pub stage: &'static str,
    pub written: Written,
}

impl Member for Watched {
    fn poll(&mut self, max: usize, wait: Duration) -> Result<Polled, LogError> {
        self.member.poll(max, wait)
    }

    fn commit(&mut self, transaction: Transaction) -> Result<(), CommitError> {
        let topics = transaction.outputs.iter().map(|output| (self.stage, output.topic));
        self.written.lock().extend(topics);
        self.member.commit(transaction)
    }

    fn pause(&mut self, partition: TopicPartition, paused: bool) {
        self.member.pause(partition, paused);
    }

    fn committed(&mut self) -> Result<Vec<(TopicPartition, u64)>, LogError> {
        self.member.committed()
    }

    fn lag(&mut self) -> Vec<(TopicPartition, u64)> {
        self.member.lag()
    }
}

/// What was written without a right to it.
fn beyond(rights: &Value, written: &BTreeSet<(&'static str, Topic)>) -> Vec<String> {
    let has = |stage: &str, topic: Topic| {
        let writes = rights["stages"][stage]["writes"].as_array();
        writes.is_some_and(|writes| writes.iter().any(|name| name == topic.name()))
    };
    let beyond = written.iter().filter(|(stage, topic)| !has(stage, *topic));
    beyond.map(|(stage, topic)| format!("{stage} to {topic}")).collect()
}

/// A crowd, providers that answer all there is, and one record for each stage that nobody can read.
fn a_rich_day() -> BTreeSet<(&'static str, Topic)> {
    let mut rig = Rig::new(5);
    a_crowd(&mut rig);
    let lane = Lane::Live;
    let read = [Topic::Accepted(lane), Topic::Permitted(lane)];
    let read = read.into_iter().chain(Channel::ALL.map(|channel| Topic::Attempt(channel, lane)));
    let spoilt = read.enumerate().map(|(n, topic)| {
        let mut record = rig.message(90 + n as u64, PEOPLE[0], 20 * MINUTE);
        record.topic = topic;
        record.value = Some(b"\x00no record".to_vec());
        record
    });
    let spoilt = spoilt.collect();
    rig.write(spoilt);
    rig.run_for(LONG);
    rig.written.lock().clone()
}

#[test]
fn the_charts_users_may_write_what_their_stages_write() {
    let rights = include_str!("../../../helm/files/rights.json");
    let mut rights: Value = serde_json::from_str(rights).expect("JSON");
    let written = a_rich_day();
    assert_eq!(beyond(&rights, &written), [] as [String; 0]);
    let stages: BTreeSet<_> = written.iter().map(|(stage, _)| *stage).collect();
    assert_eq!(stages.len(), 6, "{written:?}");
    // The needle: a right that is taken away is missed.
    let writes = rights["stages"]["vault"]["writes"].as_array_mut().expect("a list");
    writes.retain(|name| name != Topic::Stored.name());
    assert_eq!(beyond(&rights, &written), [format!("vault to {}", Topic::Stored)]);
}

#[test]
fn the_count_of_statuses_is_what_stands_on_the_log() {
    let mut rig = Rig::new(2);
    a_crowd(&mut rig);
    rig.run_for(LONG);
    let events = rig.events();
    for status in Status::ALL {
        let on_the_log = events.values().flatten().filter(|event| event.status == status).count();
        assert_eq!(rig.told(status), on_the_log as u64, "{status:?}");
    }
    assert!(rig.told(Status::Accepted) > 0);
}

//! What the embedded log promises beyond what every log promises (`tests/conformance`).

mod disk;
mod faults;
mod gated;
mod groups;
mod kept;
mod model;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use schemas::codec::Codec;
use schemas::headers::Headers;
use schemas::ids::Timestamp;
use schemas::topics::{Lane, Topic};

use super::{EmbeddedLog, Settings};
use crate::log::{
    Incoming, Log, Member, Outgoing, Polled, Seat, Start, TopicPartition, Transaction,
};
use crate::world::{Sources, Task, World};

const INPUT: Topic = Topic::Accepted(Lane::Live);
const OUTPUT: Topic = Topic::Status;
const COMPACTED: Topic = Topic::CitizenKey;
const NOW: Duration = Duration::ZERO;

/// A clock that stands until it is set.
#[derive(Default)]
struct Clock(AtomicI64);

impl Clock {
    fn set(&self, at: Timestamp) {
        self.0.store(at.0, Ordering::SeqCst);
    }
}

impl Sources for Clock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }

    fn spawn(&self, task: Task) {
        futures::executor::block_on(task);
    }

    fn sleep_until(&self, until: Timestamp) -> Task {
        self.set(until);
        Box::pin(std::future::ready(()))
    }
}

fn world() -> (World, Arc<Clock>) {
    let clock = Arc::new(Clock::default());
    clock.set(Timestamp(1_800_000_000_000));
    (World::new(Arc::clone(&clock) as Arc<dyn Sources>, Codec::default(), 1.0), clock)
}

/// A log in memory with one group's first offsets.
fn a_log(partitions: u32) -> EmbeddedLog {
    let log = EmbeddedLog::in_memory(world().0, partitions);
    log.apply(&[], partitions, &[seat(0)]).unwrap();
    log
}

fn on_disk(folder: &std::path::Path, world: World) -> EmbeddedLog {
    let log = EmbeddedLog::open(folder, world, Settings { partitions: 2, ..Settings::default() });
    let log = log.unwrap();
    log.apply(&[], 2, &[seat(0)]).unwrap();
    log
}

fn seat(ordinal: u32) -> Seat {
    Seat { group: "copy.live".into(), topics: vec![INPUT], ordinal }
}

fn record(topic: Topic, key: &str, value: &str) -> Outgoing {
    Outgoing {
        topic,
        key: key.into(),
        partition_by: key.into(),
        value: Some(value.into()),
        headers: Headers::default(),
    }
}

fn tombstone(topic: Topic, key: &str) -> Outgoing {
    Outgoing { value: None, ..record(topic, key, "") }
}

fn append(log: &EmbeddedLog, records: impl IntoIterator<Item = Outgoing>) {
    log.writer("laws").unwrap().write(records.into_iter().collect()).unwrap();
}

/// As many records as wanted, keyed and valued by their number.
fn numbers(topic: Topic, numbers: std::ops::Range<usize>) -> Vec<Outgoing> {
    numbers.map(|n| record(topic, &n.to_string(), &n.to_string())).collect()
}

fn text(record: &Incoming) -> String {
    String::from_utf8(record.value.clone().unwrap_or_else(|| b"gone".to_vec())).unwrap()
}

fn read_all(log: &EmbeddedLog, topic: Topic) -> Vec<Incoming> {
    let mut reader = log.reader(&[topic], &Start::Beginning).unwrap();
    let (mut records, mut ends) = (Vec::new(), 0);
    while ends < log.partitions(topic).unwrap() as usize {
        let read = reader.poll(3, NOW).unwrap();
        records.extend(read.records);
        ends += read.ended.len();
    }
    records
}

fn values(log: &EmbeddedLog, topic: Topic) -> Vec<String> {
    let mut values: Vec<_> = read_all(log, topic).iter().map(text).collect();
    values.sort_unstable();
    values
}

fn poll(member: &mut Box<dyn Member>) -> Polled {
    member.poll(1_000, NOW).unwrap()
}

/// Each record copied, and the offsets behind the last of each partition.
fn copy_of(records: &[Incoming]) -> Transaction {
    let mut transaction = Transaction::default();
    for incoming in records {
        let key = String::from_utf8(incoming.key.clone()).unwrap();
        transaction.outputs.push(record(OUTPUT, &key, &text(incoming)));
        transaction.offsets.push((incoming.position.at, incoming.position.offset + 1));
    }
    transaction
}

fn at(partition: u32) -> TopicPartition {
    TopicPartition { topic: INPUT, partition }
}

//! What the laws do over and over: append, read to the end, copy records from one topic to others.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use runtime::log::{
    CommitError, Incoming, Log, LogError, Member, Outgoing, Position, Reader, Seat, Start,
    TopicPartition, Transaction,
};
use schemas::headers::Headers;
use schemas::topics::{Lane, Topic};

use crate::bed::Bed;

pub const INPUT: Topic = Topic::Accepted(Lane::Live);
pub const OUTPUT: Topic = Topic::Permitted(Lane::Live);
pub const EVENTS: Topic = Topic::Status;
pub const COMPACTED: Topic = Topic::Profile;
pub const PARTITIONS: u32 = 4;

/// Longest time a law waits for what it expects; reached only when it does not hold.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// One poll's wait.
pub const A_WHILE: Duration = Duration::from_millis(100);

/// The seat with this ordinal in the one group of a law.
pub fn seat(ordinal: u32) -> Seat {
    Seat { group: "copy.live".into(), topics: vec![INPUT], ordinal }
}

/// All topics of the laws and first offsets of their group.
pub fn prepare(bed: &dyn Bed) {
    bed.log().apply(&[INPUT, OUTPUT, EVENTS, COMPACTED], PARTITIONS, &[seat(0)]).unwrap();
}

pub fn record(topic: Topic, key: &str, value: &str) -> Outgoing {
    Outgoing {
        topic,
        key: key.into(),
        partition_by: key.into(),
        value: Some(value.into()),
        headers: Headers::default(),
    }
}

/// Appends one after the other, each acknowledged before the next.
pub fn append(log: &dyn Log, records: impl IntoIterator<Item = Outgoing>) -> Vec<Position> {
    let appender = log.appender().unwrap();
    records.into_iter().map(|record| block_on(appender.append(record)).unwrap()).collect()
}

/// Appends `values` to `topic` at once, each with itself as its key.
pub fn append_values(log: &dyn Log, topic: Topic, values: std::ops::Range<usize>) {
    let appender = log.appender().unwrap();
    let all = values.map(|value| {
        let value = value.to_string();
        appender.append(record(topic, &value, &value))
    });
    for result in block_on(futures::future::join_all(all)) {
        result.unwrap();
    }
}

/// Polls until `wanted` is met by what has come so far.
pub fn wait_for<T>(bed: &dyn Bed, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        bed.a_moment();
    }
}

/// What `reader` has until every one of `partitions` partitions has told its end.
pub fn to_the_end(bed: &dyn Bed, reader: &mut dyn Reader, partitions: usize) -> Vec<Incoming> {
    let mut records = Vec::new();
    let mut ended = BTreeMap::new();
    wait_for(bed, "the end of every partition", || {
        let read = reader.poll(1_000, A_WHILE).unwrap();
        records.extend(read.records);
        ended.extend(read.ended);
        (ended.len() == partitions).then_some(())
    });
    records
}

/// Everything committed in `topic`.
pub fn read_all(bed: &dyn Bed, topic: Topic) -> Vec<Incoming> {
    let mut reader = bed.log().reader(&[topic], &Start::Beginning).unwrap();
    to_the_end(bed, reader.as_mut(), PARTITIONS as usize)
}

/// The values in `topic`, sorted.
pub fn values_in(bed: &dyn Bed, topic: Topic) -> Vec<String> {
    let mut values: Vec<_> = read_all(bed, topic).iter().map(text).collect();
    values.sort_unstable();
    values
}

pub fn sorted(values: std::ops::Range<usize>) -> Vec<String> {
    let mut values: Vec<_> = values.map(|value| value.to_string()).collect();
    values.sort_unstable();
    values
}

pub fn text(record: &Incoming) -> String {
    String::from_utf8(record.value.clone().unwrap_or_default()).unwrap()
}

/// At least `count` records from `member`, in the order delivered.
pub fn take(bed: &dyn Bed, member: &mut dyn Member, count: usize) -> Vec<Incoming> {
    let mut records = Vec::new();
    wait_for(bed, "records", || {
        records.extend(member.poll(count - records.len(), A_WHILE).unwrap().records);
        (records.len() >= count).then_some(())
    });
    records
}

/// A transaction that copies `records` to `OUTPUT` and moves the offsets behind them.
pub fn copy_of(records: &[Incoming]) -> Transaction {
    let mut offsets: BTreeMap<TopicPartition, u64> = BTreeMap::new();
    let mut outputs = Vec::new();
    for record in records {
        outputs.push(Outgoing {
            topic: OUTPUT,
            key: record.key.clone(),
            partition_by: record.key.clone(),
            value: record.value.clone(),
            headers: Headers::from_raw(&record.headers),
        });
        let next = offsets.entry(record.position.at).or_default();
        *next = (*next).max(record.position.offset + 1);
    }
    Transaction { outputs, offsets: offsets.into_iter().collect() }
}

/// A worker that copies `INPUT` to `OUTPUT` and always holds its last poll's records in flight.
pub struct Copier {
    pub member: Box<dyn Member>,
    held: Vec<Incoming>,
    pub owned: Vec<TopicPartition>,
    pub committed: usize,
    pub rewound: usize,
}

impl Copier {
    pub fn join(log: &dyn Log, ordinal: u32) -> Self {
        let member = log.join(&seat(ordinal)).unwrap();
        Self { member, held: Vec::new(), owned: Vec::new(), committed: 0, rewound: 0 }
    }

    /// One poll, and a commit of what was in flight; of everything when partitions go.
    pub fn step(&mut self, wait: Duration) {
        self.step_for(50, wait);
    }

    /// The same with at most `max` new records.
    pub fn step_for(&mut self, max: usize, wait: Duration) {
        let polled = match self.member.poll(max, wait) {
            Ok(polled) => polled,
            Err(LogError::Unavailable(_)) => return,
            Err(error) => panic!("{error}"),
        };
        self.held.retain(|record| !polled.lost.contains(&record.position.at));
        self.owned.retain(|at| !polled.lost.contains(at));
        self.owned.extend(&polled.assigned);
        let ready = match polled.revoking.is_empty() {
            true => std::mem::replace(&mut self.held, polled.records),
            false => self.held.drain(..).chain(polled.records).collect(),
        };
        self.commit(&ready);
        self.owned.retain(|at| !polled.revoking.contains(at));
    }

    fn commit(&mut self, ready: &[Incoming]) {
        match self.member.commit(copy_of(ready)) {
            Ok(()) => self.committed += ready.len(),
            // Delivered again from the committed offsets: nothing in flight counts any more.
            Err(CommitError::Rewound { .. } | CommitError::Log(LogError::Unavailable(_))) => {
                self.rewound += 1;
                self.held.clear();
            }
            Err(error) => panic!("{error}"),
        }
    }
}

//! The seam to the log: batches in, records out, transactions that carry offsets.
//!
//! Two implementations pass one conformance suite: [`crate::embedded`] and `crate::kafka`. All calls
//! but [`Appender::append`] block the calling thread and belong on a thread of their own, never on an
//! async executor.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemas::headers::{Headers, RawHeaders};
use schemas::ids::Timestamp;
use schemas::topics::Topic;

/// One partition of one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    pub topic: Topic,
    pub partition: u32,
}

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    pub at: TopicPartition,
    pub offset: u64,
}

/// A record as the log gave it.
#[derive(Clone)]
pub struct Incoming {
    pub position: Position,
    /// When it was appended, by the log's or the producer's clock.
    pub appended_at: Timestamp,
    pub key: Vec<u8>,
    /// Absent: a tombstone.
    pub value: Option<Vec<u8>>,
    pub headers: RawHeaders,
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.value.as_ref().map(Vec::len);
        write!(f, "Incoming({:?}, value of {length:?} bytes)", self.position)
    }
}

/// A record to append.
#[derive(Clone, PartialEq, Eq)]
pub struct Outgoing {
    pub topic: Topic,
    pub key: Vec<u8>,
    /// What the partition is computed from; equals the key in most topics.
    pub partition_by: Vec<u8>,
    /// Absent: a tombstone.
    pub value: Option<Vec<u8>>,
    pub headers: Headers,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.value.as_ref().map(Vec::len);
        write!(f, "Outgoing({}, value of {length:?} bytes)", self.topic)
    }
}

/// A place in a consumer group, stable over restarts: it names group, instance and transactional ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Consumer group, e.g. `consent.live`.
    pub group: String,
    pub topics: Vec<Topic>,
    /// Ordinal of the process or worker within the group, unique among the living.
    pub ordinal: u32,
}

impl Seat {
    /// `group.instance.id`: one living member each; a second one fences the first.
    #[must_use]
    pub fn instance_id(&self) -> String {
        format!("{}-{}", self.group, self.ordinal)
    }

    /// `transactional.id` of the producer used in `turn`.
    #[must_use]
    pub fn transactional_id(&self, turn: usize) -> String {
        format!("{}-{}-{turn}", self.group, self.ordinal)
    }
}

/// What a poll brought.
#[derive(Debug, Default)]
pub struct Polled {
    pub records: Vec<Incoming>,
    /// Newly owned; records of them follow.
    pub assigned: Vec<TopicPartition>,
    /// About to be given away: the caller may still finish and commit what it has begun of them, for a
    /// few seconds; the next `poll` releases them. No record of them comes with the news or after it.
    pub revoking: Vec<TopicPartition>,
    /// Taken away without asking (session lost): nothing of them may be committed any more.
    pub lost: Vec<TopicPartition>,
    /// Told once the log answers again after a commit that ended as unavailable: where the group stands.
    /// What lies before was committed, what lies behind comes again.
    pub committed: Vec<(TopicPartition, u64)>,
}

/// Outputs and the offsets they stand for; all of it becomes visible, or nothing.
#[derive(Debug, Default, Clone)]
pub struct Transaction {
    pub outputs: Vec<Outgoing>,
    /// Per partition the offset of the next record to read.
    pub offsets: Vec<(TopicPartition, u64)>,
}

/// Why a log cannot serve. Always ours (a `Fault`), never a record's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Passing: try again.
    #[error("the log does not answer: {0}")]
    Unavailable(String),
    /// Somebody else sits in this seat; leave.
    #[error("fenced: another process took this seat")]
    Fenced,
    /// Needs an operator: missing topic, lost offsets, full disk.
    #[error("the log cannot go on: {0}")]
    Broken(String),
}

/// How a commit failed. Whatever the cause, the member has already gone back to the group's
/// committed offsets and will deliver from there again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The outcome is known or has been found out: `committed` is where the group stands now.
    #[error("not committed as asked; went back to the committed offsets: {why}")]
    Rewound { committed: Vec<(TopicPartition, u64)>, why: String },
    #[error(transparent)]
    Log(#[from] LogError),
}

/// A member of a consumer group that commits its results together with its offsets.
pub trait Member: Send {
    /// At most `max` records, waiting up to `wait` for the first. Releases what the last call named
    /// as revoking. Call it at least every few seconds, also when everything is paused.
    ///
    /// # Errors
    /// See [`LogError`].
    fn poll(&mut self, max: usize, wait: Duration) -> Result<Polled, LogError>;

    /// Appends all outputs and offsets in one transaction and waits until it is decided.
    ///
    /// # Errors
    /// See [`CommitError`].
    fn commit(&mut self, transaction: Transaction) -> Result<(), CommitError>;

    /// Stops or resumes the delivery of one owned partition; ownership stays.
    fn pause(&mut self, partition: TopicPartition, paused: bool);

    /// The group's committed offsets of the partitions that this member owns; waits for those that an
    /// open transaction still holds.
    ///
    /// # Errors
    /// See [`LogError`].
    fn committed(&mut self) -> Result<Vec<(TopicPartition, u64)>, LogError>;

    /// Records behind this member in the partitions it owns (high watermark − position).
    fn lag(&mut self) -> Vec<(TopicPartition, u64)>;
}

/// What a reader got.
#[derive(Debug, Default)]
pub struct Read {
    pub records: Vec<Incoming>,
    /// Partitions whose end (at the last stable offset) was reached by this call, with the next offset.
    pub ended: Vec<(TopicPartition, u64)>,
}

/// Reads every partition of some topics without a group, committed records only.
pub trait Reader: Send {
    /// At most `max` records, waiting up to `wait` for the first.
    ///
    /// # Errors
    /// See [`LogError`].
    fn poll(&mut self, max: usize, wait: Duration) -> Result<Read, LogError>;
}

/// Gives every record to `visit`, in the order read, until each of `partitions` partitions has told its
/// end once. All of them where `reader` reads whole topics.
///
/// # Errors
/// See [`LogError`].
pub fn read_to_end(
    reader: &mut dyn Reader,
    partitions: u32,
    mut visit: impl FnMut(Incoming),
) -> Result<(), LogError> {
    let partitions = usize::try_from(partitions).unwrap_or(usize::MAX);
    let mut ended = BTreeSet::new();
    while ended.len() < partitions {
        let read = reader.poll(1_000, Duration::from_millis(200))?;
        read.records.into_iter().for_each(&mut visit);
        ended.extend(read.ended.into_iter().map(|(at, _)| at));
    }
    Ok(())
}

/// Where a reader starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    Beginning,
    /// Only what is appended from now on.
    End,
    /// From these offsets; partitions not named start at the beginning.
    At(Vec<(TopicPartition, u64)>),
    /// From these offsets; partitions not named are not read.
    Only(Vec<(TopicPartition, u64)>),
}

/// Why an append was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Certainly not appended: the caller may say "not taken".
    #[error("not appended: {0}")]
    NotTaken(String),
    /// It left and no answer came: it may or may not be there.
    #[error("append with unknown outcome: {0}")]
    Unknown(String),
    /// Another writer took this name; take it back by opening the writer again. Not appended, unless
    /// the taking crossed the very commit: who decides anew on what the log then holds is right
    /// either way.
    #[error("fenced: another writer took this name")]
    Fenced,
}

/// Appends single records outside any transaction, acknowledged once durable.
#[async_trait]
pub trait Appender: Send + Sync {
    /// Where the record lies now.
    ///
    /// # Errors
    /// See [`AppendError`].
    async fn append(&self, record: Outgoing) -> Result<Position, AppendError>;
}

/// Writes several records as one transaction, without a group behind them.
pub trait Writer: Send {
    /// Where the records lie, in their order. Visible together or not at all.
    ///
    /// # Errors
    /// `Unknown` if the outcome could not be found out; `Fenced` from then on. The writer is usable
    /// again in any other case.
    fn write(&mut self, records: Vec<Outgoing>) -> Result<Vec<Position>, AppendError>;

    /// Differs from what it was where the name had to be taken anew, to find an outcome out: others
    /// may have written under it in between, and have been fenced.
    fn term(&self) -> u64;
}

/// A log: Kafka or the embedded one.
pub trait Log: Send + Sync {
    /// Takes a seat in a group. An earlier holder of the same seat is fenced.
    ///
    /// # Errors
    /// See [`LogError`].
    fn join(&self, seat: &Seat) -> Result<Box<dyn Member>, LogError>;

    /// A reader over all partitions of `topics`.
    ///
    /// # Errors
    /// See [`LogError`].
    fn reader(&self, topics: &[Topic], start: &Start) -> Result<Box<dyn Reader>, LogError>;

    /// The acknowledged appender; one per process is enough.
    ///
    /// # Errors
    /// See [`LogError`].
    fn appender(&self) -> Result<Arc<dyn Appender>, LogError>;

    /// A transactional writer. Two with one `name` fence each other, the later one wins.
    ///
    /// # Errors
    /// See [`LogError`].
    fn writer(&self, name: &str) -> Result<Box<dyn Writer>, LogError>;

    /// Creates missing topics, sets their policies and writes the first offsets of `groups`
    /// where none exist. Changes nothing that is already right.
    ///
    /// # Errors
    /// See [`LogError`]; on Kafka `Broken` names the groups without offsets on topics that hold records,
    /// unless it was told where they begin.
    fn apply(&self, topics: &[Topic], partitions: u32, groups: &[Seat]) -> Result<(), LogError>;

    /// How many partitions a topic has.
    ///
    /// # Errors
    /// `Broken` where the topic is missing.
    fn partitions(&self, topic: Topic) -> Result<u32, LogError>;

    /// The next offset of a partition, behind everything that was appended by now, decided or not.
    ///
    /// # Errors
    /// See [`LogError`].
    fn end(&self, at: TopicPartition) -> Result<u64, LogError>;

    /// Records that the group of `seat` has not committed yet, in all partitions of the seat's topics,
    /// whoever sits there. Marks of transactions count where the log has them.
    ///
    /// # Errors
    /// See [`LogError`].
    fn behind(&self, seat: &Seat) -> Result<u64, LogError>;
}

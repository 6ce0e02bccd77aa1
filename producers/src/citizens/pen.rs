//! The pen: the one transactional writer of all citizens' records, in one process at a time.
//!
//! Whoever needs it takes it; the log fences whoever held it, who learns so at its next write. Behind a
//! taking follows a look at where the topics end: once a view has come that far, it shows all that
//! former holders wrote, and a decision on it is a decision on the present. So processes that serve
//! the citizen API need to know nothing of each other.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use runtime::log::{AppendError, Log, LogError, Outgoing, Position, TopicPartition, Writer};
use runtime::world::World;
use schemas::ids::{Pseudonym, Timestamp};
use schemas::partitioner;
use schemas::topics::Topic;
use tokio::sync::{mpsc, oneshot};

use super::config::CitizensConfig;
use super::metrics::CitizenMetrics;

/// Requests that may wait for the pen; one more is told to come again.
const QUEUE: usize = 1_024;

/// One holding of the pen, as far as one citizen goes. It lasts until somebody else takes the pen, or an
/// outcome is unknown.
pub(super) struct Tenure {
    number: u64,
    /// The last places of this citizen's partitions that a former holder may have written to.
    pub before: Vec<Position>,
}

/// Why the pen is not to be had.
pub(super) enum NotHeld {
    /// It was taken from this process a moment ago: whoever took it gets to write.
    Rest { until: Timestamp },
    /// The log does not give it.
    Unavailable,
}

/// Why a change does not stand.
pub(super) enum Unwritten {
    NotTaken,
    Unknown,
    /// The tenure is over: decide anew under the next one.
    Over,
}

type Written = Result<Vec<Position>, Unwritten>;

struct Change {
    tenure: u64,
    records: Vec<Outgoing>,
    done: oneshot::Sender<Written>,
}

enum Job {
    Hold(Pseudonym, oneshot::Sender<Result<Tenure, NotHeld>>),
    Write(Change),
}

/// Where the pen is asked for; the writer itself lives on a thread of its own.
pub(super) struct Pen(mpsc::Sender<Job>);

impl Pen {
    /// Starts the thread; it ends when the pen is dropped and all is written. Takes nothing yet.
    pub fn open(
        log: Arc<dyn Log>,
        world: World,
        config: &CitizensConfig,
        metrics: CitizenMetrics,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let mut hand = Hand {
            log,
            world,
            metrics,
            name: config.writer.clone(),
            rest: config.pen_rest,
            group: config.group.max(1),
            held: None,
            takings: 0,
            took: Duration::ZERO,
            rests_until: Timestamp(0),
        };
        let work = move || hand.serve(queue);
        let thread = std::thread::Builder::new().name("citizens-writer".to_owned()).spawn(work)?;
        Ok((Self(jobs), thread))
    }

    /// The present tenure; takes the pen if this process does not hold it.
    pub async fn hold(&self, citizen: Pseudonym) -> Result<Tenure, NotHeld> {
        let (done, held) = oneshot::channel();
        self.0.try_send(Job::Hold(citizen, done)).map_err(|_| NotHeld::Unavailable)?;
        held.await.unwrap_or(Err(NotHeld::Unavailable))
    }

    /// Writes in one transaction what was decided under `tenure`.
    pub async fn write(&self, tenure: &Tenure, records: Vec<Outgoing>) -> Written {
        let (done, written) = oneshot::channel();
        let change = Change { tenure: tenure.number, records, done };
        self.0.try_send(Job::Write(change)).map_err(|_| Unwritten::NotTaken)?;
        written.await.unwrap_or(Err(Unwritten::Unknown))
    }
}

struct Held {
    writer: Box<dyn Writer>,
    number: u64,
    /// Where partitions ended when they were first needed.
    ends: HashMap<TopicPartition, u64>,
}

/// What holds the pen.
struct Hand {
    log: Arc<dyn Log>,
    world: World,
    metrics: CitizenMetrics,
    name: String,
    rest: Duration,
    group: usize,
    held: Option<Held>,
    takings: u64,
    /// How long the last taking lasted.
    took: Duration,
    rests_until: Timestamp,
}

impl Hand {
    /// Changes that have queued up, at most a group of them, share a transaction.
    fn serve(&mut self, mut queue: mpsc::Receiver<Job>) {
        let mut next = VecDeque::new();
        while let Some(job) = next.pop_front().or_else(|| queue.blocking_recv()) {
            match job {
                // Nobody listens any more: the caller hung up.
                Job::Hold(citizen, done) => drop(done.send(self.hold(citizen))),
                Job::Write(first) => {
                    let mut changes = vec![first];
                    while changes.len() < self.group {
                        match queue.try_recv() {
                            Ok(Job::Write(change)) => changes.push(change),
                            Ok(other) => {
                                next.push_back(other);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    self.write(changes);
                }
            }
        }
    }

    fn hold(&mut self, citizen: Pseudonym) -> Result<Tenure, NotHeld> {
        if self.held.is_none() && self.world.now() < self.rests_until {
            return Err(NotHeld::Rest { until: self.rests_until });
        }
        self.tenure(citizen).map_err(|error| {
            tracing::warn!(%error, "the pen for citizens' records is not to be had");
            NotHeld::Unavailable
        })
    }

    fn tenure(&mut self, citizen: Pseudonym) -> Result<Tenure, LogError> {
        let mut held = match self.held.take() {
            Some(held) => held,
            None => self.take()?,
        };
        let before = before(self.log.as_ref(), &mut held.ends, citizen);
        let number = held.number;
        self.held = Some(held);
        Ok(Tenure { number, before: before? })
    }

    fn take(&mut self) -> Result<Held, LogError> {
        let started = Instant::now();
        let writer = self.log.writer(&self.name)?;
        self.took = started.elapsed();
        self.takings += 1;
        self.metrics.pen_takings.inc();
        Ok(Held { writer, number: self.takings, ends: HashMap::new() })
    }

    fn write(&mut self, changes: Vec<Change>) {
        let present = self.held.as_ref().map(|held| held.number);
        let (changes, late): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|change| Some(change.tenure) == present);
        late.into_iter().for_each(|change| drop(change.done.send(Err(Unwritten::Over))));
        if changes.is_empty() {
            return;
        }
        let Some(mut held) = self.held.take() else { return };
        let term = held.writer.term();
        let records = changes.iter().flat_map(|change| change.records.iter().cloned()).collect();
        let written = held.writer.write(records);
        // After any other end the pen is taken anew: what was not answered is decided by then, and what
        // others wrote meanwhile lies before the new ends.
        if written.is_ok() && held.writer.term() == term {
            self.held = Some(held);
        }
        if written == Err(AppendError::Fenced) {
            self.rest();
        }
        answer(changes, written);
    }

    /// Long enough for whoever took the pen to decide and to write; drawn, so that two do not take it
    /// from each other in step.
    fn rest(&mut self) {
        let rest = self.rest.max(self.took);
        #[expect(clippy::cast_precision_loss, reason = "jitter needs no more than 53 bits")]
        let drawn = rest.mul_f64(self.world.random() as f64 / u64::MAX as f64);
        self.rests_until = self.world.now().plus(rest + drawn);
    }
}

/// Where `citizen`'s partitions end. Asked after the taking, when nobody but us can write there what we
/// decide on; each partition once, for what we write ourselves is waited for anyhow.
fn before(
    log: &dyn Log,
    ends: &mut HashMap<TopicPartition, u64>,
    citizen: Pseudonym,
) -> Result<Vec<Position>, LogError> {
    let key = citizen.to_string();
    let mut before = Vec::with_capacity(Topic::DIRECTORY.len());
    for topic in Topic::DIRECTORY {
        let partition = partitioner::partition(key.as_bytes(), log.partitions(topic)?);
        let at = TopicPartition { topic, partition };
        let end = match ends.get(&at) {
            Some(end) => *end,
            None => *ends.entry(at).or_insert(log.end(at)?),
        };
        before.extend(end.checked_sub(1).map(|offset| Position { at, offset }));
    }
    Ok(before)
}

/// Tells everybody the places of their own records, or why there are none.
fn answer(changes: Vec<Change>, written: Result<Vec<Position>, AppendError>) {
    let mut rest = written.as_deref().unwrap_or_default();
    for change in changes {
        let own = match &written {
            Ok(_) => {
                let (own, others) = rest.split_at(change.records.len().min(rest.len()));
                rest = others;
                Ok(own.to_vec())
            }
            Err(AppendError::NotTaken(why)) => {
                tracing::warn!(why, "a citizen's change was not written");
                Err(Unwritten::NotTaken)
            }
            Err(AppendError::Unknown(why)) => {
                tracing::warn!(why, "a citizen's change has an unknown outcome");
                Err(Unwritten::Unknown)
            }
            Err(AppendError::Fenced) => Err(Unwritten::Over),
        };
        // Nobody listens any more: the caller hung up, the records stand all the same.
        drop(change.done.send(own));
    }
}

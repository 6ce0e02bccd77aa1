//! The transactional producers of one member, used in turn: one transaction at a time.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::{Producer, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::cluster::{Cluster, Unsent, offset_number, partition_number};
use super::context::Plain;
use super::errors::{self, Verdict};
use super::ffi;
use super::turns::{State, Turns};
use crate::crash::{self, Point};
use crate::log::{LogError, Transaction};

type Transactional = ThreadedProducer<Plain>;

/// How a transaction failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// Certainly not committed, and aborted.
    Aborted(String),
    /// It may have happened; the ring is broken until it is rebuilt.
    Unknown(String),
    /// Not committed, and the same again would fail again.
    Hopeless(String),
    Fenced,
}

/// A step that did not succeed.
struct Stopped(Verdict, String);

pub(super) struct Ring {
    cluster: Arc<Cluster>,
    ids: Vec<String>,
    producers: Vec<Transactional>,
    turns: Turns,
}

impl Ring {
    /// Initialises every id: fences earlier holders and ends what they left open. Must come before
    /// any offset of the group is read.
    pub(super) fn start(cluster: Arc<Cluster>, ids: Vec<String>) -> Result<Self, LogError> {
        let producers = initialised(&cluster, &ids)?;
        let turns = Turns::new(ids.len());
        Ok(Self { cluster, ids, producers, turns })
    }

    pub(super) fn state(&self) -> State {
        self.turns.state()
    }

    /// Throws every producer away and initialises their ids anew, which decides whatever was open.
    pub(super) fn rebuild(&mut self) -> Result<(), LogError> {
        self.turns.unknown();
        self.producers.clear();
        match initialised(&self.cluster, &self.ids) {
            Ok(producers) => {
                self.producers = producers;
                self.turns.rebuilt();
                Ok(())
            }
            Err(LogError::Fenced) => {
                self.turns.fenced();
                Err(LogError::Fenced)
            }
            Err(error) => Err(error),
        }
    }

    /// Commits `transaction` whole or not at all. `group` is asked when the offsets go out: the
    /// generation may have changed since the last transaction.
    pub(super) fn commit(
        &mut self,
        transaction: &Transaction,
        group: impl Fn() -> Option<ConsumerGroupMetadata>,
    ) -> Result<(), Failure> {
        let Some(turn) = self.turns.begin() else {
            let state = self.turns.state();
            return Err(match state == State::Fenced {
                true => Failure::Fenced,
                false => Failure::Unknown(format!("a transaction may not begin in {state:?}")),
            });
        };
        // The turn is below the number of ids, and a ring that is not broken has all producers.
        let producer = &self.producers[turn];
        let run = Run { cluster: &self.cluster, producer, turns: &mut self.turns };
        match run.whole(transaction, group) {
            Ok(()) => {
                self.turns.decided();
                Ok(())
            }
            Err(Stopped(verdict, why)) => Err(self.give_up(turn, verdict, why)),
        }
    }

    fn give_up(&mut self, turn: usize, verdict: Verdict, why: String) -> Failure {
        match verdict {
            Verdict::Fenced => {
                self.turns.fenced();
                Failure::Fenced
            }
            // A call that could be made again within its limit, but never succeeded.
            Verdict::Unknown | Verdict::Again => {
                self.turns.unknown();
                Failure::Unknown(why)
            }
            Verdict::Abort | Verdict::Hopeless => {
                self.turns.reached(State::Aborting);
                let limit = self.cluster.settings.commit_timeout;
                match until(limit, |left| self.producers[turn].abort_transaction(left)) {
                    Ok(()) => {
                        self.turns.decided();
                        match verdict == Verdict::Hopeless {
                            true => Failure::Hopeless(why),
                            false => Failure::Aborted(why),
                        }
                    }
                    Err(Stopped(Verdict::Fenced, _)) => {
                        self.turns.fenced();
                        Failure::Fenced
                    }
                    Err(Stopped(_, abort)) => {
                        self.turns.unknown();
                        Failure::Unknown(format!("{why}; abort: {abort}"))
                    }
                }
            }
        }
    }
}

/// One transaction on its way.
struct Run<'a> {
    cluster: &'a Cluster,
    producer: &'a Transactional,
    turns: &'a mut Turns,
}

impl Run<'_> {
    fn whole(
        self,
        transaction: &Transaction,
        group: impl Fn() -> Option<ConsumerGroupMetadata>,
    ) -> Result<(), Stopped> {
        // Half the broker's patience for everything before the decision, the other half for the
        // decision: our limit passes before the broker aborts on its own and bumps the epoch.
        let deadline = Instant::now() + self.cluster.settings.transaction_timeout / 2;
        let left = || deadline.saturating_duration_since(Instant::now());
        self.producer.begin_transaction().map_err(|error| stopped(&error))?;
        crash::at(Point::TransactionBegun);
        for record in &transaction.outputs {
            self.cluster.send(self.producer, record, (), deadline).map_err(unsent)?;
        }
        crash::at(Point::Produced);
        in_time(left(), "sending")?;
        if !transaction.offsets.is_empty() {
            let offsets = offsets(self.cluster, transaction).map_err(|error| stopped(&error))?;
            let group = group().ok_or_else(|| Stopped(Verdict::Abort, "left the group".into()))?;
            until(left(), |limit| {
                self.producer.send_offsets_to_transaction(&offsets, &group, limit)
            })?;
            // The client waits longer than it was told where a coordinator is slow.
            in_time(left(), "sending offsets")?;
            self.turns.reached(State::OffsetsSent);
            crash::at(Point::OffsetsSent);
        }
        ffi::flush(self.producer, left()).map_err(|code| stopped(&KafkaError::Flush(code)))?;
        in_time(left(), "flushing")?;
        self.turns.reached(State::Flushed);
        crash::at(Point::Flushed);
        self.turns.reached(State::Committing);
        let limit = self.cluster.settings.commit_timeout;
        until(limit, |limit| self.producer.commit_transaction(limit))
    }
}

fn offsets(cluster: &Cluster, transaction: &Transaction) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(transaction.offsets.len());
    for (at, next) in &transaction.offsets {
        let name = cluster.names.topic(at.topic);
        let offset = Offset::Offset(offset_number(*next));
        list.add_partition_offset(name, partition_number(at.partition), offset)?;
    }
    Ok(list)
}

/// Calls again while librdkafka says so and `limit` is not over.
fn until(
    limit: Duration,
    mut call: impl FnMut(Duration) -> KafkaResult<()>,
) -> Result<(), Stopped> {
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match call(left) {
            Ok(()) => return Ok(()),
            Err(error) => {
                let stopped = stopped(&error);
                if stopped.0 != Verdict::Again || Instant::now() >= deadline {
                    return Err(stopped);
                }
            }
        }
    }
}

/// A decision that began late could cross the broker's own abort, whose new epoch looks like a taken
/// seat: so none begins.
fn in_time(left: Duration, what: &str) -> Result<(), Stopped> {
    match left.is_zero() {
        true => Err(Stopped(Verdict::Unknown, format!("{what} took half the transaction's time"))),
        false => Ok(()),
    }
}

fn stopped(error: &KafkaError) -> Stopped {
    Stopped(errors::verdict(error), errors::said(error))
}

fn unsent(unsent: Unsent) -> Stopped {
    match unsent {
        Unsent::Log(LogError::Broken(why)) => Stopped(Verdict::Hopeless, why),
        Unsent::Log(error) => Stopped(Verdict::Abort, error.to_string()),
        Unsent::Refused(error) => match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
                Stopped(Verdict::Hopeless, "a record is too large for the cluster".into())
            }
            Some(RDKafkaErrorCode::QueueFull) => Stopped(Verdict::Abort, errors::said(&error)),
            _ => stopped(&error),
        },
    }
}

/// One producer an id, in order, all initialised. At the same time: each takes 50 to 500 ms.
fn initialised(cluster: &Cluster, ids: &[String]) -> Result<Vec<Transactional>, LogError> {
    thread::scope(|scope| {
        let start = |id: &'_ String| {
            let id = id.clone();
            scope.spawn(move || initialise(cluster, &id))
        };
        let starting: Vec<_> = ids.iter().map(start).collect();
        let joined = |it: thread::ScopedJoinHandle<'_, Result<Transactional, LogError>>| {
            it.join().unwrap_or_else(|_| Err(LogError::Broken("a producer panicked".into())))
        };
        starting.into_iter().map(joined).collect()
    })
}

/// A producer under `id` that may begin transactions.
pub(super) fn initialise(cluster: &Cluster, id: &str) -> Result<Transactional, LogError> {
    let config = cluster.settings.transactional(id);
    let producer: Transactional =
        config.create_with_context(Plain).map_err(|error| errors::passing(&error))?;
    init(&producer, cluster.settings.call_timeout)?;
    Ok(producer)
}

/// Initialises the transactional id of `producer`, again while librdkafka says so.
pub(super) fn init<P: Producer<C>, C: rdkafka::producer::ProducerContext>(
    producer: &P,
    limit: Duration,
) -> Result<(), LogError> {
    let deadline = Instant::now() + limit;
    // A client that asks for its coordinator before it has reached any broker asks again only half a
    // second later: so it is waited for until it knows the cluster.
    let _ = producer.client().fetch_cluster_id(limit);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match producer.init_transactions(left) {
            Ok(()) => return Ok(()),
            Err(KafkaError::Transaction(error))
                if error.is_retriable() && Instant::now() < deadline => {}
            Err(error) => return Err(errors::passing(&error)),
        }
    }
}

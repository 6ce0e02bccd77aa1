//! The worker: polls, hands batches to its stage, commits the contiguous prefix. A step function,
//! driven by a thread in production and by a seeded scheduler in simulation.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use futures::FutureExt;
use schemas::codec::DecodeError;
use schemas::headers::Headers;
use schemas::ids::Timestamp;
use schemas::records::{MessageStatus, Reason, Status};
use schemas::topics::Topic;

use crate::crash::{self, Point};
use crate::dead::{self, SealBytes};
use crate::dead_limit::{DeadLimit, Leave};
use crate::delay;
use crate::ledger::{Again, Finished, Ledger};
use crate::log::{CommitError, Incoming, LogError, Member, Outgoing, TopicPartition, Transaction};
use crate::metrics::Metrics;
use crate::stage::{Fault, Outcome, Received, Stage};
use crate::world::World;

pub use self::limits::Limits;

use self::leaving::Leaving;

mod leaving;
mod limits;

#[cfg(test)]
mod laws;

/// Gauges are written this far apart.
const REPORTED: Duration = Duration::from_millis(500);
/// A stage that broke down leaves its batch to be tried again after this, one record at a time.
const BROKE_DOWN: Duration = Duration::from_secs(1);

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Worked,
    /// Nothing to do; nothing will be before this, unless something arrives.
    Idle,
}

/// A batch and what became of each of its records; nothing where the stage broke down.
type Answers = (Vec<Arc<Incoming>>, Option<Vec<Result<Outcome, Fault>>>);

/// One seat's work.
pub struct Worker<S: Stage> {
    stage: Arc<S>,
    lane: &'static str,
    member: Box<dyn Member>,
    world: World,
    limits: Limits,
    seal: SealBytes,
    metrics: Metrics,
    ledger: Ledger,
    answers: (SyncSender<Answers>, Receiver<Answers>),
    /// Batches being handled.
    handling: usize,
    last_commit: Timestamp,
    last_report: Timestamp,
    paused: BTreeSet<TopicPartition>,
    dead_limit: DeadLimit,
    /// Partitions asked back, of which something is still being finished: nothing is polled meanwhile,
    /// for the next poll gives them away.
    leaving: Option<Leaving>,
    /// Taking has ended: what is in hand is finished and committed, nothing more is polled.
    draining: bool,
}

impl<S: Stage> Worker<S> {
    pub fn new(
        stage: Arc<S>,
        lane: &'static str,
        member: Box<dyn Member>,
        world: World,
        limits: Limits,
        seal: SealBytes,
        metrics: Metrics,
    ) -> Self {
        let answers = sync_channel(limits.batches.max(1));
        let now = world.now();
        let dead_limit = DeadLimit::new(limits.dead.clone(), now);
        Self {
            stage,
            lane,
            member,
            world,
            limits,
            seal,
            metrics,
            ledger: Ledger::default(),
            answers,
            handling: 0,
            last_commit: Timestamp(0),
            last_report: now,
            paused: BTreeSet::new(),
            dead_limit,
            leaving: None,
            draining: false,
        }
    }

    /// Records between poll and commit.
    #[must_use]
    pub fn in_hand(&self) -> usize {
        self.ledger.in_hand()
    }

    /// When a step has something to do although nothing arrives: a commit, or a record that was put
    /// back. Absent: not before an answer or a record comes.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        let commit = self.ledger.has_prefix().then(|| self.last_commit.plus(self.limits.cadence));
        let leave = self.leaving.as_ref().map(|leaving| leaving.since.plus(self.limits.leave));
        // Without a free batch, the next answer comes first.
        let free = self.handling < self.limits.batches;
        let put_back = self.ledger.next_due().filter(|_| free);
        commit.into_iter().chain(leave).chain(put_back).min()
    }

    /// One turn: gather answers, commit if due, take more, hand out. `wait` bounds the blocking;
    /// zero never blocks.
    ///
    /// # Errors
    /// `Fenced` and `Broken` end the worker; `Unavailable` may be tried again.
    pub fn step(&mut self, wait: Duration) -> Result<Step, LogError> {
        let mut worked = self.gather(Duration::ZERO);
        let committed = self.commit_if_due();
        // What was asked back goes in time, even where its last commit failed.
        worked |= self.let_go();
        worked |= committed?;
        let patience = if worked { Duration::ZERO } else { self.patience(wait) };
        let polls = self.handling == 0 && self.room() > 0 && self.leaving.is_none();
        worked |= self.take(if polls { patience } else { Duration::ZERO })?;
        worked |= self.hand_out();
        if !worked && !polls && !patience.is_zero() {
            worked = self.gather(patience.min(Duration::from_millis(4)));
        }
        self.report();
        Ok(if worked { Step::Worked } else { Step::Idle })
    }

    /// How long may be waited before something of our own is due: a commit, or a record put back.
    fn patience(&self, wait: Duration) -> Duration {
        let now = self.world.now();
        let mut patience = wait;
        if self.ledger.has_prefix() {
            patience = patience.min(self.last_commit.plus(self.limits.cadence).since(now));
        }
        if let Some(due) = self.ledger.next_due() {
            patience = patience.min(due.since(now).max(Duration::from_millis(1)));
        }
        patience
    }

    /// A clock that shows less than `since` was set back: nobody waits for it to catch up.
    fn has_passed(&self, since: Timestamp, wait: Duration, now: Timestamp) -> bool {
        now < since || now.since(since) >= wait
    }

    fn room(&self) -> usize {
        if self.draining { 0 } else { self.limits.window.saturating_sub(self.ledger.in_hand()) }
    }

    fn gather(&mut self, wait: Duration) -> bool {
        let mut worked = false;
        loop {
            let next = if worked || wait.is_zero() {
                self.answers.1.try_recv().map_err(|_| RecvTimeoutError::Timeout)
            } else {
                self.answers.1.recv_timeout(wait)
            };
            let Ok(answers) = next else { return worked };
            worked = true;
            self.handling -= 1;
            let (records, results) = answers;
            match results {
                Some(results) => {
                    for (record, answer) in records.iter().zip(results) {
                        self.resolve(record, answer);
                    }
                }
                None => records.iter().for_each(|record| self.broke_down(record)),
            }
        }
    }

    fn resolve(&mut self, record: &Arc<Incoming>, answer: Result<Outcome, Fault>) {
        let now = self.world.now();
        match answer.and_then(|outcome| self.realise(record, outcome, now)) {
            Ok(outputs) => {
                crash::of(Point::Handled, self.stage.name());
                self.observe_latency(record, now);
                self.ledger.finish(record, Finished { outputs });
            }
            Err(fault) => self.put_back(record, &fault, false, now),
        }
    }

    /// Nobody knows which record of its batch the stage could not bear.
    fn broke_down(&mut self, record: &Arc<Incoming>) {
        let now = self.world.now();
        let fault = Fault { why: Reason::Other, retry_at: now.plus(BROKE_DOWN) };
        self.put_back(record, &fault, true, now);
    }

    fn put_back(&mut self, record: &Arc<Incoming>, fault: &Fault, alone: bool, now: Timestamp) {
        let labels = [self.stage.name(), self.lane, fault.why.name()];
        self.metrics.faults.with_label_values(&labels).inc();
        self.ledger.put_back(record, Again { now, from: fault.retry_at, alone });
    }

    /// The records that an outcome stands for.
    fn realise(
        &mut self,
        record: &Incoming,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<Vec<Outgoing>, Fault> {
        let (word, why, outputs) = match outcome {
            Outcome::Forward(outputs) => ("forward", Reason::None, outputs),
            Outcome::Postpone { record, until, why, mut also } => {
                also.push(delay::file(record, until, why, now, self.world.time_scale));
                ("postpone", why, also)
            }
            Outcome::DeadLetter { why, mut also } => {
                self.may_set_aside(now)?;
                also.push(self.letter(record, why, now)?);
                ("dead_letter", why, also)
            }
            Outcome::Done { why } => ("done", why, Vec::new()),
        };
        if word != "dead_letter" {
            self.dead_limit.other(now);
        }
        let labels = [self.stage.name(), self.lane, word, why.name()];
        self.metrics.records_out.with_label_values(&labels).inc();
        Ok(outputs)
    }

    /// Too many letters are no longer the records' fault: they are held, and somebody is told.
    fn may_set_aside(&mut self, now: Timestamp) -> Result<(), Fault> {
        let leave = self.dead_limit.letter(now);
        if leave == Leave::Tripped {
            tracing::error!(
                stage = self.stage.name(),
                lane = self.lane,
                "too many records would be set aside: the stage holds them. See `staffetta redrive \
                 list` for their cause; mend or go back to the version before"
            );
        }
        if leave == Leave::Granted {
            return Ok(());
        }
        let retry_at = now.plus(self.limits.unknown_id_wait);
        Err(Fault { why: Reason::DeadLetterLimit, retry_at })
    }

    fn letter(&self, record: &Incoming, why: Reason, now: Timestamp) -> Result<Outgoing, Fault> {
        let made = dead::letter(record, self.stage.name(), why, &self.seal, &self.world.codec, now);
        made.map_err(|why| Fault { why, retry_at: now.plus(self.limits.unknown_id_wait) })
    }

    fn commit_if_due(&mut self) -> Result<bool, LogError> {
        if !self.ledger.has_prefix() {
            return Ok(false);
        }
        let now = self.world.now();
        let full = self.ledger.finished() >= self.limits.transaction;
        let leaves = self.leaves_now(now);
        let due = self.has_passed(self.last_commit, self.limits.cadence, now) || self.draining;
        if !(full || leaves || due) {
            return Ok(false);
        }
        self.commit(if full {
            "full"
        } else if leaves {
            "revoke"
        } else {
            "cadence"
        })?;
        Ok(true)
    }

    fn commit(&mut self, trigger: &str) -> Result<(), LogError> {
        let prefix = self.ledger.prefix(self.limits.transaction);
        let offsets = prefix.offsets.clone();
        let statuses = self.statuses(&prefix.outputs);
        let started = Instant::now();
        crash::of(Point::Committing, self.stage.name());
        let result =
            self.member.commit(Transaction { outputs: prefix.outputs, offsets: prefix.offsets });
        crash::of(Point::Committed, self.stage.name());
        let labels = [self.stage.name(), self.lane, trigger];
        self.metrics.commit.with_label_values(&labels).observe(started.elapsed().as_secs_f64());
        self.last_commit = self.world.now();
        match result {
            Ok(()) => {
                self.ledger.committed(&offsets);
                for status in statuses {
                    let labels = [self.stage.name(), self.lane, status.name()];
                    self.metrics.statuses.with_label_values(&labels).inc();
                }
                Ok(())
            }
            Err(CommitError::Rewound { committed, why }) => {
                tracing::warn!(stage = self.stage.name(), lane = self.lane, why, "commit rewound");
                self.metrics.rewinds.with_label_values(&[self.stage.name(), self.lane]).inc();
                self.ledger.committed(&committed);
                Ok(())
            }
            Err(CommitError::Log(error)) => Err(error),
        }
    }

    /// What senders are told by these outputs.
    fn statuses(&self, outputs: &[Outgoing]) -> Vec<Status> {
        let events = outputs.iter().filter(|output| output.topic == Topic::Status);
        let values = events.filter_map(|event| event.value.as_deref());
        let decoded = values.map(|value| self.world.codec.decode::<MessageStatus>(value));
        decoded.filter_map(|event| event.ok().map(|event| event.status)).collect()
    }

    fn take(&mut self, wait: Duration) -> Result<bool, LogError> {
        if self.leaving.is_some() {
            return Ok(false);
        }
        let max = self.room().min(self.limits.batch * 4);
        let mut polled = self.member.poll(max, if max == 0 { Duration::ZERO } else { wait })?;
        let now = self.world.now();
        for lost in &polled.lost {
            let begun = self.ledger.put_aside(*lost, now);
            self.count_forgotten(begun);
        }
        self.ledger.committed(&polled.committed);
        // Were one of them begun, it would be committed under a partition that is another's by then.
        polled.records.retain(|record| !polled.revoking.contains(&record.position.at));
        self.leave(&polled.revoking, now);
        let worked = !polled.records.is_empty() || !polled.revoking.is_empty();
        let labels = [self.stage.name(), self.lane];
        let count = u64::try_from(polled.records.len()).unwrap_or(u64::MAX);
        self.metrics.records_in.with_label_values(&labels).inc_by(count);
        if !polled.records.is_empty() {
            crash::of(Point::Polled, self.stage.name());
        }
        let mut known = 0;
        for record in polled.records {
            known += u64::from(self.ledger.take(record, now));
        }
        self.count_remembered(known);
        self.pause_full_partitions();
        Ok(worked)
    }

    fn pause_full_partitions(&mut self) {
        let most = self.limits.partition_window;
        let loads: BTreeMap<_, _> = self.ledger.loads().collect();
        let full = loads.iter().filter(|(_, load)| **load >= most).map(|(at, _)| *at);
        for at in full.collect::<Vec<_>>() {
            if self.paused.insert(at) {
                self.member.pause(at, true);
            }
        }
        let roomy = |at: &TopicPartition| loads.get(at).is_none_or(|load| *load <= most / 2);
        for at in self.paused.iter().copied().filter(roomy).collect::<Vec<_>>() {
            self.paused.remove(&at);
            self.member.pause(at, false);
        }
    }

    fn hand_out(&mut self) -> bool {
        let mut worked = false;
        while self.handling < self.limits.batches {
            let now = self.world.now();
            let records = self.ledger.hand_out(self.limits.batch, now);
            if records.is_empty() {
                break;
            }
            worked = true;
            let (decoded, inputs) = self.decode(records, now);
            if !inputs.is_empty() {
                self.spawn(decoded, inputs);
            }
        }
        worked
    }

    /// Decodable records with their inputs; the others are settled at once.
    fn decode(
        &mut self,
        records: Vec<Arc<Incoming>>,
        now: Timestamp,
    ) -> (Vec<Arc<Incoming>>, Vec<Received<S::Input>>) {
        let mut decoded = Vec::with_capacity(records.len());
        let mut inputs = Vec::with_capacity(records.len());
        for record in records {
            match self.stage.decode(&record, &self.world.codec) {
                Ok(value) => {
                    let headers = Headers::from_raw(&record.headers);
                    inputs.push(Received { value, headers, position: record.position });
                    decoded.push(record);
                }
                Err(DecodeError::UnknownId(..)) => {
                    let retry_at = now.plus(self.limits.unknown_id_wait);
                    self.resolve(&record, Err(Fault { why: Reason::Undecodable, retry_at }));
                }
                Err(
                    DecodeError::NoFrame
                    | DecodeError::UnknownFingerprint(_)
                    | DecodeError::Malformed(_),
                ) => {
                    let why = Reason::Undecodable;
                    let headers = Headers::from_raw(&record.headers);
                    let failed = dead::failed(&headers, why, &self.world.codec, now);
                    let also = failed.into_iter().collect();
                    self.resolve(&record, Ok(Outcome::DeadLetter { why, also }));
                }
            }
        }
        (decoded, inputs)
    }

    fn spawn(&mut self, records: Vec<Arc<Incoming>>, inputs: Vec<Received<S::Input>>) {
        self.handling += 1;
        let stage = Arc::clone(&self.stage);
        let world = self.world.clone();
        let answers = self.answers.0.clone();
        self.world.spawn(async move {
            let handled = AssertUnwindSafe(stage.handle(&inputs, &world)).catch_unwind().await;
            let results = handled.ok().filter(|results| results.len() == records.len());
            // Room for every batch in flight: this never blocks; the worker may be gone already.
            let _ = answers.send((records, results));
        });
    }

    fn observe_latency(&self, record: &Incoming, now: Timestamp) {
        if let Some(accepted) = Headers::from_raw(&record.headers).accepted_at {
            let labels = [self.stage.name(), self.lane];
            let took = now.since(accepted).as_secs_f64();
            self.metrics.since_accepted.with_label_values(&labels).observe(took);
        }
    }

    fn report(&mut self) {
        let now = self.world.now();
        if !self.has_passed(self.last_report, REPORTED, now) {
            return;
        }
        self.last_report = now;
        self.ledger.forget_old(now);
        let labels = [self.stage.name(), self.lane];
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let behind = self.member.lag();
        let owned = i64::try_from(behind.len()).unwrap_or(i64::MAX);
        self.metrics.partitions.with_label_values(&labels).set(owned);
        let lag: u64 = behind.into_iter().map(|(_, behind)| behind).sum();
        self.metrics.lag.with_label_values(&labels).set(gauge(lag));
        let in_hand = u64::try_from(self.ledger.in_hand()).unwrap_or(u64::MAX);
        self.metrics.in_flight.with_label_values(&labels).set(gauge(in_hand));
        let oldest = self.ledger.oldest().map_or(0, |at| now.since(at).as_secs());
        self.metrics.oldest.with_label_values(&labels).set(gauge(oldest));
    }

    /// Steps until `stop` says so, then drains. Passing troubles of the log are waited out.
    ///
    /// # Errors
    /// `Fenced` and `Broken`.
    pub fn run(&mut self, stop: &dyn Fn() -> bool, grace: Duration) -> Result<(), LogError> {
        while !stop() {
            match self.step(self.limits.idle) {
                Ok(_) => {}
                Err(LogError::Unavailable(why)) => {
                    tracing::warn!(stage = self.stage.name(), why, "log unavailable, waiting");
                    self.gather(leaving::UNANSWERED);
                }
                Err(error @ (LogError::Fenced | LogError::Broken(_))) => return Err(error),
            }
        }
        self.drain(grace)
    }
}

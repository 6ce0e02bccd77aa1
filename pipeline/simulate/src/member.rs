//! A member of a group whose machine dies, and whose commits are answered wrongly, on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use runtime::embedded::{Call, EmbeddedLog, Fault};
use runtime::log::{CommitError, LogError, Member, Polled, TopicPartition, Transaction};

use crate::history::History;
use crate::universe::{Owner, Universe};

/// What a life ends with when it is cut in the middle of a call.
pub const CRASH: &str = "crash";

/// How often commits go wrong: once in so many, of each kind; never at 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shakes {
    /// Refused, or answered as unknown: applied or not.
    pub commit_fault: u64,
    /// The life ends before the commit is applied, or after it and before the answer.
    pub commit_crash: u64,
    pub poll_fault: u64,
}

/// Counts whatever may give somebody else something to do.
#[derive(Clone, Default)]
pub struct News(Arc<AtomicU64>);

impl News {
    pub fn tell(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The shipped member of the embedded log, shaken.
pub struct Shaken {
    pub inner: Box<dyn Member>,
    pub log: EmbeddedLog,
    pub universe: Universe,
    pub history: History,
    pub news: News,
    pub shakes: Shakes,
    pub owner: Owner,
    /// The last poll named partitions that the next one gives away.
    pub gives: bool,
}

impl Shaken {
    /// Puts a fault in the way of the next commit, which is ours.
    fn shake(&self) {
        let (fault, what) = match self.universe.draw(3) {
            0 => (Fault::RefuseBefore, "commit refused"),
            1 => (Fault::AppliedButUnknown, "commit unknown, applied"),
            _ => (Fault::NotAppliedUnknown, "commit unknown, not applied"),
        };
        self.history.fault(what);
        self.log.inject_at(Call::Commit, fault);
    }
}

impl Member for Shaken {
    fn poll(&mut self, max: usize, wait: Duration) -> Result<Polled, LogError> {
        if self.universe.once_in(self.shakes.poll_fault) {
            self.history.fault("poll unanswered");
            self.log.inject_at(Call::Poll, Fault::RefuseBefore);
        }
        if self.gives {
            // Until now what was begun of them could still be committed.
            self.history.loss(self.owner, "partitions moved");
        }
        let polled = self.inner.poll(max, wait)?;
        let moved =
            [("gets", &polled.assigned), ("gives", &polled.revoking), ("loses", &polled.lost)];
        for (what, partitions) in moved.into_iter().filter(|(_, some)| !some.is_empty()) {
            self.history.detail(|| format!("life {} {what} {}", self.owner, named(partitions)));
        }
        if self.gives || !polled.assigned.is_empty() || !polled.revoking.is_empty() {
            self.news.tell();
        }
        self.gives = !polled.revoking.is_empty();
        if !polled.lost.is_empty() {
            self.history.loss(self.owner, "partitions moved");
        }
        Ok(polled)
    }

    fn commit(&mut self, transaction: Transaction) -> Result<(), CommitError> {
        self.news.tell();
        let crash = || CommitError::Log(LogError::Broken(CRASH.into()));
        if self.universe.once_in(self.shakes.commit_crash) {
            if self.universe.draw(2) == 0 {
                self.history.fault("crash before a commit");
                return Err(crash());
            }
            self.history.fault("crash after a commit");
            // However it was answered: nobody is left to hear it.
            let _ = self.inner.commit(transaction);
            return Err(crash());
        }
        if self.universe.once_in(self.shakes.commit_fault) {
            self.shake();
        }
        let asked = transaction.clone();
        let answer = self.inner.commit(transaction);
        self.history.detail(|| format!("life {} commits {}: {answer:?}", self.owner, told(&asked)));
        answer
    }

    fn pause(&mut self, partition: TopicPartition, paused: bool) {
        self.inner.pause(partition, paused);
    }

    fn committed(&mut self) -> Result<Vec<(TopicPartition, u64)>, LogError> {
        self.inner.committed()
    }

    fn lag(&mut self) -> Vec<(TopicPartition, u64)> {
        self.inner.lag()
    }
}

fn told(transaction: &Transaction) -> String {
    let offsets = transaction.offsets.iter();
    let offsets = offsets.map(|(at, upto)| format!("{}/{}<{upto}", at.topic, at.partition));
    format!("{} with {} records", offsets.collect::<Vec<_>>().join(" "), transaction.outputs.len())
}

fn named(partitions: &[TopicPartition]) -> String {
    let names = partitions.iter().map(|at| format!("{}/{}", at.topic, at.partition));
    names.collect::<Vec<_>>().join(" ")
}

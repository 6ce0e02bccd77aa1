//! A seat in a consumer group: what comes in, and what is committed together with its offsets.

use std::sync::Arc;
use std::time::Duration;

use super::cluster::Cluster;
use super::delivery::Delivery;
use super::ring::{Failure, Ring};
use super::turns::State;
use crate::log::{CommitError, LogError, Member, Polled, Seat, TopicPartition, Transaction};

/// Dropping it is like a crash, on purpose: a static member does not leave the group, its successor
/// finds its partitions, and what it left open its successor aborts.
pub(super) struct KafkaMember {
    cluster: Arc<Cluster>,
    delivery: Delivery,
    ring: Ring,
    /// The consumer may stand elsewhere than the group's committed offsets: nothing is delivered
    /// or committed before it went back.
    astray: bool,
}

impl KafkaMember {
    pub(super) fn join(cluster: Arc<Cluster>, seat: &Seat) -> Result<Self, LogError> {
        for topic in &seat.topics {
            cluster.partitions(*topic)?;
        }
        // Before the consumer exists: offsets that an earlier holder left open are decided by now.
        let turns = 0..cluster.settings.producers_in_turn;
        let ids = turns.map(|turn| cluster.names.transactional(seat, turn)).collect();
        let ring = Ring::start(cluster.clone(), ids)?;
        let delivery = Delivery::subscribe(cluster.clone(), seat)?;
        Ok(Self { cluster, delivery, ring, astray: false })
    }

    /// Makes the member fit to deliver: producers alive, consumer at the committed offsets.
    fn recover(&mut self) -> Result<Vec<(TopicPartition, u64)>, LogError> {
        self.astray = true;
        match self.ring.state() {
            State::Fenced => return Err(LogError::Fenced),
            State::Idle => {}
            State::Broken
            | State::Open
            | State::OffsetsSent
            | State::Flushed
            | State::Committing
            | State::Aborting => self.ring.rebuild()?,
        }
        let limit = self.cluster.settings.call_timeout;
        let committed = self.delivery.committed(self.delivery.owned(), limit)?;
        self.delivery.go_back(&committed)?;
        self.astray = false;
        Ok(committed)
    }

    fn rewound(&mut self, why: String) -> Result<(), CommitError> {
        let committed = self.recover()?;
        tracing::warn!(target: "kafka", %why, "went back to the committed offsets");
        Err(CommitError::Rewound { committed, why })
    }
}

impl Member for KafkaMember {
    fn poll(&mut self, max: usize, wait: Duration) -> Result<Polled, LogError> {
        if self.ring.state() == State::Fenced {
            return Err(LogError::Fenced);
        }
        if self.astray {
            // What was named as revoking goes now, wherever the group stands.
            self.delivery.release()?;
            // The commit that led astray could not tell the caller.
            let committed = self.recover()?;
            return Ok(Polled { committed, ..Polled::default() });
        }
        self.delivery.poll(max, wait)
    }

    fn commit(&mut self, transaction: Transaction) -> Result<(), CommitError> {
        if transaction.outputs.is_empty() && transaction.offsets.is_empty() {
            return Ok(());
        }
        if self.astray {
            return self.rewound("the last outcome had to be found out first".into());
        }
        let delivery = &self.delivery;
        match self.ring.commit(&transaction, || delivery.group()) {
            Ok(()) => Ok(()),
            Err(Failure::Fenced) => Err(LogError::Fenced.into()),
            Err(Failure::Aborted(why) | Failure::Unknown(why)) => self.rewound(why),
            Err(Failure::Hopeless(why)) => {
                self.recover()?;
                Err(LogError::Broken(why).into())
            }
        }
    }

    fn pause(&mut self, partition: TopicPartition, paused: bool) {
        self.delivery.pause(partition, paused);
    }

    fn committed(&mut self) -> Result<Vec<(TopicPartition, u64)>, LogError> {
        self.delivery.committed(self.delivery.owned(), self.cluster.settings.call_timeout)
    }

    fn lag(&mut self) -> Vec<(TopicPartition, u64)> {
        self.delivery.lag()
    }
}

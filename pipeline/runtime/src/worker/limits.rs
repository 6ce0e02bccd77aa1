//! The bounds of a worker.

use std::time::Duration;

use crate::dead_limit::DeadLimits;

/// The bounds of a worker. Reaching one slows it down, it loses nothing.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Records handed to the stage at once.
    pub batch: usize,
    /// Batches being handled at once.
    pub batches: usize,
    /// Records between poll and commit; at this many the worker stops taking.
    pub window: usize,
    /// Records in hand of one partition; at this many it is paused, so that one partition whose head
    /// waits does not keep the others from being read.
    pub partition_window: usize,
    /// Records of one transaction.
    pub transaction: usize,
    /// Commits are at least this far apart, unless a transaction is full.
    pub cadence: Duration,
    /// A partition that is asked back is kept for so long, to finish and commit what was begun of it:
    /// longer than a stage may be silent about a record, far shorter than a session.
    pub leave: Duration,
    /// How long a poll waits when nothing is at hand.
    pub idle: Duration,
    /// A record that meets an unknown registry id waits this long.
    pub unknown_id_wait: Duration,
    /// When too many of its records are set aside for the fault to be theirs.
    pub dead: DeadLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch: 256,
            batches: 8,
            window: 4_000,
            partition_window: 1_000,
            transaction: 4_000,
            cadence: Duration::from_millis(20),
            leave: Duration::from_millis(1_500),
            idle: Duration::from_millis(20),
            unknown_id_wait: Duration::from_secs(5),
            dead: DeadLimits::default(),
        }
    }
}

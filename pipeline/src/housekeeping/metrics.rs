//! The metrics of what is done on the quiet.

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};
use schemas::ids::Timestamp;

use super::Task;

/// Name, help, labels.
pub const CATALOGUE: &[(&str, &str, &[&str])] = &[
    ("housekeeping_items_total", "Things removed or renewed, by kind.", &["item"]),
    ("housekeeping_failures_total", "Turns that failed, by task.", &["task"]),
    (
        "housekeeping_done_timestamp_seconds",
        "When the task was last done, in Unix time.",
        &["task"],
    ),
];

/// What housekeeping counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// Records of the embedded log that were too old.
    ExpiredRecord,
    /// Days of the object store.
    Day,
    /// Stored messages whose day went.
    StoredMessage,
    /// Citizen or transit keys wrapped by the newest master key.
    RewrappedKey,
    /// Keys of ended registrations that had come back.
    BuriedKey,
}

impl Item {
    fn name(self) -> &'static str {
        match self {
            Self::ExpiredRecord => "expired_record",
            Self::Day => "day",
            Self::StoredMessage => "stored_message",
            Self::RewrappedKey => "rewrapped_key",
            Self::BuriedKey => "buried_key",
        }
    }
}

/// The metrics of one process's housekeeping.
#[derive(Clone)]
pub struct HousekeepingMetrics {
    items: IntCounterVec,
    failures: IntCounterVec,
    done: IntGaugeVec,
}

impl HousekeepingMetrics {
    /// Registers all in `registry`.
    ///
    /// # Panics
    /// If a name is taken: start-up only, a mistake in this file.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        let [items, failures, done] = [0, 1, 2].map(|row| {
            let (name, help, labels) = CATALOGUE[row];
            (Opts::new(name, help), labels)
        });
        let items = IntCounterVec::new(items.0, items.1).expect("valid names");
        let failures = IntCounterVec::new(failures.0, failures.1).expect("valid names");
        let done = IntGaugeVec::new(done.0, done.1).expect("valid names");
        registry.register(Box::new(items.clone())).expect("each name once");
        registry.register(Box::new(failures.clone())).expect("each name once");
        registry.register(Box::new(done.clone())).expect("each name once");
        Self { items, failures, done }
    }

    pub(super) fn count(&self, item: Item, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.items.with_label_values(&[item.name()]).inc_by(count);
    }

    pub(super) fn done(&self, task: Task, at: Timestamp) {
        self.done.with_label_values(&[task.name()]).set(at.0.div_euclid(1_000));
    }

    #[cfg(test)]
    pub(super) fn failures(&self, task: Task) -> u64 {
        self.failures.with_label_values(&[task.name()]).get()
    }

    pub(super) fn failed(&self, task: Task) {
        self.failures.with_label_values(&[task.name()]).inc();
    }
}

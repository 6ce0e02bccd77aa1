//! How a worker parts from what it has in hand: partitions that are asked back, a member that was
//! barred, the end.
//!
//! A send that was answered and not committed would be repeated by whoever comes next. So what was
//! begun is finished and committed first, within bounds; and what was taken away is known for a while.

use std::time::{Duration, Instant};

use schemas::ids::Timestamp;

use super::Worker;
use crate::ledger::Begun;
use crate::log::{LogError, Member, TopicPartition};
use crate::stage::Stage;

/// One turn of draining.
const TURN: Duration = Duration::from_millis(20);
/// Between two looks at a log that does not answer.
pub(super) const UNANSWERED: Duration = Duration::from_millis(200);

/// Partitions that were asked back.
pub(super) struct Leaving {
    partitions: Vec<TopicPartition>,
    pub(super) since: Timestamp,
}

impl<S: Stage> Worker<S> {
    /// Nothing more of `partitions` is begun but what stands in the way of finished records.
    pub(super) fn leave(&mut self, partitions: &[TopicPartition], since: Timestamp) {
        if partitions.is_empty() {
            return;
        }
        for at in partitions {
            self.ledger.close(*at);
        }
        self.leaving = Some(Leaving { partitions: partitions.to_vec(), since });
    }

    /// Whether what was asked back waits for nothing but a commit, or for no longer.
    pub(super) fn leaves_now(&self, now: Timestamp) -> bool {
        self.leaving.as_ref().is_some_and(|leaving| {
            self.is_late(leaving, now)
                || !leaving.partitions.iter().any(|at| self.ledger.is_handling(*at))
        })
    }

    fn is_late(&self, leaving: &Leaving, now: Timestamp) -> bool {
        self.has_passed(leaving.since, self.limits.leave, now)
    }

    /// Lets go of what was asked back once nothing of it is begun, or its time is over: the next poll
    /// gives it away. True: something went.
    pub(super) fn let_go(&mut self) -> bool {
        let now = self.world.now();
        let begun = |at: &TopicPartition| self.ledger.has_begun(*at);
        let ready = |it: &Leaving| self.is_late(it, now) || !it.partitions.iter().any(begun);
        if !self.leaving.as_ref().is_some_and(ready) {
            return false;
        }
        let Some(leaving) = self.leaving.take() else { return false };
        for at in leaving.partitions {
            let begun = self.ledger.drop_partition(at);
            self.count_forgotten(begun);
        }
        true
    }

    /// Goes on through another member in the same seat, after the one before was barred from it. What
    /// was begun is not begun again, should its records come back uncommitted.
    pub fn sit(&mut self, member: Box<dyn Member>) {
        let begun = self.ledger.put_all_aside(self.world.now());
        self.count_forgotten(begun);
        self.member = member;
        self.leaving = None;
        self.paused.clear();
    }

    /// Stops taking; finishes and commits what was begun, within `grace`. What is left then is simply not
    /// committed and comes again. Passing troubles of the log are waited out.
    ///
    /// # Errors
    /// See [`Worker::step`]; `Unavailable` when the log did not answer until the end.
    pub fn drain(&mut self, grace: Duration) -> Result<(), LogError> {
        self.draining = true;
        self.ledger.close_all();
        let until = Instant::now() + grace;
        while (self.handling > 0 || self.ledger.has_begun_any()) && Instant::now() < until {
            match self.step(TURN) {
                Ok(_) => {}
                Err(LogError::Unavailable(_)) => {
                    let left = until.saturating_duration_since(Instant::now());
                    self.gather(UNANSWERED.min(left));
                }
                Err(error @ (LogError::Fenced | LogError::Broken(_))) => return Err(error),
            }
        }
        self.gather(Duration::ZERO);
        self.commit_if_due().map(|_| ())
    }

    pub(super) fn count_forgotten(&self, begun: Begun) {
        self.count("finished", begun.finished);
        self.count("under_way", begun.under_way);
    }

    pub(super) fn count_remembered(&self, records: u64) {
        self.count("remembered", records);
    }

    fn count(&self, state: &str, records: u64) {
        if records > 0 {
            let labels = [self.stage.name(), self.lane, state];
            self.metrics.forgotten.with_label_values(&labels).inc_by(records);
        }
    }
}

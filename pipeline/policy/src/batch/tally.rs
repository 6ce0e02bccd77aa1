//! How a batch's rows are counted: each row once, under what became of it last, so that the counters
//! always add up to the rows.

use schemas::records::{BatchPhase, BatchState, MessageStatus, Reason, Status};
use schemas::topics::Channel;
use serde::Serialize;

use super::life::is_over;

/// What became of one row, as far as events have told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    /// Absent: no event yet, or none that is a status.
    pub status: Option<Status>,
    pub reason: Reason,
    pub channel: Option<Channel>,
    epoch: u8,
}

const UNTOLD: Fate = Fate { status: None, reason: Reason::None, channel: None, epoch: 0 };

/// What became of the rows of one batch: eight bytes a row at most.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    fates: Vec<Fate>,
    ended: [i64; 6],
}

/// The final statuses, in the order in which they are counted.
const ENDS: [Status; 6] = [
    Status::Rejected,
    Status::NotOnBoard,
    Status::Notified,
    Status::Unnotified,
    Status::Expired,
    Status::Failed,
];

impl Tally {
    /// Takes in an event of row `row`, counted from 0. Order and repetition do not matter.
    pub fn take(&mut self, row: usize, event: &MessageStatus) {
        let Some(rank) = crate::status::rank(event.status) else { return };
        if self.fates.len() <= row {
            self.fates.resize(row + 1, UNTOLD);
        }
        let epoch = u8::try_from(event.epoch).unwrap_or(u8::MAX);
        let fate = &mut self.fates[row];
        let known = fate.status.and_then(crate::status::rank);
        let is_news = epoch > fate.epoch || known.is_none_or(|known| rank > known);
        if epoch < fate.epoch || !is_news {
            return;
        }
        let before = std::mem::replace(
            fate,
            Fate {
                status: Some(event.status),
                reason: event.reason,
                channel: event.channel,
                epoch,
            },
        );
        self.count(before.status, -1);
        self.count(Some(event.status), 1);
    }

    fn count(&mut self, status: Option<Status>, by: i64) {
        let place = ENDS.iter().position(|end| Some(*end) == status);
        place.into_iter().for_each(|place| self.ended[place] += by);
    }

    /// What is known of row `row`, counted from 0.
    #[must_use]
    pub fn fate(&self, row: usize) -> Fate {
        self.fates.get(row).copied().unwrap_or(UNTOLD)
    }
}

/// Where a batch's rows are. All but `rows` and `repeated` add up to `rows`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counters {
    pub rows: i64,
    /// Rows that say what an earlier one said, whatever became of them.
    pub repeated: i64,
    /// Never sent: the row itself is wrong.
    pub refused: i64,
    /// Checked and not sent: a dry run.
    pub valid: i64,
    /// Not released yet.
    pub waiting: i64,
    /// Not released, and never to be: the batch was cancelled.
    pub cancelled: i64,
    /// Released, without an end.
    pub in_progress: i64,
    pub rejected: i64,
    pub not_on_board: i64,
    pub notified: i64,
    pub unnotified: i64,
    pub expired: i64,
    pub failed: i64,
}

impl Counters {
    /// The sum of all places where a row can be.
    #[must_use]
    pub fn sum(&self) -> i64 {
        self.refused
            + self.valid
            + self.waiting
            + self.cancelled
            + self.in_progress
            + self.rejected
            + self.not_on_board
            + self.notified
            + self.unnotified
            + self.expired
            + self.failed
    }
}

/// Counts. Events may be ahead of the state or behind it: they come by other topics. No row is counted
/// twice or left out for that.
#[must_use]
pub fn count(state: &BatchState, tally: &Tally) -> Counters {
    let ended: i64 = tally.ended.iter().sum();
    // Rows that have ended are there, whatever the state says by now.
    let sendable = (state.rows - state.refused).max(ended);
    let open = sendable - ended;
    let left = (state.sent + state.withdrawn - ended).clamp(0, open);
    let unsent = open - left;
    let (mut valid, mut waiting, mut cancelled) = (0, 0, 0);
    if state.plan.dry_run {
        valid = unsent;
    } else if state.phase == BatchPhase::Cancelled {
        cancelled = unsent;
    } else {
        waiting = unsent;
    }
    let [rejected, not_on_board, notified, unnotified, expired, failed] = tally.ended;
    Counters {
        rows: state.refused + sendable,
        repeated: state.repeated,
        refused: state.refused,
        valid,
        waiting,
        cancelled,
        in_progress: left,
        rejected,
        not_on_board,
        notified,
        unnotified,
        expired,
        failed,
    }
}

/// Whether every row has its end.
#[must_use]
pub fn is_final(state: &BatchState, counters: &Counters) -> bool {
    is_over(state.phase) && counters.in_progress == 0 && counters.waiting == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemas::ids::{MessageId, ServiceId, Timestamp};
    use schemas::records::{BatchPlan, Sealed};

    use super::*;

    fn event(epoch: i32, status: Status) -> MessageStatus {
        MessageStatus {
            message_id: MessageId::from_parts(1, 1),
            service_id: ServiceId::from("s"),
            batch: None,
            epoch,
            sequence: 0,
            status,
            reason: Reason::None,
            channel: None,
            outcome: None,
            provider_id: None,
            attempt: 0,
            at: Timestamp(0),
        }
    }

    fn state(rows: i64, refused: i64, sent: i64, phase: BatchPhase) -> BatchState {
        BatchState {
            batch_id: "b".into(),
            service_id: ServiceId::from("s"),
            plan: BatchPlan {
                created_at: Timestamp(0),
                dry_run: false,
                not_before: None,
                window_from: None,
                window_to: None,
                digest: Vec::new(),
                wrapped_key: Sealed::default(),
                settings: Sealed::default(),
            },
            phase,
            complete: true,
            chunks: 1,
            rows,
            refused,
            repeated: 0,
            released: sent,
            sent,
            withdrawn: 0,
            answered: 0,
            updated_at: Timestamp(0),
        }
    }

    proptest! {
        #[test]
        fn the_counters_add_up_to_the_rows_however_far_events_are_ahead_or_behind(
            rows in 0_i64..40, refused in 0_i64..40, sent in 0_i64..40, cancelled in any::<bool>(),
            events in prop::collection::vec((0_usize..40, 0_i32..3, 0_usize..10), 0..200)
        ) {
            let phase = if cancelled { BatchPhase::Cancelled } else { BatchPhase::Releasing };
            let state = state(rows, refused.min(rows), sent.min(rows), phase);
            let mut tally = Tally::default();
            for (row, epoch, status) in events {
                tally.take(row, &event(epoch, Status::ALL[status]));
                let counters = count(&state, &tally);
                prop_assert_eq!(counters.sum(), counters.rows);
                prop_assert!(counters.waiting >= 0 && counters.cancelled >= 0);
                prop_assert!(counters.in_progress >= 0 && counters.rows >= rows);
            }
        }

        #[test]
        fn neither_order_nor_repetition_of_events_matters(
            events in prop::collection::vec((0_usize..3, 0_i32..3, 0_usize..10), 0..12), seed in any::<u64>()
        ) {
            // Of one epoch a message has one end.
            let mut ends = std::collections::BTreeMap::new();
            let mut kept = Vec::new();
            for (row, epoch, status) in events {
                let status = Status::ALL[status];
                if !status.is_final() || *ends.entry((row, epoch)).or_insert(status) == status {
                    kept.push((row, epoch, status));
                }
            }
            let all = |events: &[(usize, i32, Status)]| {
                let mut tally = Tally::default();
                events.iter().for_each(|(row, epoch, status)| tally.take(*row, &event(*epoch, *status)));
                (0..3).map(|row| tally.fate(row).status).collect::<Vec<_>>()
            };
            let straight = all(&kept);
            let mut mixed = [kept.clone(), kept].concat();
            let length = mixed.len().max(1);
            for at in 0..mixed.len() {
                mixed.swap(at, (usize::try_from(seed % 1_000).unwrap() * (at + 7)) % length);
            }
            prop_assert_eq!(all(&mixed), straight);
        }
    }

    #[test]
    fn a_redrive_takes_a_row_back_from_the_failed_ones() {
        let state = state(1, 0, 1, BatchPhase::Finished);
        let mut tally = Tally::default();
        let check = |tally: &Tally, failed, open, notified| {
            let counters = count(&state, tally);
            let found = (counters.failed, counters.in_progress, counters.notified);
            assert_eq!(found, (failed, open, notified));
        };
        tally.take(0, &event(0, Status::Failed));
        check(&tally, 1, 0, 0);
        tally.take(0, &event(1, Status::Stored));
        check(&tally, 0, 1, 0);
        tally.take(0, &event(1, Status::Notified));
        check(&tally, 0, 0, 1);
    }

    #[test]
    fn what_was_not_released_when_a_batch_was_cancelled_is_cancelled() {
        let counters = count(&state(10, 2, 5, BatchPhase::Cancelled), &Tally::default());
        assert_eq!((counters.refused, counters.in_progress, counters.cancelled), (2, 5, 3));
        assert!(!is_final(&state(10, 2, 5, BatchPhase::Cancelled), &counters));
    }
}

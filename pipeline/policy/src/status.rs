//! Which status may follow which, and what a view keeps.

use schemas::records::{MessageStatus, Status};

/// The rank of a status; within an epoch it never falls. Events without a rank of their own
/// (ATTEMPT, WAITING) change no status.
#[must_use]
pub fn rank(status: Status) -> Option<u8> {
    match status {
        Status::Accepted => Some(0),
        Status::Stored => Some(1),
        Status::Rejected
        | Status::NotOnBoard
        | Status::Notified
        | Status::Unnotified
        | Status::Expired
        | Status::Failed => Some(2),
        Status::Attempt | Status::Waiting => None,
    }
}

/// Whether `event` is news to a view that holds `current`: a later epoch, or a later sequence of the
/// same epoch whose rank does not fall. A repeat of what is known is no news.
#[must_use]
pub fn advance(current: Option<&MessageStatus>, event: &MessageStatus) -> bool {
    let Some(rank_of_event) = rank(event.status) else { return false };
    let Some(current) = current else { return true };
    if event.epoch != current.epoch {
        return event.epoch > current.epoch;
    }
    event.sequence > current.sequence && rank_of_event > rank(current.status).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use schemas::ids::{MessageId, ServiceId, Timestamp};
    use schemas::records::Reason;

    use super::*;

    fn event(epoch: i32, sequence: i32, status: Status) -> MessageStatus {
        MessageStatus {
            message_id: MessageId::from_parts(1, 1),
            service_id: ServiceId::from("s"),
            batch: None,
            epoch,
            sequence,
            status,
            reason: Reason::None,
            channel: None,
            outcome: None,
            provider_id: None,
            attempt: 0,
            at: Timestamp(0),
        }
    }

    fn check(current: (i32, i32, Status), next: (i32, i32, Status), expected: bool) {
        let current = event(current.0, current.1, current.2);
        assert_eq!(advance(Some(&current), &event(next.0, next.1, next.2)), expected);
    }

    #[test]
    fn a_final_status_is_followed_by_none_of_the_same_epoch() {
        for first in Status::ALL.into_iter().filter(|status| status.is_final()) {
            for second in Status::ALL {
                check((0, 2, first), (0, 3, second), false);
            }
        }
    }

    /// Hazard H2, seen in VA Notify (its issue 1097) and GOV.UK Notify: a late `sent` after `delivered`.
    #[test]
    fn a_late_event_does_not_lower_the_status() {
        check((0, 1, Status::Stored), (0, 0, Status::Accepted), false);
        check((0, 1, Status::Stored), (0, 2, Status::Accepted), false);
    }

    #[test]
    fn a_later_epoch_wins_whatever_its_rank() {
        check((0, 2, Status::Failed), (1, 3, Status::Accepted), true);
        check((1, 3, Status::Accepted), (0, 2, Status::Notified), false);
    }

    #[test]
    fn attempts_and_waiting_change_no_status() {
        check((0, 1, Status::Stored), (0, 2, Status::Attempt), false);
        check((0, 1, Status::Stored), (0, 2, Status::Waiting), false);
    }

    #[test]
    fn the_first_event_is_news() {
        assert!(advance(None, &event(0, 1, Status::Stored)));
    }
}

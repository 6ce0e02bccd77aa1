//! What became of a row, in plain words for its sender. Says nothing of the citizen beyond what the sender
//! may know.

use schemas::records::{BatchPhase, BatchState, Reason, Status};
use schemas::topics::Channel;

use super::tally::Fate;

/// Where a row is that was not refused, counted from 0: a word and a sentence.
#[must_use]
pub fn of_row(state: &BatchState, row: i64, fate: &Fate) -> (&'static str, &'static str) {
    if let Some(status) = fate.status {
        return (status.name(), of_fate(fate));
    }
    if state.plan.dry_run {
        return ("VALID", "Checked and not sent: a dry run.");
    }
    if row < state.released {
        return ("RELEASED", of_fate(fate));
    }
    match state.phase {
        BatchPhase::Cancelled => ("CANCELLED", "Not sent: the batch was cancelled before."),
        BatchPhase::Receiving => ("WAITING", "Not sent yet: the batch is not complete."),
        BatchPhase::Scheduled => ("WAITING", "Not sent yet: the batch's time has not come."),
        BatchPhase::Paused => ("WAITING", "Not sent yet: the batch is paused."),
        BatchPhase::Releasing | BatchPhase::Finished | BatchPhase::Unknown => {
            ("WAITING", "Not sent yet: its turn has not come.")
        }
    }
}

/// A sentence on what became of a row that was released.
#[must_use]
pub fn of_fate(fate: &Fate) -> &'static str {
    let Some(status) = fate.status else {
        return "Handed over; there is no news of it yet.";
    };
    match status {
        Status::Accepted | Status::Attempt | Status::Waiting => {
            "On its way; the citizen's choices have been asked for."
        }
        Status::Stored => "In the citizen's inbox; the notification is on its way.",
        Status::Notified => match fate.channel {
            Some(Channel::Email) => "A mail server has taken the email.",
            Some(Channel::Apns | Channel::Fcm) | None => {
                "In the citizen's inbox; a telephone's provider has taken the notification."
            }
        },
        Status::NotOnBoard => "The citizen does not receive messages here.",
        Status::Rejected => rejected(fate.reason),
        Status::Unnotified => unnotified(fate.reason),
        Status::Expired => {
            "In the citizen's inbox; its time to notify passed without a notification."
        }
        Status::Failed => "Set aside by a fault of ours; our operators will look at it.",
    }
}

fn rejected(reason: Reason) -> &'static str {
    if reason == Reason::NotActivated {
        "The citizen has not activated the service."
    } else if reason == Reason::RightsWithdrawn {
        "When the row's turn came the service was no longer allowed to send it; ask for the permission \
         and send the row again."
    } else {
        "The citizen does not take messages from this service."
    }
}

fn unnotified(reason: Reason) -> &'static str {
    if reason == Reason::NoChannel {
        "In the citizen's inbox; there is no telephone or mailbox to notify."
    } else {
        "In the citizen's inbox; no provider took the notification."
    }
}

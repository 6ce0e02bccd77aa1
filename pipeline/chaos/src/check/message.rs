//! The rules of one message's events.

use super::choices::{self, Weight};
use crate::evidence::{Choice, minted_at};
use crate::records::{Channel, Event, Status};
use crate::sample::{Message, Outlook, Sample};

/// The clocks of two processes on one machine, and rounding.
const SLACK_MS: i64 = 50;

/// Everything that is wrong with `events`, in the order in which the log holds them, of a message
/// that was answered with 201.
pub fn faults(
    events: &[Event],
    sample: &Sample,
    sent: &Message,
    refusal: Option<&Choice>,
    time_scale: f64,
) -> Vec<&'static str> {
    let mut faults = order(events);
    if events.iter().any(|event| event.service_id != sent.service_id) {
        faults.push("an event under another service");
    }
    let ends: Vec<&Event> = events.iter().filter(|event| event.status.is_final()).collect();
    if let [end] = ends[..] {
        let stored = events.iter().any(|event| event.status == Status::Stored);
        let outlook = sample.outlook(sent);
        let expected = match (outlook, choices::weight(refusal, end)) {
            (Outlook::Deliver { .. }, Weight::Refused) => end.status == Status::Rejected && !stored,
            (Outlook::Deliver { .. }, Weight::Either) => {
                choices::is_refusal(end) || as_expected(outlook, end, stored)
            }
            (Outlook::Deliver { .. }, Weight::None)
            | (Outlook::Rejected | Outlook::NotOnBoard | Outlook::Fallback { .. }, _) => {
                as_expected(outlook, end, stored)
            }
        };
        if !expected {
            faults.push("an end that the data do not allow");
        }
        if end.status == Status::Expired && is_early(end, sent, time_scale) {
            faults.push("expired before its time");
        }
        if end.status == Status::Failed {
            faults.push("failed");
        }
    }
    faults
}

/// What holds whoever sent the message: exactly one end, no gap, no step back.
pub fn order(events: &[Event]) -> Vec<&'static str> {
    let mut faults = Vec::new();
    match events.iter().filter(|event| event.status.is_final()).count() {
        1 => {}
        0 => faults.push("no final status"),
        _ => faults.push("more than one final status"),
    }
    if events.iter().any(|event| event.epoch != 0) {
        faults.push("an epoch without a redrive");
    }
    if events.iter().zip(0..).any(|(event, expected)| event.sequence != expected) {
        faults.push("a gap, a repeat or a disorder in the sequence");
    }
    if events.first().is_some_and(|event| event.status != Status::Accepted) {
        faults.push("does not begin with ACCEPTED");
    }
    let ranks: Vec<u8> = events.iter().filter_map(|event| event.status.rank()).collect();
    if ranks.windows(2).any(|pair| pair[0] >= pair[1]) {
        faults.push("a rank that does not rise");
    }
    let end = events.iter().position(|event| event.status.is_final());
    let after = end.map_or(&[][..], |end| &events[end + 1..]);
    if after.iter().any(|event| event.status == Status::Waiting) {
        faults.push("waits after its end");
    }
    faults
}

fn as_expected(outlook: Outlook, end: &Event, stored: bool) -> bool {
    match outlook {
        Outlook::Rejected => end.status == Status::Rejected && !stored,
        Outlook::NotOnBoard => end.status == Status::NotOnBoard && !stored,
        Outlook::Fallback { taken } => {
            let mailed = end.status == Status::Notified && end.channel == Some(Channel::Email);
            !stored && (mailed || (!taken && end.status == Status::NotOnBoard))
        }
        Outlook::Deliver { push, email, sure } => {
            let ended = match (end.status, end.channel) {
                (Status::Notified, Some(Channel::Apns | Channel::Fcm)) => push,
                (Status::Notified, Some(Channel::Email)) => email,
                (Status::Unnotified, _) => !sure,
                (Status::Expired, _) => true,
                (
                    Status::Notified
                    | Status::Accepted
                    | Status::Rejected
                    | Status::NotOnBoard
                    | Status::Stored
                    | Status::Failed
                    | Status::Attempt
                    | Status::Waiting,
                    _,
                ) => false,
            };
            stored && ended
        }
    }
}

/// The time to live is counted from the acceptance, which the id dates, and passes faster by
/// `time_scale`.
fn is_early(end: &Event, sent: &Message, time_scale: f64) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "at most a week of seconds")]
    let seconds = sent.seconds_to_live() as f64 / time_scale;
    #[expect(clippy::cast_possible_truncation, reason = "as above")]
    let lives = (seconds * 1_000.0) as i64;
    minted_at(&end.message_id).is_none_or(|minted| end.at < minted + lives - SLACK_MS)
}

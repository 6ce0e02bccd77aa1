//! The shape of each message's events.

use schemas::ids::MessageId;
use schemas::records::{MessageStatus, Status};

use super::{Court, Evidence};

pub(super) fn judge(court: &mut Court, evidence: &Evidence) {
    for id in evidence.accepted.keys().chain(&evidence.spoilt) {
        let events = evidence.events.get(id).map_or(&[][..], Vec::as_slice);
        let spoilt = !evidence.accepted.contains_key(id);
        judge_one(court, *id, events, spoilt);
    }
    for id in evidence.events.keys() {
        let known = evidence.accepted.contains_key(id) || evidence.spoilt.contains(id);
        court.holds("nobody has a status who was not accepted", known, || format!("{id}"));
    }
}

fn judge_one(court: &mut Court, id: MessageId, events: &[MessageStatus], spoilt: bool) {
    let told = || format!("{id}: {}", line(events));
    let count = |status| events.iter().filter(|event| event.status == status).count();
    let finals = events.iter().filter(|event| event.status.is_final()).count();
    court.holds("an accepted message has exactly one final status", finals == 1, told);
    let in_order = (0..).zip(events).all(|(n, event)| event.sequence == n);
    court.holds("sequences run from 0 without a gap or a double", in_order, told);
    let first = if spoilt { Status::Failed } else { Status::Accepted };
    let begins = events.first().is_none_or(|event| event.status == first);
    court.holds("ACCEPTED comes first", begins, told);
    court.holds(
        "ACCEPTED and STORED come once",
        count(Status::Accepted) <= 1 && count(Status::Stored) <= 1,
        told,
    );
    let ranks: Vec<u8> = events.iter().filter_map(|event| rank(event.status)).collect();
    court.holds("ranks never fall", ranks.is_sorted(), told);
    court.holds("all is one epoch", events.iter().all(|event| event.epoch == 0), told);
    court.holds("events are told in order of time", events.is_sorted_by_key(|it| it.at), told);
    let after = events.iter().skip_while(|event| !event.status.is_final()).skip(1);
    let silent = after.clone().all(|event| event.status == Status::Attempt);
    court.holds("after the final status there are attempts only", silent, told);
}

/// Independent of the shipped one.
fn rank(status: Status) -> Option<u8> {
    match status {
        Status::Attempt | Status::Waiting => None,
        Status::Accepted => Some(0),
        Status::Stored => Some(1),
        Status::Rejected
        | Status::NotOnBoard
        | Status::Notified
        | Status::Unnotified
        | Status::Expired
        | Status::Failed => Some(2),
    }
}

/// A message's events on one line.
pub(super) fn line(events: &[MessageStatus]) -> String {
    let words = events.iter().map(|event| {
        let channel = event.channel.map_or("", |channel| channel.name());
        format!("{}:{}({}){channel}", event.sequence, event.status.name(), event.reason.name())
    });
    words.collect::<Vec<_>>().join(" ")
}

//! Every final status has a cause in what happened.

use schemas::ids::{Pseudonym, Timestamp};
use schemas::records::{MessageAccepted, MessageStatus, OutcomeKind, Reason, Status};

use super::statuses::line;
use super::{Court, Evidence};
use crate::people::generation;
use crate::stand::Stand;

pub(super) fn judge(court: &mut Court, evidence: &Evidence) {
    for (id, message) in &evidence.accepted {
        let Some(ended) = evidence.final_of(*id) else { continue };
        let told = || format!("{id}: {}", line(&evidence.events[id]));
        let taken = taken(evidence, message);
        let notified = ended.status == Status::Notified;
        court.holds(
            "NOTIFIED if and only if a provider took it",
            taken.is_some() == notified,
            told,
        );
        if let (Some(taken), true) = (taken, notified) {
            court.holds("the first acceptance is the final status", taken == ended, told);
        }
        let explained = is_explained(evidence, message, ended);
        court.holds("a final status has a cause in the citizen's choices", explained, told);
    }
    for id in &evidence.spoilt {
        let failed = evidence.final_of(*id).is_some_and(|ended| ended.status == Status::Failed);
        court.holds("what nobody can read ends as FAILED", failed, || format!("{id}"));
    }
}

/// The first event that tells of an acceptance.
fn taken<'a>(evidence: &'a Evidence, message: &MessageAccepted) -> Option<&'a MessageStatus> {
    let events = evidence.events.get(&message.message_id)?;
    events.iter().find(|event| {
        let answered = evidence.send_of(event).and_then(|(_, send)| send.answered);
        answered.is_some_and(|answered| answered.kind == OutcomeKind::Accepted)
    })
}

fn is_explained(evidence: &Evidence, message: &MessageAccepted, ended: &MessageStatus) -> bool {
    let service = message.service_id.as_str();
    let between = |holds: &dyn Fn(&Stand) -> bool| {
        stands(evidence, message.citizen, message.accepted_at, ended.at).iter().any(holds)
    };
    let generation_of = evidence.permitted.get(&message.message_id);
    match ended.status {
        Status::NotOnBoard => between(&|stand| stand.registration.is_none() || !stand.inbox),
        Status::Rejected => between(&|stand| stand.registration.is_some() && !stand.takes(service)),
        Status::Unnotified if ended.reason == Reason::ConsentWithdrawn => between(&|stand| {
            let same = stand.registration.map(|it| generation(message.citizen, it));
            !stand.takes(service) || same.as_ref() != generation_of
        }),
        Status::Unnotified if ended.reason == Reason::ChainExhausted => {
            let mut sends = evidence.happened.sends.iter().filter(|send| send.left);
            sends.any(|send| send.message == message.message_id)
        }
        // Nobody to be reached: the model does not follow which devices died.
        Status::Unnotified => generation_of.is_some(),
        Status::Notified => true,
        Status::Expired => generation_of.is_some(),
        Status::Failed => false,
        Status::Accepted | Status::Stored | Status::Attempt | Status::Waiting => false,
    }
}

/// Every way in which the citizen may have stood at some moment from `from` to `to`.
pub(super) fn stands(
    evidence: &Evidence,
    citizen: Pseudonym,
    from: Timestamp,
    to: Timestamp,
) -> Vec<Stand> {
    let choices = evidence.happened.choices.get(&citizen).map_or(&[][..], Vec::as_slice);
    let mut stands = vec![Stand::default()];
    for choice in choices {
        if choice.in_force.is_some_and(|it| it.at < from) {
            stands.clear();
        }
        if choice.begun.at <= to {
            stands.push(choice.stand.clone());
        }
    }
    stands
}

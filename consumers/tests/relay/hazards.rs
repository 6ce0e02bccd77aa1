//! What went wrong elsewhere and must not here.

use schemas::records::{MessageStatus, OutcomeKind, Reason, Status};

use super::{LONG, a_crowd};
use crate::rig::Rig;

/// Whether an event says one thing only: what became of the message, why, and what the provider said.
fn agrees(event: &MessageStatus) -> bool {
    let taken = event.outcome == Some(OutcomeKind::Accepted);
    let why = event.reason;
    match event.status {
        Status::Accepted | Status::Stored => event.outcome.is_none() && why == Reason::None,
        Status::Notified => taken && why == Reason::Delivered && event.channel.is_some(),
        Status::Attempt => event.outcome.is_some() && taken == (why == Reason::Delivered),
        Status::Waiting => !taken && why != Reason::None && why != Reason::Delivered,
        Status::Rejected => {
            event.outcome.is_none() && matches!(why, Reason::SenderBlocked | Reason::NotActivated)
        }
        Status::NotOnBoard | Status::Unnotified | Status::Failed => {
            !taken && why != Reason::None && why != Reason::Delivered
        }
        Status::Expired => !taken && why == Reason::TimeToLive,
    }
}

/// Hazard H3, seen in VA Notify (its issue 1630): delivered, with a reason for the failure beside it.
#[test]
fn status_reason_and_outcome_agree_in_every_event() {
    let mut events = 0;
    for seed in 31..=33 {
        let mut rig = Rig::new(seed);
        a_crowd(&mut rig);
        rig.run_for(LONG);
        for event in rig.events().into_values().flatten() {
            assert!(agrees(&event), "seed {seed}: {event:?}");
            events += 1;
        }
    }
    assert!(events > 500, "{events} events were looked at");
    let delivered_though_full = MessageStatus { reason: Reason::MailboxFull, ..sample() };
    assert!(agrees(&sample()) && !agrees(&delivered_though_full));
}

fn sample() -> MessageStatus {
    MessageStatus {
        message_id: schemas::ids::MessageId::from_parts(1, 1),
        service_id: "s".into(),
        batch: None,
        epoch: 0,
        sequence: 2,
        status: Status::Notified,
        reason: Reason::Delivered,
        channel: Some(schemas::topics::Channel::Email),
        outcome: Some(OutcomeKind::Accepted),
        provider_id: None,
        attempt: 1,
        at: schemas::ids::Timestamp(0),
    }
}

//! Sends that left and are not answered: what goes on without them, and how they end.

use std::time::Duration;

use policy::outcome::{Answer, AttemptOutcome};
use schemas::ids::MessageId;
use schemas::records::{MessageStatus, OutcomeKind, Reason, Status};
use schemas::topics::{Channel, Topic};

use super::{MINUTE, check_each_ended_once, final_of};
use crate::people::{PEOPLE, Person};
use crate::rig::Rig;

const SECOND: Duration = Duration::from_secs(1);
/// Longer than any port waits for an answer.
const FOREVER: Duration = Duration::from_secs(3_600);
const PHONE: Person = PEOPLE[1];
const MAILBOX: Person = PEOPLE[3];

/// A world in which every send is taken at once, but that about the first message to `person`, which
/// takes so long.
fn silent(seed: u64, person: Person, channel: Channel, takes: Duration) -> (Rig, MessageId) {
    let mut rig = Rig::new(seed);
    let message = rig.message(0, person, 30 * MINUTE);
    let id = message.headers.message_id.expect("ours");
    for (at, port) in &rig.ports {
        *port.always.lock() = Some(Answer::new(AttemptOutcome::Accepted, Reason::Delivered));
        let takes = if *at == channel { takes } else { Duration::ZERO };
        *port.takes.lock() = Some((id, takes));
    }
    rig.write(vec![message]);
    (rig, id)
}

fn seen(rig: &Rig, id: MessageId) -> Vec<(Status, Option<OutcomeKind>, Reason)> {
    let events = rig.events().remove(&id).unwrap_or_default();
    let seen = |it: &MessageStatus| (it.status, it.outcome, it.reason);
    events.iter().skip_while(|it| it.status != Status::Stored).skip(1).map(seen).collect()
}

fn sends_of(rig: &Rig, channel: Channel, id: MessageId) -> usize {
    rig.ports[&channel].sent.lock().iter().filter(|(message, ..)| *message == id).count()
}

const AWAITED: (Status, Option<OutcomeKind>, Reason) = (Status::Waiting, None, Reason::AnswerLater);
const NOTIFIED: (Status, Option<OutcomeKind>, Reason) =
    (Status::Notified, Some(OutcomeKind::Accepted), Reason::Delivered);
const SILENCE: (Status, Option<OutcomeKind>, Reason) =
    (Status::Attempt, Some(OutcomeKind::Indeterminate), Reason::NoAnswer);

/// Hazard H8, seen in Segment Centrifuge and Convoy: one slow destination holds all others up.
#[test]
fn a_silent_device_holds_up_neither_its_neighbours_nor_the_next_messages_to_it() {
    let (mut rig, id) = silent(21, PHONE, Channel::Apns, FOREVER);
    // Of the same citizen, so behind it in its partition and by its key.
    let next = (1..=2).map(|n| rig.message(n, PHONE, 30 * MINUTE)).collect();
    rig.write(next);
    rig.run_for(9 * SECOND);
    let mut events = rig.events();
    assert_eq!(
        events.remove(&id).and_then(|it| it.last().map(|it| it.status)),
        Some(Status::Waiting)
    );
    assert_eq!(events.len(), 2);
    for of_one in events.values() {
        assert_eq!(final_of(of_one), (Status::Notified, Reason::Delivered));
    }
}

#[test]
fn a_late_answer_ends_its_message_without_a_second_send() {
    let (mut rig, id) = silent(22, PHONE, Channel::Apns, 4 * SECOND);
    rig.run_for(MINUTE);
    assert_eq!(seen(&rig, id), [AWAITED, NOTIFIED]);
    assert_eq!(sends_of(&rig, Channel::Apns, id), 1);
    assert_eq!(rig.read(Topic::Decision).len(), 1, "one send, one decision");
}

#[test]
fn silence_counts_as_unknown_and_is_repeated() {
    let (mut rig, id) = silent(23, PHONE, Channel::Apns, FOREVER);
    rig.run_for(15 * SECOND);
    *rig.ports[&Channel::Apns].takes.lock() = Some((id, Duration::ZERO));
    rig.run_for(2 * MINUTE);
    assert_eq!(seen(&rig, id), [AWAITED, SILENCE, NOTIFIED]);
    assert_eq!(sends_of(&rig, Channel::Apns, id), 2);
    assert_eq!(rig.read(Topic::Decision).len(), 2);
}

#[test]
fn an_answer_lost_with_its_process_is_a_harmless_repeat() {
    let (mut rig, id) = silent(24, PHONE, Channel::Apns, 4 * SECOND);
    rig.run_for(3 * SECOND);
    assert_eq!(sends_of(&rig, Channel::Apns, id), 1);
    // Its story has gone on; what still runs is the wait for the answer alone.
    assert_eq!(rig.seeded.forget_tasks(), 1);
    *rig.ports[&Channel::Apns].takes.lock() = Some((id, Duration::ZERO));
    rig.run_for(2 * MINUTE);
    assert_eq!(seen(&rig, id), [AWAITED, SILENCE, NOTIFIED]);
    check_each_ended_once(&rig.events(), 1, 24);
}

#[test]
fn a_mail_of_unknown_outcome_is_repeated_once_and_no_more() {
    let (mut rig, id) = silent(25, MAILBOX, Channel::Email, FOREVER);
    rig.run_for(40 * MINUTE);
    assert_eq!(sends_of(&rig, Channel::Email, id), 2);
    let ended = (Status::Unnotified, None, Reason::ChainExhausted);
    assert_eq!(seen(&rig, id), [AWAITED, SILENCE, SILENCE, ended]);
}

#[test]
fn what_a_provider_took_is_said_also_of_somebody_who_opted_out_meanwhile() {
    let (mut rig, id) = silent(26, PHONE, Channel::Apns, 6 * SECOND);
    rig.run_for(3 * SECOND);
    rig.write(vec![PHONE.opt_out()]);
    rig.run_for(10 * MINUTE);
    assert_eq!(seen(&rig, id), [AWAITED, NOTIFIED]);
    assert_eq!(sends_of(&rig, Channel::Apns, id), 1);
}

#[test]
fn an_opt_out_during_the_silence_stops_the_repeat() {
    let (mut rig, id) = silent(27, PHONE, Channel::Apns, FOREVER);
    rig.run_for(3 * SECOND);
    rig.write(vec![PHONE.opt_out()]);
    rig.run_for(10 * MINUTE);
    let ended = (Status::Unnotified, None, Reason::ConsentWithdrawn);
    assert_eq!(seen(&rig, id), [AWAITED, SILENCE, ended]);
    assert_eq!(sends_of(&rig, Channel::Apns, id), 1);
}

#[test]
fn a_finished_message_still_tells_what_its_silent_device_was_answered() {
    let both = PEOPLE[0];
    let (mut rig, id) = silent(28, both, Channel::Apns, 4 * SECOND);
    rig.run_for(MINUTE);
    let late = (Status::Attempt, Some(OutcomeKind::Accepted), Reason::Delivered);
    assert_eq!(seen(&rig, id), [NOTIFIED, late]);
    assert_eq!(sends_of(&rig, Channel::Fcm, id), 1, "the other phone did not wait");
}

//! An undecodable record of a citizen: their messages wait for operators, and nobody else's do.

use std::time::Duration;

use consumers::channel::NotStarted;
use policy::outcome::{Answer, AttemptOutcome};
use schemas::records::{Reason, Status};
use schemas::topics::{Channel, Topic};

use super::{MINUTE, check_each_ended_once, final_of};
use crate::people::{PEOPLE, Person};
use crate::rig::Rig;

const HELD: Person = PEOPLE[1];
const EACH: u64 = 6;

/// Every send that starts is taken at once.
fn kind(seed: u64) -> Rig {
    let rig = Rig::new(seed);
    for port in rig.ports.values() {
        *port.always.lock() = Some(Answer::new(AttemptOutcome::Accepted, Reason::Delivered));
        *port.all_take.lock() = Some(Duration::ZERO);
    }
    rig
}

/// Some messages to everybody, one after the other, so that there are some behind the held one's.
fn to_everybody(rig: &mut Rig) -> u64 {
    let all = (0..EACH).flat_map(|turn| PEOPLE.into_iter().zip(turn * 5..));
    let messages: Vec<_> = all.map(|(to, n)| rig.message(n, to, 40 * MINUTE)).collect();
    let count = messages.len() as u64;
    rig.write(messages);
    count
}

/// Ended, and still without an end.
fn counts(rig: &Rig) -> (u64, usize) {
    let ended = |events: &[schemas::records::MessageStatus]| {
        events.iter().any(|event| event.status.is_final())
    };
    let events = rig.events();
    let (yes, no): (Vec<_>, Vec<_>) = events.values().partition(|it| ended(it));
    (yes.len() as u64, no.len())
}

#[test]
fn a_held_citizens_messages_wait_and_nobody_elses_do() {
    let mut rig = kind(51);
    rig.write(vec![HELD.spoilt()]);
    rig.run_for(Duration::from_secs(5));
    let all = to_everybody(&mut rig);
    rig.run_for(3 * MINUTE);
    assert_eq!(counts(&rig), (all - EACH, 0), "the others have ended, of the held nothing is said");
    rig.write(vec![HELD.mended()]);
    rig.run_for(6 * MINUTE);
    check_each_ended_once(&rig.events(), all, 51);
}

#[test]
fn whoever_is_held_before_a_send_is_sent_nothing_until_they_are_not() {
    let mut rig = kind(52);
    *rig.ports[&Channel::Apns].starts_nothing.lock() = Some(NotStarted::Late);
    let message = rig.message(0, HELD, 30 * MINUTE);
    rig.write(vec![message]);
    rig.run_for(Duration::from_secs(5));
    rig.write(vec![HELD.spoilt()]);
    rig.run_for(Duration::from_secs(10));
    *rig.ports[&Channel::Apns].starts_nothing.lock() = None;
    rig.run_for(3 * MINUTE);
    assert_eq!(rig.sends(), 0);
    assert!(
        !rig.read(Topic::Delay(
            schemas::topics::DelayClass::OneMinute,
            schemas::topics::Lane::Live
        ))
        .is_empty()
    );
    rig.write(vec![HELD.mended()]);
    rig.run_for(6 * MINUTE);
    let events = rig.events().into_values().next().expect("one message");
    assert_eq!(final_of(&events), (Status::Notified, Reason::Delivered));
}

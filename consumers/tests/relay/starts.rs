//! Sends that do not start: too late, held by a breaker, or without a place.

use std::time::Duration;

use consumers::channel::NotStarted;
use policy::outcome::{Answer, AttemptOutcome};
use schemas::records::{OutcomeKind, Reason, Status};
use schemas::topics::{Channel, Lane, Topic};

use super::{MINUTE, check_each_ended_once, final_of};
use crate::people::{PEOPLE, Person};
use crate::rig::Rig;
use crate::seeded::START;

const SECOND: Duration = Duration::from_secs(1);
const ONE_PHONE: Person = PEOPLE[1];
const TWO_PHONES: Person = PEOPLE[0];

/// A world in which every send that starts is taken at once.
fn kind(seed: u64) -> Rig {
    let rig = Rig::new(seed);
    for port in rig.ports.values() {
        *port.always.lock() = Some(Answer::new(AttemptOutcome::Accepted, Reason::Delivered));
        *port.all_take.lock() = Some(Duration::ZERO);
    }
    rig
}

#[test]
fn a_send_that_comes_too_late_is_made_on_facts_read_anew() {
    let mut rig = kind(31);
    *rig.ports[&Channel::Apns].starts_nothing.lock() = Some(NotStarted::Late);
    let message = rig.message(0, ONE_PHONE, 30 * MINUTE);
    rig.write(vec![message]);
    rig.run_for(5 * SECOND);
    assert!(rig.read(Topic::Decision).is_empty(), "nothing has started");
    *rig.ports[&Channel::Apns].starts_nothing.lock() = None;
    rig.run_for(10 * SECOND);
    let events = rig.events().into_values().next().expect("one message");
    let tried = events.iter().filter(|it| it.status == Status::Attempt).count();
    assert_eq!((tried, rig.sends()), (0, 1), "and nobody was told of a try that was none");
    assert_eq!(final_of(&events), (Status::Notified, Reason::Delivered));
}

#[test]
fn an_opt_out_before_a_late_send_starts_stops_it() {
    let mut rig = kind(32);
    *rig.ports[&Channel::Apns].starts_nothing.lock() = Some(NotStarted::Late);
    let message = rig.message(0, ONE_PHONE, 30 * MINUTE);
    rig.write(vec![message]);
    rig.run_for(5 * SECOND);
    rig.write(vec![ONE_PHONE.opt_out()]);
    rig.run_for(10 * SECOND);
    *rig.ports[&Channel::Apns].starts_nothing.lock() = None;
    rig.run_for(MINUTE);
    assert_eq!(rig.sends(), 0);
    let events = rig.events().into_values().next().expect("one message");
    assert_eq!(final_of(&events), (Status::Unnotified, Reason::ConsentWithdrawn));
}

#[test]
fn what_a_breaker_holds_goes_another_way_at_once_and_burns_no_try() {
    let mut rig = kind(33);
    let until = START.plus(2 * MINUTE);
    *rig.ports[&Channel::Apns].starts_nothing.lock() = Some(NotStarted::Held { until });
    let messages = [ONE_PHONE, TWO_PHONES].into_iter().zip(0..);
    let messages = messages.map(|(person, n)| rig.message(n, person, 30 * MINUTE)).collect();
    rig.write(messages);
    rig.run_for(MINUTE);
    assert_eq!((rig.sends(), rig.ports[&Channel::Fcm].sent.lock().len()), (1, 1));
    let waiting = rig.events().into_values().find(|it| it.iter().all(|it| !it.status.is_final()));
    let waiting = waiting.expect("the one phone waits").pop().expect("events");
    assert_eq!((waiting.status, waiting.reason), (Status::Waiting, Reason::ProviderOpen));
    *rig.ports[&Channel::Apns].starts_nothing.lock() = None;
    rig.run_for(10 * MINUTE);
    check_each_ended_once(&rig.events(), 2, 33);
    let attempts: Vec<_> =
        rig.events().into_values().flatten().filter_map(|it| it.outcome).collect();
    assert!(attempts.iter().all(|outcome| *outcome == OutcomeKind::Accepted), "{attempts:?}");
}

#[test]
fn an_outage_that_another_process_knows_of_sends_a_story_on_and_not_to_and_fro() {
    let mut rig = kind(35);
    // Each port knows only at the send: as seen from the other stages, none is down.
    let until = START.plus(20 * MINUTE);
    for channel in [Channel::Apns, Channel::Fcm] {
        *rig.ports[&channel].starts_nothing.lock() = Some(NotStarted::Held { until });
    }
    let message = rig.message(0, TWO_PHONES, 60 * MINUTE);
    rig.write(vec![message]);
    rig.run_for(MINUTE);
    let events = rig.events().into_values().next().expect("one message");
    let ended = events.iter().find(|it| it.status.is_final()).expect("mailed");
    assert_eq!((ended.status, ended.channel), (Status::Notified, Some(Channel::Email)));
    for channel in [Channel::Apns, Channel::Fcm] {
        let passed = rig.read(Topic::Attempt(channel, Lane::Live)).len();
        assert!(passed <= 2, "{passed} times through {channel:?}");
    }
}

#[test]
fn an_edge_whose_places_are_all_silent_counts_as_down() {
    let mut rig = kind(34);
    *rig.ports[&Channel::Apns].all_take.lock() = Some(30 * MINUTE);
    // Three places; the others find none.
    let people = (0..9).map(|n| if n < 6 { ONE_PHONE } else { TWO_PHONES });
    let messages = people.zip(0..).map(|(person, n)| rig.message(n, person, 30 * MINUTE));
    let messages = messages.collect();
    rig.write(messages);
    rig.run_for(9 * SECOND);
    // Some of them have been given a turn, and nobody waits for a provider that says nothing.
    let waits = |reason| {
        let events = rig.events();
        let waits = events.values().filter(|it| it.iter().any(|it| it.reason == reason));
        waits.count()
    };
    assert!(waits(Reason::AnswerLater) <= 3, "no more than there are places");
    assert!(waits(Reason::ProviderOpen) >= 1, "the edge counts as down");
    let notified = rig.ports[&Channel::Fcm].sent.lock().len();
    assert!(notified >= 1, "the second phones are told meanwhile");
}

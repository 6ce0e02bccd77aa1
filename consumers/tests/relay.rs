//! A message's whole way, from the accepted record to its one final status, under one seed.
//!
//! Every clock, draw and order comes from the seed, no thread runs: one seed, one run.

#[path = "relay/doubles.rs"]
mod doubles;
#[path = "relay/hazards.rs"]
mod hazards;
#[path = "relay/held.rs"]
mod held;
#[path = "relay/people.rs"]
mod people;
#[path = "relay/rig.rs"]
mod rig;
#[path = "relay/rights.rs"]
mod rights;
#[path = "relay/seeded.rs"]
mod seeded;
#[path = "relay/silence.rs"]
mod silence;
#[path = "relay/starts.rs"]
mod starts;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use people::PEOPLE;
use policy::outcome::{Answer, AttemptOutcome};
use rig::{Events, Rig};
use runtime::log::Outgoing;
use schemas::codec::Codec;
use schemas::headers::Headers;
use schemas::ids::MessageId;
use schemas::records::{DeadLetter, MessageStatus, Reason, Sealed, Status, TransitKeyRecord};
use schemas::topics::{Channel, Lane, Topic};
use sealing::TransitKeys;

const MESSAGES: u64 = 50;
const MINUTE: Duration = Duration::from_secs(60);
/// The longest time to live here, and a while in which nothing more may happen.
const LONG: Duration = Duration::from_secs(50 * 60);

/// Fifty messages to five citizens, with ten to forty minutes to live.
fn a_crowd(rig: &mut Rig) {
    let messages = (0..MESSAGES).map(|n| {
        let person = PEOPLE[usize::try_from(n).expect("small") % PEOPLE.len()];
        rig.message(n, person, MINUTE * (10 + u32::try_from(n).expect("small") % 31))
    });
    let messages = messages.collect();
    rig.write(messages);
}

/// Each message: sequence numbers from 0 without a gap or a double, ACCEPTED first, one final status.
fn mistakes(events: &Events) -> Vec<MessageId> {
    let right = |of_one: &[MessageStatus]| {
        (0..).zip(of_one).all(|(n, event)| event.sequence == n)
            && of_one.first().is_some_and(|event| event.status == Status::Accepted)
            && of_one.iter().filter(|event| event.status.is_final()).count() == 1
    };
    events.iter().filter(|(_, of_one)| !right(of_one)).map(|(id, _)| *id).collect()
}

fn check_each_ended_once(events: &Events, messages: u64, seed: u64) {
    assert_eq!(events.len() as u64, messages, "seed {seed}");
    if let Some(id) = mistakes(events).into_iter().next() {
        panic!("seed {seed}: {id} {:#?}", events[&id]);
    }
}

fn final_of(events: &[MessageStatus]) -> (Status, Reason) {
    let ended = events.iter().find(|event| event.status.is_final()).expect("a final status");
    (ended.status, ended.reason)
}

/// SHA-256 over places, keys and values of `message.status` after a run of `seed`.
fn hash_of_a_run(seed: u64) -> Vec<u8> {
    let mut rig = Rig::new(seed);
    rig.faults = 40;
    a_crowd(&mut rig);
    rig.run_for(LONG);
    let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for record in rig.read(Topic::Status) {
        hash.update(format!("{:?}{}", record.position, record.appended_at.0).as_bytes());
        hash.update(&record.key);
        hash.update(&record.value.expect("no tombstone"));
    }
    hash.finish().as_ref().to_vec()
}

#[test]
fn one_seed_twice_gives_one_hash_of_message_status() {
    assert_eq!(hash_of_a_run(7), hash_of_a_run(7));
    assert_ne!(hash_of_a_run(7), hash_of_a_run(8), "the seed decides");
}

/// Hazards H13 and H14, seen in US Notify (GSA, notifications-admin issue 2183) and at the VA (va.gov-team,
/// issues 96416 and 111045): messages that stay pending for days, or fail and nobody is told.
#[test]
fn every_message_ends_exactly_once_without_a_gap() {
    let mut endings = BTreeSet::new();
    for seed in 1..=6 {
        let mut rig = Rig::new(seed);
        a_crowd(&mut rig);
        rig.run_for(LONG);
        let events = rig.events();
        check_each_ended_once(&events, MESSAGES, seed);
        endings.extend(events.values().map(|of_one| final_of(of_one).0));
        assert!(rig.read(Topic::DeadLetter).is_empty(), "seed {seed}");
    }
    let seen = [Status::Notified, Status::Unnotified, Status::NotOnBoard];
    assert!(seen.iter().all(|status| endings.contains(status)), "{endings:?}");
}

#[test]
fn a_planted_double_gap_or_second_ending_is_found() {
    let mut rig = Rig::new(3);
    let message = rig.message(0, PEOPLE[3], 20 * MINUTE);
    rig.write(vec![message]);
    rig.run_for(LONG);
    let events = rig.events();
    check_each_ended_once(&events, 1, 3);
    let id = *events.keys().next().expect("one message");
    let check = |spoil: &dyn Fn(&mut Vec<MessageStatus>)| {
        let mut spoilt = events.clone();
        spoil(spoilt.get_mut(&id).expect("one message"));
        assert_eq!(mistakes(&spoilt), [id]);
    };
    check(&|it| it.insert(1, it[1].clone()));
    check(&|it| drop(it.remove(1)));
    check(&|it| it.retain(|event| !event.status.is_final()));
    check(&|it| it[1].status = Status::Failed);
}

#[test]
fn commits_that_fail_or_are_unknown_double_nothing() {
    for seed in 1..=6 {
        let mut rig = Rig::new(seed);
        rig.faults = 10;
        a_crowd(&mut rig);
        rig.run_for(LONG);
        check_each_ended_once(&rig.events(), MESSAGES, seed);
        // One decision stands behind each send: no send was made twice, none went unrecorded.
        assert_eq!(rig.read(Topic::Decision).len(), rig.sends(), "seed {seed}");
        assert!(rig.sends() > 50, "seed {seed}: the run was no run");
        assert!(rig.rewinds() > 20, "seed {seed}: hardly a commit met a fault");
    }
}

/// Hazard H12, seen in all peers: consent is checked once, early, so that a retry still sends.
#[test]
fn an_opt_out_stops_a_waiting_retry() {
    let mut rig = Rig::new(11);
    let busy = AttemptOutcome::Unavailable { retry_after: Some(MINUTE) };
    for port in rig.ports.values() {
        *port.always.lock() = Some(Answer::new(busy, Reason::ServerError));
    }
    let message = rig.message(0, PEOPLE[1], 30 * MINUTE);
    rig.write(vec![message]);
    rig.run_for(MINUTE / 2);
    let before = rig.sends();
    assert_eq!(before, 1, "the first try is out, its retry waits");
    let opt_out = PEOPLE[1].opt_out();
    rig.write(vec![opt_out]);
    rig.run_for(LONG);
    assert_eq!(rig.sends(), before);
    let events = rig.events();
    check_each_ended_once(&events, 1, 11);
    let ended = final_of(events.values().next().expect("one message"));
    assert_eq!(ended, (Status::Unnotified, Reason::ConsentWithdrawn));
}

#[test]
fn an_undecodable_record_is_dead_lettered_and_its_neighbours_pass() {
    let mut rig = Rig::new(12);
    let whole = |n| rig.message(n, PEOPLE[0], 20 * MINUTE);
    let (before, spoilt, after) = (whole(0), whole(1), whole(2));
    let id = spoilt.headers.message_id.expect("ours");
    let spoilt = Outgoing { value: Some(b"rubbish".to_vec()), ..spoilt };
    // Without headers nobody can be told; the record is set aside all the same.
    let nameless = Outgoing { headers: Headers::default(), ..spoilt.clone() };
    rig.write(vec![before, spoilt, nameless, after]);
    rig.run_for(LONG);
    let mut events = rig.events();
    let failed = events.remove(&id).expect("its headers name it");
    let seen: Vec<_> = failed.iter().map(|it| (it.sequence, it.status, it.reason)).collect();
    assert_eq!(seen, [(0, Status::Failed, Reason::Undecodable)]);
    check_each_ended_once(&events, 2, 12);
    let letters = rig.read(Topic::DeadLetter).into_iter().map(|record| {
        let value = record.value.expect("no tombstone");
        let letter: DeadLetter =
            schemas::codec::Codec::default().decode(&value).expect("a dead letter");
        (letter.topic, letter.stage, letter.message_id)
    });
    let accepted = Topic::Accepted(Lane::Live).name();
    let letter = |id: Option<MessageId>| (accepted.to_owned(), "consent".to_owned(), id);
    assert_eq!(letters.collect::<Vec<_>>(), [letter(Some(id)), letter(None)]);
}

#[test]
fn an_unknown_transit_key_is_waited_for_and_a_destroyed_one_ends_the_message() {
    let mut rig = Rig::new(15);
    let (known, other) = (rig.keys.transit.read().clone(), rig.transit());
    let mut of_other = TransitKeys::default();
    rig.apply(&mut of_other, &other);
    *rig.keys.transit.write() = of_other;
    let message = rig.message(0, PEOPLE[1], 20 * MINUTE);
    let id = message.headers.message_id.expect("ours");
    // The keys that this process has read so far, and the message's is none of them.
    *rig.keys.transit.write() = known.clone();
    rig.write(vec![message]);
    rig.run_for(2 * MINUTE);
    let seen: Vec<_> = rig.events()[&id].iter().map(|it| it.status).collect();
    assert_eq!(seen, [Status::Accepted]);
    assert!(rig.faults_of("vault", Reason::KeyUnknown) > 0);
    let mut destroyed = known;
    let ends = other.into_iter().map(|key| TransitKeyRecord { wrapped: Sealed::default(), ..key });
    rig.apply(&mut destroyed, &ends.collect::<Vec<_>>());
    *rig.keys.transit.write() = destroyed;
    rig.run_for(4 * MINUTE);
    assert_eq!(final_of(&rig.events()[&id]), (Status::Failed, Reason::KeyMissing));
    let letters = rig.read(Topic::DeadLetter);
    let letter = letters[0].value.as_deref().expect("a letter");
    let letter: DeadLetter = Codec::default().decode(letter).expect("a letter");
    assert_eq!((letters.len(), letter.cause.as_str()), (1, Reason::KeyMissing.name()));
}

#[test]
fn a_directory_that_is_not_ready_holds_everything_back() {
    let mut rig = Rig::new(13);
    rig.projecting = false;
    a_crowd(&mut rig);
    rig.run_for(MINUTE);
    assert!(rig.events().is_empty());
    assert_eq!(rig.sends(), 0);
    rig.projecting = true;
    rig.run_for(LONG);
    check_each_ended_once(&rig.events(), MESSAGES, 13);
}

#[test]
fn a_store_that_is_down_holds_and_loses_nothing() {
    let mut rig = Rig::new(14);
    rig.store.down.store(true, Ordering::Relaxed);
    a_crowd(&mut rig);
    rig.run_for(2 * MINUTE);
    let statuses: BTreeSet<_> = rig.events().into_values().flatten().map(|it| it.status).collect();
    assert!(!statuses.contains(&Status::Stored), "{statuses:?}");
    assert_eq!(rig.ports[&Channel::Apns].sent.lock().len(), 0);
    rig.store.down.store(false, Ordering::Relaxed);
    rig.run_for(LONG);
    let events = rig.events();
    check_each_ended_once(&events, MESSAGES, 14);
    let on_board = events.values().filter(|it| it.iter().any(|e| e.status == Status::Stored));
    assert_eq!(on_board.count(), 40, "four of five citizens are on board");
}

//! A checker that cannot fail proves nothing: every rule is shown red on a planted fault, and green on
//! the run that the fault was planted in.

use serde_json::json;

use super::*;
use crate::evidence::{Choice, Fault, Send, Taken};
use crate::records::{Channel, Decision, Event, Status};
use crate::sample::{Citizen, Device, Expected, Verdict as Asked};

/// Minted at 1,700,000,000,000 ms.
const ID: &str = "01HF7YAT00000000000000001A";
const MINTED: i64 = 1_700_000_000_000;
const SERVICE: &str = "S";
const PLAIN: &str = "token-that-takes";
const SCRIPTED: &str = "429-token-that-waits";
const MAILBOX: &str = "someone@casella.test";

fn citizen(code: &str, tokens: &[&str]) -> Citizen {
    let device = |token: &&str| Device { token: (*token).to_owned() };
    Citizen {
        fiscal_code: code.to_owned(),
        profile: Some(json!({ "email": MAILBOX })),
        devices: tokens.iter().map(device).collect(),
    }
}

fn asked(code: &str, decision: Asked, devices: usize, email: bool) -> Message {
    Message {
        service_id: SERVICE.to_owned(),
        body: json!({ "fiscal_code": code, "time_to_live": 3_600,
                      "default_addresses": { "email": "other@casella.test" } }),
        expected: Expected { decision, devices, email },
    }
}

fn event(sequence: i32, status: Status) -> Event {
    Event {
        message_id: ID.to_owned(),
        service_id: SERVICE.to_owned(),
        epoch: 0,
        sequence,
        status,
        reason: "none".to_owned(),
        channel: None,
        outcome: None,
        at: MINTED + 1_000,
    }
}

fn about(sequence: i32, status: Status, channel: Channel, outcome: &str) -> Event {
    let outcome = Some(outcome.to_owned());
    Event { channel: Some(channel), outcome, ..event(sequence, status) }
}

fn sent(channel: Channel, about: &str, address: &str, at: i64) -> Send {
    Send { channel, about: about.to_owned(), address: address.to_owned(), at }
}

fn fault(from: i64, to: i64) -> Fault {
    Fault {
        what: "planted".to_owned(),
        from,
        to,
        repeats: Channel::ALL.to_vec(),
        freezes: false,
        blinds: false,
    }
}

/// One push that rang, to be spoilt.
struct Run {
    sample: Sample,
    evidence: Evidence,
}

fn run_of(message: Message, tokens: &[&str], events: Vec<Event>, sends: Vec<Send>) -> Run {
    let sample = Sample::of(vec![citizen("A", tokens), citizen("B", &["b"])], vec![message]);
    let mut evidence = Evidence {
        taken: vec![Taken { id: ID.to_owned(), sample: 0, at: MINTED }],
        time_scale: 1.0,
        ..Evidence::default()
    };
    evidence.set_events(events);
    evidence.sends = sends;
    Run { sample, evidence }
}

fn rung() -> Run {
    let events = vec![
        event(0, Status::Accepted),
        event(1, Status::Stored),
        about(2, Status::Notified, Channel::Fcm, "accepted"),
    ];
    let sends = vec![sent(Channel::Fcm, ID, PLAIN, MINTED + 900)];
    run_of(asked("A", Asked::Deliver, 1, false), &[PLAIN], events, sends)
}

fn refused() -> Run {
    let events = vec![event(0, Status::Accepted), event(1, Status::Rejected)];
    run_of(asked("A", Asked::Reject, 0, false), &[PLAIN], events, Vec::new())
}

fn mailed() -> Run {
    let events = vec![
        event(0, Status::Accepted),
        event(1, Status::Stored),
        about(2, Status::Notified, Channel::Email, "accepted"),
    ];
    let sends = vec![sent(Channel::Email, "<m@x>", MAILBOX, MINTED + 900)];
    let mut run = run_of(asked("A", Asked::Deliver, 0, true), &[], events, sends);
    run.evidence.decisions = vec![Decision {
        message_id: ID.to_owned(),
        channel: Channel::Email,
        decided_at: MINTED,
        outcome: "accepted".to_owned(),
        send_id: "<m@x>".to_owned(),
    }];
    run
}

impl Run {
    fn events(&mut self) -> &mut Vec<Event> {
        self.evidence.events.get_mut(ID).unwrap()
    }

    fn kinds(&self) -> Vec<&'static str> {
        check(&self.sample, &self.evidence).findings.0.into_keys().collect()
    }
}

/// The fault is found, and the run without it is clean.
fn check_planted(sound: fn() -> Run, plant: impl FnOnce(&mut Run), expected: &str) {
    assert_eq!(sound().kinds(), Vec::<&str>::new());
    let mut run = sound();
    plant(&mut run);
    assert!(run.kinds().contains(&expected), "{expected:?} is not among {:?}", run.kinds());
}

#[test]
fn a_message_without_an_end_is_found() {
    check_planted(rung, |run| drop(run.events().pop()), "no final status");
    check_planted(rung, |run| run.evidence.events.clear(), "no final status");
}

#[test]
fn a_second_end_is_found() {
    let plant = |run: &mut Run| run.events().push(event(3, Status::Unnotified));
    check_planted(rung, plant, "more than one final status");
}

#[test]
fn a_gap_a_repeat_and_a_disorder_are_found() {
    let kind = "a gap, a repeat or a disorder in the sequence";
    check_planted(rung, |run| run.events()[2].sequence = 3, kind);
    check_planted(rung, |run| run.events()[2].sequence = 1, kind);
    check_planted(rung, |run| run.events()[0].sequence = 1, kind);
    check_planted(rung, |run| run.events().swap(1, 2), kind);
}

#[test]
fn a_step_back_is_found() {
    let plant = |run: &mut Run| run.events().push(event(3, Status::Stored));
    check_planted(rung, plant, "a rank that does not rise");
    let plant = |run: &mut Run| run.events().push(event(3, Status::Waiting));
    check_planted(rung, plant, "waits after its end");
    let plant = |run: &mut Run| drop(run.events().remove(0));
    check_planted(rung, plant, "does not begin with ACCEPTED");
}

#[test]
fn an_end_that_the_data_do_not_allow_is_found() {
    let kind = "an end that the data do not allow";
    check_planted(rung, |run| run.events()[2].status = Status::Unnotified, kind);
    check_planted(rung, |run| run.events()[2].channel = Some(Channel::Email), kind);
    check_planted(refused, |run| run.events()[1].status = Status::NotOnBoard, kind);
    check_planted(refused, |run| run.events().insert(1, event(1, Status::Stored)), kind);
}

#[test]
fn an_end_that_may_differ_is_no_fault() {
    let mut run = rung();
    run.sample =
        Sample::of(vec![citizen("A", &[SCRIPTED])], vec![asked("A", Asked::Deliver, 1, false)]);
    *run.events() =
        vec![event(0, Status::Accepted), event(1, Status::Stored), event(2, Status::Unnotified)];
    run.evidence.sends.clear();
    assert_eq!(run.kinds(), Vec::<&str>::new());
}

#[test]
fn expiring_before_the_time_to_live_is_found() {
    let expire = |after: i64| {
        move |run: &mut Run| {
            run.evidence.sends.clear();
            *run.events() = vec![
                event(0, Status::Accepted),
                event(1, Status::Stored),
                Event { at: MINTED + after, ..event(2, Status::Expired) },
            ];
        }
    };
    check_planted(rung, expire(3_599_000), "expired before its time");
    let mut run = rung();
    expire(3_600_000)(&mut run);
    assert_eq!(run.kinds(), Vec::<&str>::new());
}

#[test]
fn failing_another_service_and_an_epoch_are_found() {
    check_planted(rung, |run| run.events()[2].status = Status::Failed, "failed");
    let plant = |run: &mut Run| run.events()[1].service_id = "T".to_owned();
    check_planted(rung, plant, "an event under another service");
    let plant = |run: &mut Run| run.events()[1].epoch = 1;
    check_planted(rung, plant, "an epoch without a redrive");
}

#[test]
fn a_push_to_somebody_who_refused_is_found() {
    let kind = "sent against somebody's will, or to somebody else";
    let push = |run: &mut Run| {
        run.evidence.sends.push(sent(Channel::Fcm, ID, PLAIN, MINTED));
        run.events().push(about(2, Status::Attempt, Channel::Fcm, "accepted"));
    };
    check_planted(refused, push, kind);
    check_planted(rung, |run| run.evidence.sends[0].address = "b".to_owned(), kind);
    check_planted(rung, |run| run.evidence.sends[0].about = "unknown".to_owned(), kind);
}

#[test]
fn a_mail_to_another_mailbox_is_found() {
    let kind = "sent against somebody's will, or to somebody else";
    check_planted(mailed, |run| run.evidence.sends[0].address = "b@c.test".to_owned(), kind);
    let plant = |run: &mut Run| run.sample.messages[0].expected.email = false;
    check_planted(mailed, plant, kind);
    let plant = |run: &mut Run| run.evidence.decisions.clear();
    check_planted(mailed, plant, "a mail that no decision names");
}

#[test]
fn what_a_provider_took_and_no_event_says_is_found() {
    let plant = |run: &mut Run| {
        run.sample.citizens.get_mut("A").unwrap().devices.clear();
        run.sample.owners.insert("second".to_owned(), "A".to_owned());
        run.evidence.sends.push(sent(Channel::Fcm, ID, "second", MINTED));
    };
    check_planted(rung, plant, "taken by a provider, told by no event");
    let plant = |run: &mut Run| run.evidence.sends.clear();
    check_planted(rung, plant, "said to be accepted, taken by no provider");
}

#[test]
fn a_send_repeated_without_a_reason_is_found() {
    let repeat = |run: &mut Run| {
        run.evidence.sends.push(sent(Channel::Fcm, ID, PLAIN, MINTED + 2_000));
    };
    check_planted(rung, repeat, "sent twice without a reason");
    let far = |run: &mut Run| {
        repeat(run);
        run.evidence.faults = vec![fault(MINTED + 17_000, MINTED + 18_000)];
    };
    check_planted(rung, far, "sent twice without a reason");
    let harmless = |run: &mut Run| {
        repeat(run);
        let fault = fault(MINTED + 1_000, MINTED + 1_500);
        run.evidence.faults = vec![Fault { repeats: vec![Channel::Apns, Channel::Email], ..fault }];
    };
    check_planted(rung, harmless, "sent twice without a reason");
}

#[test]
fn a_send_repeated_around_a_fault_or_after_an_unknown_outcome_is_counted() {
    let mut run = rung();
    run.evidence.sends.push(sent(Channel::Fcm, ID, PLAIN, MINTED + 2_000));
    run.evidence.faults = vec![fault(MINTED + 1_000, MINTED + 1_500)];
    let verdict = check(&run.sample, &run.evidence);
    assert!(verdict.findings.0.is_empty(), "{:?}", verdict.findings);
    assert_eq!(verdict.repeats.around_a_fault, 1);
    run.evidence.faults.clear();
    let unknown = about(2, Status::Attempt, Channel::Fcm, "indeterminate");
    run.events().insert(2, unknown);
    run.events()[3].sequence = 3;
    let verdict = check(&run.sample, &run.evidence);
    assert!(verdict.findings.0.is_empty(), "{:?}", verdict.findings);
    assert_eq!(verdict.repeats.declared, 1);
}

#[test]
fn a_send_while_nobody_could_know_is_found() {
    let plant = |from: i64| {
        move |run: &mut Run| {
            let fault = fault(from, MINTED + 9_000);
            run.evidence.faults = vec![Fault { repeats: Vec::new(), blinds: true, ..fault }];
        }
    };
    check_planted(rung, plant(MINTED - 2_000), "sent while nobody could know the citizen's choice");
    let mut run = rung();
    plant(MINTED)(&mut run);
    assert_eq!(run.kinds(), Vec::<&str>::new());
}

#[test]
fn a_message_that_nobody_asked_for_is_found() {
    let plant = |run: &mut Run| {
        let stray = run.events().clone();
        let rename = |event: &Event| Event { message_id: "stray".to_owned(), ..event.clone() };
        let stray = stray.iter().map(rename).collect();
        run.evidence.events.insert("stray".to_owned(), stray);
        run.evidence.sends.push(sent(Channel::Fcm, "stray", PLAIN, MINTED));
    };
    check_planted(rung, plant, "messages that nobody asked for");
    let mut run = rung();
    plant(&mut run);
    run.evidence.unanswered = 1;
    assert_eq!(run.kinds(), Vec::<&str>::new());
    run.evidence.events.get_mut("stray").unwrap().pop();
    assert!(run.kinds().contains(&"no final status"));
}

#[test]
fn refusals_and_books_that_disagree_are_found() {
    let plant = |run: &mut Run| {
        run.evidence.refused.insert(403, 1);
    };
    check_planted(rung, plant, "refused at the door");
    check_planted(rung, |run| run.evidence.given_up = 1, "sender gave up");
    check_planted(rung, |run| run.evidence.not_kept = 1, "the providers' books are not whole");
    let plant = |run: &mut Run| {
        run.evidence.counted.insert(Channel::Fcm, 2);
    };
    check_planted(rung, plant, "the providers' books disagree");
}

fn refusal(asked: i64, in_force: i64) -> Choice {
    let (citizen, service) = ("A".to_owned(), SERVICE.to_owned());
    Choice { citizen, service, asked, in_force: Some(in_force) }
}

#[test]
fn a_send_after_the_refusal_was_in_force_is_found() {
    let refuse = |run: &mut Run| run.evidence.choices = vec![refusal(MINTED + 10, MINTED + 20)];
    let late = |run: &mut Run| {
        refuse(run);
        run.evidence.sends[0].at = MINTED + 1_021;
    };
    check_planted(rung, late, "sent after the citizen's refusal was in force");
    let decided = |run: &mut Run| {
        refuse(run);
        run.evidence.decisions[0].decided_at = MINTED + 21;
    };
    check_planted(mailed, decided, "decided to send after the citizen's refusal was in force");
    let mut run = rung();
    refuse(&mut run);
    assert_eq!(run.kinds(), Vec::<&str>::new(), "it was on its way");
    late(&mut run);
    let fault = fault(MINTED + 15, MINTED + 1_000);
    run.evidence.faults = vec![Fault { freezes: true, ..fault }];
    let verdict = check(&run.sample, &run.evidence);
    assert!(verdict.findings.0.is_empty(), "{:?}", verdict.findings);
    assert_eq!(verdict.woken, 1);
}

#[test]
fn a_message_accepted_after_the_refusal_must_be_rejected() {
    let kind = "an end that the data do not allow";
    let refuse = |run: &mut Run| {
        run.evidence.choices = vec![refusal(MINTED - 20, MINTED - 10)];
        run.evidence.sends.clear();
    };
    let unnotified = |run: &mut Run| {
        refuse(run);
        *run.events() = vec![
            event(0, Status::Accepted),
            event(1, Status::Stored),
            event(2, Status::Unnotified),
        ];
    };
    check_planted(rung, unnotified, kind);
    let mut run = rung();
    refuse(&mut run);
    *run.events() = vec![event(0, Status::Accepted), event(1, Status::Rejected)];
    assert_eq!(run.kinds(), Vec::<&str>::new());
    run.evidence.choices = vec![refusal(MINTED + 2_000, MINTED + 2_010)];
    assert_eq!(run.kinds(), vec![kind], "nobody had asked yet");
}

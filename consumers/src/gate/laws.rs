use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use edge::pool::{Down, NoAnswer};
use runtime::world::{Sources, Task};
use schemas::codec::Codec;

use super::*;

/// A clock that jumps to whatever is waited for.
#[derive(Default)]
struct Jumping(AtomicI64);

impl Sources for Jumping {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
    fn spawn(&self, task: Task) {
        tokio::spawn(task);
    }
    fn sleep_until(&self, until: Timestamp) -> Task {
        self.0.fetch_max(until.0, Ordering::SeqCst);
        Box::pin(async {})
    }
}

fn gate(change: impl FnOnce(&mut GateConfig)) -> (Gate, World) {
    let mut config = GateConfig {
        breaker_min_count: 4,
        breaker_open_ms: 10_000,
        breaker_probe_ms: 1_000,
        guard_min_count: 4,
        refusal_run: 3,
        ..GateConfig::default()
    };
    change(&mut config);
    let world = World::new(Arc::new(Jumping::default()), Codec::default(), 1.0);
    (Gate::new(&config, Keys("test"), &world), world)
}

fn answer(outcome: AttemptOutcome) -> Answer {
    Answer::new(outcome, Reason::Other)
}

fn fail(gate: &Gate, times: usize) {
    for _ in 0..times {
        gate.note(answer(AttemptOutcome::Indeterminate));
    }
}

const START: Timestamp = Timestamp(0);
const SOON: Timestamp = Timestamp(250);
const FAR: Timestamp = Timestamp(i64::MAX);
const PROBING: Timestamp = Timestamp(10_000);

fn held(until: Timestamp) -> Result<(), NotStarted> {
    Err(NotStarted::Held { until })
}

#[tokio::test]
async fn a_failing_edge_is_down_and_holds_what_is_sent_all_the_same() {
    let (gate, _) = gate(|_| {});
    fail(&gate, 3);
    assert_eq!(gate.down_until(START), None);
    fail(&gate, 1);
    assert_eq!(gate.down_until(START), Some(PROBING));
    assert_eq!(gate.enter(SOON).await, held(PROBING));
}

#[tokio::test]
async fn asking_whether_an_edge_is_down_spends_no_probe() {
    let (gate, world) = gate(|_| {});
    fail(&gate, 4);
    world.sleep_until(PROBING).await;
    for _ in 0..3 {
        assert_eq!(gate.down_until(PROBING), None, "a probe is due");
    }
    assert_eq!(gate.enter(FAR).await, Ok(()));
    let next = Timestamp(11_000);
    assert_eq!(gate.down_until(PROBING), Some(next));
    assert_eq!(gate.enter(FAR).await, held(next));
}

#[tokio::test]
async fn an_edge_that_is_back_gets_its_load_in_steps() {
    let (gate, world) = gate(|_| {});
    fail(&gate, 4);
    for probe in 0..3 {
        world.sleep_until(Timestamp(10_000 + probe * 1_000)).await;
        assert_eq!(gate.enter(FAR).await, Ok(()));
        gate.note(answer(AttemptOutcome::Accepted));
    }
    let mut shares = Vec::new();
    for _ in 0..4 {
        let mut passed = 0;
        for _ in 0..100 {
            passed += u32::from(gate.enter(FAR).await.is_ok());
        }
        shares.push(passed);
        let next = world.now().plus(Duration::from_secs(20));
        world.sleep_until(next).await;
    }
    assert_eq!(shares, [10, 25, 50, 100]);
}

#[test]
fn a_wrong_setting_of_ours_opens_at_once() {
    let (gate, _) = gate(|_| {});
    gate.note(answer(AttemptOutcome::Misconfigured));
    assert!(gate.down_until(START).is_some());
}

#[test]
fn a_dead_address_a_refusal_or_a_busy_device_says_nothing_of_the_edge() {
    let (gate, _) = gate(|config| config.refusal_run = 1_000);
    for _ in 0..100 {
        gate.note(answer(AttemptOutcome::AddressGone { since: None }));
        gate.note(answer(AttemptOutcome::Refused));
        gate.note(answer(AttemptOutcome::Throttled { retry_after: None }));
    }
    assert_eq!(gate.down_until(START), None);
}

#[test]
fn an_edge_that_is_told_to_slow_down_as_a_whole_counts_as_failing() {
    let (gate, _) = gate(|_| {});
    let slow = AttemptOutcome::Throttled { retry_after: None };
    for _ in 0..4 {
        gate.note(Answer::new(slow, Reason::TokenUpdates));
    }
    assert!(gate.down_until(START).is_some());
}

#[test]
fn a_run_of_one_refusal_is_taken_for_a_setting_of_ours() {
    let (gate, _) = gate(|_| {});
    let refused = |reason| Answer::new(AttemptOutcome::Refused, reason);
    let note = |reason| gate.note(refused(reason)).outcome;
    assert_eq!(note(Reason::BadRequest), AttemptOutcome::Refused);
    assert_eq!(note(Reason::BadRequest), AttemptOutcome::Refused);
    assert_eq!(note(Reason::TooLarge), AttemptOutcome::Refused, "another reason begins anew");
    assert_eq!(note(Reason::BadRequest), AttemptOutcome::Refused);
    gate.note(answer(AttemptOutcome::Accepted));
    assert_eq!(note(Reason::BadRequest), AttemptOutcome::Refused, "so does an acceptance");
    assert_eq!(note(Reason::BadRequest), AttemptOutcome::Refused);
    assert_eq!(note(Reason::BadRequest), AttemptOutcome::Misconfigured);
    assert!(gate.down_until(START).is_some());
}

#[test]
fn a_wave_of_dead_addresses_is_not_believed() {
    let (gate, _) = gate(|_| {});
    let beliefs: Vec<_> = (0..5).map(|_| gate.believes_gone(true, START)).collect();
    assert_eq!(beliefs, [true, true, true, false, false]);
}

#[tokio::test]
async fn a_run_of_dead_addresses_costs_the_registry_no_more_than_the_run() {
    let (gate, _) = gate(|config| (config.guard_min_count, config.guard_run) = (1_000, 3));
    let beliefs: Vec<_> = (0..50).map(|_| gate.believes_gone(true, START)).collect();
    assert_eq!(beliefs.iter().filter(|believed| **believed).count(), 2);
    let vitals = gate.vitals();
    assert!(vitals.guard_tripped, "an operator sees it");
    assert_eq!(vitals.disbelieved, 48);
}

#[tokio::test]
async fn no_more_starts_than_the_pace_allows() {
    let (gate, world) = gate(|config| (config.per_second, config.burst) = (10, 5));
    for _ in 0..15 {
        gate.enter(FAR).await.unwrap();
    }
    assert_eq!(world.now(), Timestamp(1_000));
    let vitals = gate.vitals();
    assert_eq!((vitals.paced, vitals.paced_ms), (10, 1_000));
}

#[tokio::test]
async fn a_send_whose_turn_comes_too_late_is_given_back_unsent() {
    let (gate, world) = gate(|config| (config.per_second, config.burst) = (1, 1));
    gate.enter(SOON).await.unwrap();
    assert_eq!(gate.enter(SOON).await, Err(NotStarted::Late));
    assert_eq!(world.now(), START, "and has not waited in vain");
    world.sleep_until(Timestamp(1_000)).await;
    assert_eq!(gate.enter(SOON).await, Err(NotStarted::Late), "its facts are old");
    assert_eq!(gate.enter(Timestamp(1_000)).await, Ok(()));
}

#[tokio::test]
async fn openings_are_counted_by_their_cause() {
    let (gate, world) = gate(|_| {});
    fail(&gate, 4);
    world.sleep_until(PROBING).await;
    gate.note(answer(AttemptOutcome::Misconfigured));
    let vitals = gate.vitals();
    assert_eq!((vitals.openings, vitals.openings_misconfigured), (1, 1));
    assert!(matches!(vitals.breaker, BreakerState::Open { .. }));
}

#[test]
fn what_never_left_burns_no_try_and_what_left_unanswered_is_indeterminate() {
    let check = |reply: Reply, expected| {
        assert_eq!(without_answer(&reply, START), Some(expected), "{reply:?}");
    };
    let waits = AttemptOutcome::Unavailable { retry_after: None };
    let answer = |outcome, reason| Ok(Answer::new(outcome, reason));
    for why in [Unsent::Down(Down::Tls), Unsent::Refused, Unsent::NoCredential] {
        check(Reply::Unsent { why }, answer(waits, Reason::Unsent));
    }
    let bad = answer(AttemptOutcome::Refused, Reason::BadRequest);
    check(Reply::Unsent { why: Unsent::BadRequest }, bad);
    for why in [NoAnswer::TimedOut, NoAnswer::Lost, NoAnswer::Reset { code: 8 }] {
        let unknown = answer(AttemptOutcome::Indeterminate, Reason::NoAnswer);
        check(Reply::NoAnswer { why }, unknown);
    }
}

#[test]
fn who_found_no_stream_in_time_has_not_started() {
    let check = |why, expected| {
        assert_eq!(without_answer(&Reply::Unsent { why }, START), Some(Err(expected)), "{why:?}");
    };
    for why in [Unsent::NoStream, Unsent::QueueFull, Unsent::Closed] {
        check(why, NotStarted::Late);
    }
    check(Unsent::NotOpen, NotStarted::Held { until: Timestamp(1_000) });
}

#[test]
fn retry_after_is_read_in_both_its_forms() {
    let now = Timestamp(784_111_777_000);
    let check = |value: &'static str, expected: Option<u64>| {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
        assert_eq!(asked_wait(&headers, now), expected.map(Duration::from_secs), "{value}");
    };
    check("120", Some(120));
    check("Sun, 06 Nov 1994 08:51:07 GMT", Some(90));
    check("soon", None);
}

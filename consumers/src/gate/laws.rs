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
const PROBING: Timestamp = Timestamp(10_000);

#[tokio::test]
async fn a_failing_edge_is_down_and_holds_what_is_sent_all_the_same() {
    let (gate, _) = gate(|_| {});
    fail(&gate, 3);
    assert_eq!(gate.down_until(START), None);
    fail(&gate, 1);
    assert_eq!(gate.down_until(START), Some(PROBING));
    let held = gate.enter(Timestamp(4_000)).await.unwrap_err();
    assert_eq!(held, unsent(Some(Duration::from_secs(6))));
}

#[tokio::test]
async fn one_question_opens_the_way_for_one_probe() {
    let (gate, _) = gate(|_| {});
    fail(&gate, 4);
    assert_eq!(gate.down_until(PROBING), None, "a probe is due");
    assert_eq!(gate.down_until(PROBING), None, "and waits until it is sent");
    assert!(gate.enter(PROBING).await.is_ok());
    assert_eq!(gate.down_until(PROBING), Some(Timestamp(11_000)));
    assert!(gate.enter(PROBING).await.is_err());
}

#[tokio::test]
async fn a_send_that_nobody_asked_for_may_be_the_probe() {
    let (gate, _) = gate(|_| {});
    fail(&gate, 4);
    assert!(gate.enter(PROBING).await.is_ok());
    assert!(gate.enter(PROBING).await.is_err());
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
async fn no_more_starts_than_the_pace_allows() {
    let (gate, world) = gate(|config| (config.per_second, config.burst) = (10, 5));
    for _ in 0..15 {
        gate.enter(world.now()).await.unwrap();
    }
    assert_eq!(world.now(), Timestamp(1_000));
}

#[tokio::test]
async fn a_send_whose_turn_comes_too_late_is_given_back_unsent() {
    let (gate, world) = gate(|config| (config.per_second, config.burst) = (1, 1));
    gate.enter(START).await.unwrap();
    assert_eq!(gate.enter(START).await, Err(unsent(None)));
    assert_eq!(world.now(), START, "and has not waited in vain");
    world.sleep_until(Timestamp(1_000)).await;
    assert_eq!(gate.enter(START).await, Err(unsent(None)), "its facts are old");
    assert_eq!(gate.enter(world.now()).await, Ok(()));
}

#[test]
fn what_never_left_burns_no_try_and_what_left_unanswered_is_indeterminate() {
    let check = |reply: Reply, outcome, reason| {
        assert_eq!(without_answer(&reply), Some(Answer::new(outcome, reason)), "{reply:?}");
    };
    let waits = AttemptOutcome::Unavailable { retry_after: None };
    for why in [Unsent::Down(Down::Tls), Unsent::NoStream, Unsent::QueueFull, Unsent::Closed] {
        check(Reply::Unsent { why }, waits, Reason::Unsent);
    }
    check(Reply::Unsent { why: Unsent::BadRequest }, AttemptOutcome::Refused, Reason::BadRequest);
    for why in [NoAnswer::TimedOut, NoAnswer::Lost, NoAnswer::Reset { code: 8 }] {
        check(Reply::NoAnswer { why }, AttemptOutcome::Indeterminate, Reason::NoAnswer);
    }
}

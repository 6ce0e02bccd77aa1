use super::*;
use proptest::prelude::*;

fn breaker() -> Breaker {
    Breaker::new(BreakerConfig { min_count: 4, ..BreakerConfig::default() })
}

fn note_many(breaker: &mut Breaker, verdict: Verdict, count: u32, now_ms: i64) {
    (0..count).for_each(|_| breaker.note(verdict, now_ms));
}

/// A breaker that opened at 0 because of failures; its wait is 15 s.
fn opened() -> Breaker {
    let mut breaker = breaker();
    note_many(&mut breaker, Verdict::Failure, 4, 0);
    breaker
}

/// A breaker whose ramp began at 15 s.
fn ramping() -> Breaker {
    let mut breaker = opened();
    assert_eq!(breaker.admit(15_000), Admit::Probe);
    note_many(&mut breaker, Verdict::Success, 3, 15_000);
    breaker
}

fn passed(breaker: &mut Breaker, sends: u32, now_ms: i64) -> usize {
    (0..sends).filter(|_| breaker.admit(now_ms) == Admit::Go).count()
}

#[test]
fn closed_lets_everything_pass() {
    assert_eq!(passed(&mut breaker(), 1_000, 0), 1_000);
}

#[test]
fn misconfigured_opens_at_once() {
    let mut breaker = breaker();
    breaker.note(Verdict::Misconfigured, 0);
    assert_eq!(breaker.admit(0), Admit::Hold { until_ms: 15_000 });
    let open = BreakerState::Open { until_ms: 15_000, cause: Cause::Misconfigured };
    assert_eq!(breaker.state(0), open);
}

#[test]
fn failures_below_the_minimum_count_do_not_open() {
    let mut breaker = breaker();
    note_many(&mut breaker, Verdict::Failure, 3, 0);
    assert_eq!(breaker.admit(0), Admit::Go);
}

#[test]
fn failures_open_at_the_share_and_not_below() {
    let mut breaker = breaker();
    note_many(&mut breaker, Verdict::Success, 10, 0);
    note_many(&mut breaker, Verdict::Failure, 9, 0);
    assert_eq!(breaker.admit(0), Admit::Go);
    breaker.note(Verdict::Failure, 0);
    assert_eq!(breaker.admit(0), Admit::Hold { until_ms: 15_000 });
}

#[test]
fn failures_that_left_the_window_do_not_count() {
    let mut breaker = breaker();
    note_many(&mut breaker, Verdict::Failure, 3, 0);
    breaker.note(Verdict::Failure, 30_001);
    assert_eq!(breaker.admit(30_001), Admit::Go);
}

#[test]
fn neutral_answers_never_open_and_never_close() {
    let mut closed = breaker();
    note_many(&mut closed, Verdict::Neutral, 1_000, 0);
    assert_eq!(closed.admit(0), Admit::Go);
    let mut half_open = opened();
    assert_eq!(half_open.admit(15_000), Admit::Probe);
    note_many(&mut half_open, Verdict::Neutral, 1_000, 15_000);
    assert_eq!(half_open.admit(15_001), Admit::Hold { until_ms: 16_000 });
}

#[test]
fn late_answers_do_not_move_an_open_breaker() {
    let mut breaker = opened();
    note_many(&mut breaker, Verdict::Success, 100, 1_000);
    note_many(&mut breaker, Verdict::Failure, 100, 1_000);
    assert_eq!(breaker.admit(1_000), Admit::Hold { until_ms: 15_000 });
}

#[test]
fn late_misconfigured_answers_do_not_lengthen_the_wait() {
    let mut breaker = breaker();
    note_many(&mut breaker, Verdict::Misconfigured, 500, 0);
    assert_eq!(breaker.admit(10_000), Admit::Hold { until_ms: 15_000 });
}

#[test]
fn half_open_lets_one_probe_pass_each_interval() {
    let mut breaker = opened();
    assert_eq!(breaker.admit(15_000), Admit::Probe);
    assert_eq!(breaker.admit(15_000), Admit::Hold { until_ms: 16_000 });
    assert_eq!(breaker.admit(15_999), Admit::Hold { until_ms: 16_000 });
    assert_eq!(breaker.admit(16_000), Admit::Probe);
}

#[test]
fn a_failed_probe_opens_again_for_twice_as_long_up_to_the_cap() {
    let mut breaker = opened();
    let (mut now, mut waits) = (15_000, Vec::new());
    for _ in 0..8 {
        assert_eq!(breaker.admit(now), Admit::Probe);
        breaker.note(Verdict::Failure, now);
        let until = breaker.down_until(now).unwrap();
        waits.push((until - now) / 1_000);
        now = until;
    }
    assert_eq!(waits, [30, 60, 120, 240, 480, 900, 900, 900]);
}

#[test]
fn enough_probes_taken_begin_the_ramp() {
    let mut breaker = opened();
    assert_eq!(breaker.admit(15_000), Admit::Probe);
    note_many(&mut breaker, Verdict::Success, 2, 15_100);
    assert!(matches!(breaker.state(15_100), BreakerState::HalfOpen { successes: 2, .. }));
    breaker.note(Verdict::Success, 15_100);
    assert!(matches!(breaker.state(15_100), BreakerState::Ramp { step: 0, .. }));
}

#[test]
fn the_ramp_lets_10_25_50_and_100_percent_pass_over_a_minute() {
    let mut breaker = ramping();
    for (at_ms, share) in [(15_000, 100), (35_000, 250), (55_000, 500), (75_000, 1_000)] {
        assert_eq!(passed(&mut breaker, 1_000, at_ms), share, "at {at_ms}");
    }
    assert_eq!(breaker.state(75_000), BreakerState::Closed);
}

#[test]
fn failures_during_the_ramp_open_for_longer_than_the_first_time() {
    let mut breaker = ramping();
    note_many(&mut breaker, Verdict::Failure, 3, 16_000);
    assert_eq!(breaker.admit(16_000), Admit::Hold { until_ms: 46_000 });
}

#[test]
fn a_ramp_that_ended_well_forgets_earlier_openings() {
    let mut breaker = ramping();
    assert_eq!(breaker.state(75_000), BreakerState::Closed);
    note_many(&mut breaker, Verdict::Failure, 4, 80_000);
    assert_eq!(breaker.down_until(80_000), Some(95_000));
}

#[test]
fn a_silent_ramp_ends_by_time_alone() {
    assert_eq!(ramping().admit(3_600_000), Admit::Go);
}

#[test]
fn the_factor_scales_every_wait() {
    let config = BreakerConfig { min_count: 1, wait_factor: 0.01, ..BreakerConfig::default() };
    let mut breaker = Breaker::new(config);
    breaker.note(Verdict::Failure, 0);
    assert_eq!(breaker.down_until(0), Some(150));
    assert_eq!(breaker.admit(150), Admit::Probe);
    assert_eq!(breaker.admit(150), Admit::Hold { until_ms: 160 });
    note_many(&mut breaker, Verdict::Success, 3, 160);
    assert_eq!(breaker.state(160 + 600), BreakerState::Closed);
}

#[test]
fn an_edge_known_to_be_down_says_until_when_and_one_that_is_up_does_not() {
    assert_eq!(breaker().down_until(0), None);
    assert_eq!(opened().down_until(1), Some(15_000));
    assert_eq!(opened().down_until(20_000), Some(20_000));
    assert_eq!(ramping().down_until(15_000), None);
}

fn any_verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        Just(Verdict::Success),
        Just(Verdict::Neutral),
        Just(Verdict::Failure),
        Just(Verdict::Misconfigured),
    ]
}

proptest! {
    /// Whatever happened, a provider that answers well gets its whole load back.
    #[test]
    fn an_edge_that_answers_well_always_recovers(
        history in prop::collection::vec((0_i64..40_000, any_verdict()), 0..60),
    ) {
        let mut breaker = breaker();
        let mut now = 0;
        for (step, verdict) in history {
            now += step;
            breaker.admit(now);
            breaker.note(verdict, now);
        }
        // The longest wait, three probes and the ramp; then a window for old failures to leave.
        for _ in 0..1_200 {
            now += 1_000;
            if !matches!(breaker.admit(now), Admit::Hold { .. }) {
                breaker.note(Verdict::Success, now);
            }
        }
        prop_assert_eq!(breaker.state(now), BreakerState::Closed);
    }

    /// A hold always names a moment to come, so nobody spins on it.
    #[test]
    fn a_hold_always_lies_in_the_future(
        history in prop::collection::vec((0_i64..40_000, any_verdict()), 0..60),
    ) {
        let mut breaker = breaker();
        let mut now = 0;
        for (step, verdict) in history {
            now += step;
            if let Admit::Hold { until_ms } = breaker.admit(now) {
                prop_assert!(until_ms > now);
            }
            breaker.note(verdict, now);
        }
    }
}

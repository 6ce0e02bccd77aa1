//! APNs.

use consumers::channel::{NotStarted, Port};
use policy::outcome::AttemptOutcome;
use runtime::metrics::Metrics;
use schemas::ids::Timestamp;
use schemas::records::{OutcomeKind, Reason};
use simulators::Script;

use crate::rig::{Rig, kind, letter, patient, rig};

/// A token that asks for its answer by its beginning.
fn token(prefix: &str) -> String {
    format!("{prefix:0<64}")
}

#[tokio::test]
async fn every_scripted_token_ends_in_its_class() {
    let rig = rig(|_| {}).await;
    let port = rig.apns(&rig.apns_config());
    let first = rig.send(&port, &letter(&token("ab"))).await;
    assert_eq!(kind(&first), (OutcomeKind::Accepted, Reason::Delivered));
    assert_eq!(first.provider_id, Some(port.send_id(&letter(""))));
    for (prefix, outcome, reason) in [
        ("deadbeef", OutcomeKind::AddressGone, Reason::Unregistered),
        ("deadc0de", OutcomeKind::AddressGone, Reason::ExpiredToken),
        ("fa110400", OutcomeKind::AddressGone, Reason::BadToken),
        ("fa111400", OutcomeKind::AddressGone, Reason::WrongApp),
        ("fa110429", OutcomeKind::Throttled, Reason::DeviceBusy),
        ("fa110500", OutcomeKind::Unavailable, Reason::ServerError),
        ("fa110503", OutcomeKind::Unavailable, Reason::ServerUnavailable),
        ("51002000", OutcomeKind::Accepted, Reason::Delivered),
        ("c105ed00", OutcomeKind::Indeterminate, Reason::NoAnswer),
        ("0ff11e00", OutcomeKind::Indeterminate, Reason::NoAnswer),
    ] {
        let answer = rig.send(&port, &letter(&token(prefix))).await;
        assert_eq!(kind(&answer), (outcome, reason), "{prefix}");
    }
    for prefix in ["fa110429", "fa110500"] {
        rig.send(&port, &letter(&token(prefix))).await;
        let third = rig.send(&port, &letter(&token(prefix))).await;
        assert_eq!(third.outcome, AttemptOutcome::Accepted, "{prefix} is taken the third time");
    }
}

#[tokio::test]
async fn a_dead_token_carries_the_moment_of_its_death() {
    let rig = rig(|_| {}).await;
    let port = rig.apns(&rig.apns_config());
    let answer = rig.send(&port, &letter(&token("deadbeef001600000000001"))).await;
    // The twelve digits after the mark.
    let since = Some(Timestamp(0x0016_0000_0000));
    assert_eq!(answer.outcome, AttemptOutcome::AddressGone { since });
}

#[tokio::test]
async fn what_apple_sees_of_a_repeat_is_the_same_and_opaque() {
    let rig = rig(|_| {}).await;
    let port = rig.apns(&rig.apns_config());
    let letter = letter(&token("ab"));
    for _ in 0..2 {
        rig.send(&port, &letter).await;
    }
    let received = rig.doubles.apns.received();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].id, received[1].id);
    assert_eq!(received[0].collapse_id, received[1].collapse_id);
    assert_eq!(received[0].payload, received[1].payload);
    assert_eq!(received[0].headers["apns-push-type"], "alert");
    assert_eq!(received[0].payload["aps"]["alert"]["title"], "Comune di Laricheto");
    let id = letter.message_id.to_string();
    for value in received[0].headers.values() {
        assert!(!value.contains(&id) && !value.contains(&letter.citizen.to_string()));
    }
}

async fn misconfigured(rig: &Rig, change: impl FnOnce(&mut consumers::apns::ApnsConfig)) -> Reason {
    let mut config = rig.apns_config();
    change(&mut config);
    let port = rig.apns(&config);
    let answer = rig.send(&port, &letter(&token("ab"))).await;
    assert_eq!(answer.outcome, AttemptOutcome::Misconfigured, "{:?}", answer.reason);
    assert!(port.down_until(rig.world.now()).is_some(), "the breaker opens at once");
    answer.reason
}

#[tokio::test]
async fn a_wrong_credential_opens_the_breaker_and_kills_no_token() {
    let rig = rig(|_| {}).await;
    let other = rig.doubles.apns.sandbox_key.path.clone();
    let other_id = rig.doubles.apns.sandbox_key.id.clone();
    assert_eq!(misconfigured(&rig, |c| c.team_id = "TEAM000000".into()).await, Reason::Credential);
    assert_eq!(misconfigured(&rig, |c| c.key_id = "KEY0000000".into()).await, Reason::Credential);
    let sandbox = |c: &mut consumers::apns::ApnsConfig| (c.key_file, c.key_id) = (other, other_id);
    assert_eq!(misconfigured(&rig, sandbox).await, Reason::Credential);
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_burns_no_try() {
    let rig = rig(|_| {}).await;
    let down = Script { down: Some(true), ..Script::default() };
    rig.doubles.apns.script(down).unwrap();
    let mut config = rig.apns_config();
    config.gate = consumers::gate::GateConfig { breaker_min_count: 3, ..patient() };
    let port = rig.apns(&config);
    for _ in 0..3 {
        let answer = rig.send(&port, &letter(&token("ab"))).await;
        assert_eq!(kind(&answer), (OutcomeKind::Unavailable, Reason::Unsent));
    }
    let until = port.down_until(rig.world.now());
    let until = until.expect("three failures of three open the breaker");
    let held = port.send(&letter(&token("ab")), rig.in_a_minute()).await;
    assert_eq!(held, Err(NotStarted::Held { until }));
}

#[tokio::test]
async fn a_send_whose_facts_are_old_reaches_no_provider() {
    let rig = rig(|_| {}).await;
    let port = rig.apns(&rig.apns_config());
    let first = rig.send(&port, &letter(&token("ab"))).await;
    assert_eq!(first.outcome, AttemptOutcome::Accepted);
    let past = Timestamp(rig.world.now().0 - 1);
    assert_eq!(port.send(&letter(&token("cd")), past).await, Err(NotStarted::Late));
    assert_eq!(rig.doubles.apns.counts().accepted, 1);
    assert_eq!(port.down_until(rig.world.now()), None, "and says nothing of the edge");
}

#[tokio::test]
async fn what_an_edge_does_stands_in_the_metrics() {
    let rig = rig(|_| {}).await;
    let port = rig.apns(&rig.apns_config());
    rig.send(&port, &letter(&token("ab"))).await;
    let metrics = Metrics::new(prometheus::Registry::new());
    // Twice: a total is raised to where it stands, not added to.
    port.report(&metrics);
    port.report(&metrics);
    let edge = &metrics.edge;
    assert_eq!(edge.breaker_state.with_label_values(&["apns", "closed"]).get(), 1);
    assert_eq!(edge.breaker_state.with_label_values(&["apns", "open"]).get(), 0);
    assert_eq!(edge.guard_tripped.with_label_values(&["apns"]).get(), 0);
    assert!((0..60).contains(&edge.token_age.with_label_values(&["apns"]).get()));
    let live = edge.connections.with_label_values(&["apns", "live"]).get();
    assert!((1..=2).contains(&live));
    let mut text = String::new();
    prometheus::TextEncoder::new().encode_utf8(&metrics.registry.gather(), &mut text).unwrap();
    let opened = format!(r#"edge_connection_events_total{{channel="apns",event="opened"}} {live}"#);
    assert!(text.contains(&opened), "{text}");
}

#[tokio::test]
async fn a_refused_stream_is_no_outcome() {
    let rig = rig(|_| {}).await;
    let port = rig.apns(&rig.apns_config());
    rig.send(&port, &letter(&token("ab"))).await;
    let refuse = Script { refuse_streams: Some(1), ..Script::default() };
    rig.doubles.apns.script(refuse).unwrap();
    let answer = rig.send(&port, &letter(&token("cd"))).await;
    assert_eq!(answer.outcome, AttemptOutcome::Accepted);
}

#[tokio::test]
async fn a_hundred_at_once_all_arrive() {
    let rig = rig(|_| {}).await;
    let port = rig.apns(&rig.apns_config());
    let letters: Vec<_> = (0..100).map(|n| letter(&format!("{n:0>64x}"))).collect();
    let sends = letters.iter().map(|letter| rig.send(&port, letter));
    let answers = futures::future::join_all(sends).await;
    assert!(answers.iter().all(|answer| answer.outcome == AttemptOutcome::Accepted));
    assert_eq!(rig.doubles.apns.counts().accepted, 100);
}

#[tokio::test]
async fn a_wrong_setting_is_named_before_anything_opens() {
    let rig = rig(|_| {}).await;
    type Change = fn(&mut consumers::apns::ApnsConfig);
    let changes: [(Change, &str); 6] = [
        (|c| c.url = "http://a.example".into(), "apns.url"),
        (|c| c.key_file = "/nowhere".into(), "apns.key_file"),
        (|c| c.key_file = c.ca_file.clone(), "apns.key_file"),
        (|c| c.ca_file = c.key_file.clone(), "apns.ca_file"),
        (|c| c.topic = String::new(), "apns.topic"),
        (|c| c.pool.connections = 0, "apns.pool"),
    ];
    for (change, key) in changes {
        let mut config = rig.apns_config();
        change(&mut config);
        let port = consumers::apns::ApnsPort::open(&config, rig.keyring.clone(), &rig.world);
        assert_eq!(port.err().unwrap().key, key);
    }
}

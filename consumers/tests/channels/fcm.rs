//! FCM.

use consumers::channel::Port;
use policy::outcome::{Answer, AttemptOutcome};
use schemas::records::{OutcomeKind, Reason};
use simulators::Script;

use crate::rig::{kind, letter, rig};

fn token(mark: &str) -> String {
    format!("{mark}{:x<100}:APA91b", "f")
}

#[tokio::test]
async fn every_scripted_token_ends_in_its_class() {
    let rig = rig(|_| {}).await;
    let port = rig.fcm(&rig.fcm_config());
    port.ready().await;
    for (mark, outcome, reason) in [
        ("", OutcomeKind::Accepted, Reason::Delivered),
        ("gone-", OutcomeKind::AddressGone, Reason::Unregistered),
        ("bad-", OutcomeKind::AddressGone, Reason::BadToken),
        ("mismatch-", OutcomeKind::AddressGone, Reason::WrongApp),
        ("429-", OutcomeKind::Throttled, Reason::Quota),
        ("quota-", OutcomeKind::Throttled, Reason::Quota),
        ("500-", OutcomeKind::Unavailable, Reason::ServerError),
        ("503-", OutcomeKind::Unavailable, Reason::ServerUnavailable),
        ("slow-", OutcomeKind::Accepted, Reason::Delivered),
        ("drop-", OutcomeKind::Indeterminate, Reason::NoAnswer),
        ("mute-", OutcomeKind::Indeterminate, Reason::NoAnswer),
    ] {
        let answer = rig.send(&port, &letter(&token(mark))).await;
        assert_eq!(kind(&answer), (outcome, reason), "{mark}");
    }
    for (mark, times) in [("429-", 2), ("quota-", 1), ("500-", 2)] {
        for _ in 1..times {
            rig.send(&port, &letter(&token(mark))).await;
        }
        let last = rig.send(&port, &letter(&token(mark))).await;
        assert_eq!(last.outcome, AttemptOutcome::Accepted, "{mark} is taken in the end");
    }
}

#[tokio::test]
async fn retry_after_is_heard() {
    let rig = rig(|config| config.retry_after_seconds = 77).await;
    let port = rig.fcm(&rig.fcm_config());
    port.ready().await;
    let retry_after = Some(std::time::Duration::from_secs(77));
    let send = async |mark: &str| rig.send(&port, &letter(&token(mark))).await.outcome;
    assert_eq!(send("429-").await, AttemptOutcome::Throttled { retry_after });
    assert_eq!(send("503-").await, AttemptOutcome::Unavailable { retry_after });
    assert_eq!(send("quota-").await, AttemptOutcome::Throttled { retry_after: None });
}

#[tokio::test]
async fn what_google_sees_of_a_repeat_is_the_same() {
    let rig = rig(|_| {}).await;
    let port = rig.fcm(&rig.fcm_config());
    port.ready().await;
    let letter = letter(&token(""));
    let answers = [rig.send(&port, &letter).await, rig.send(&port, &letter).await];
    let received = rig.doubles.fcm.received();
    assert_eq!(received.len(), 2);
    assert!(received[0].collapse_id.is_some());
    assert_eq!(received[0].collapse_id, received[1].collapse_id);
    let names: Vec<_> = answers.into_iter().map(|answer| answer.provider_id.unwrap()).collect();
    assert_eq!(names, [received[0].id.clone(), received[1].id.clone()]);
    assert!(names[0].starts_with("projects/staffetta-sample/messages/"));
}

async fn scripted(answer: &str, port: &consumers::fcm::FcmPort, rig: &crate::rig::Rig) -> Answer {
    let script = Script { answer: Some(answer.into()), count: Some(2), ..Script::default() };
    rig.doubles.fcm.script(script).unwrap();
    rig.send(port, &letter(&token(""))).await
}

#[tokio::test]
async fn a_wrong_right_or_credential_opens_the_breaker() {
    for (answer, reason) in
        [("PERMISSION_DENIED", Reason::Forbidden), ("THIRD_PARTY_AUTH_ERROR", Reason::Credential)]
    {
        let rig = rig(|_| {}).await;
        let port = rig.fcm(&rig.fcm_config());
        port.ready().await;
        let answer = scripted(answer, &port, &rig).await;
        assert_eq!(kind(&answer), (OutcomeKind::Misconfigured, reason));
        assert!(port.down_until(rig.world.now()).is_some());
    }
}

#[tokio::test]
async fn an_account_without_the_right_to_send_is_misconfigured() {
    let rig = rig(|_| {}).await;
    let mut config = rig.fcm_config();
    config.account_file = rig.doubles.fcm.powerless_account.clone();
    let port = rig.fcm(&config);
    port.ready().await;
    let answer = rig.send(&port, &letter(&token(""))).await;
    assert_eq!(kind(&answer), (OutcomeKind::Misconfigured, Reason::Forbidden));
}

#[tokio::test]
async fn an_account_that_the_token_server_refuses_is_misconfigured_and_an_outage_there_is_not() {
    for (token_answer, outcome, reason) in [
        ("invalid_grant", OutcomeKind::Misconfigured, Reason::Credential),
        ("internal_failure", OutcomeKind::Unavailable, Reason::Unsent),
    ] {
        let rig = rig(|_| {}).await;
        let refuse = Script {
            token_answer: Some(token_answer.into()),
            count: Some(1_000),
            ..Script::default()
        };
        rig.doubles.fcm.script(refuse).unwrap();
        let port = rig.fcm(&rig.fcm_config());
        while port.token_health().failures == 0 {
            tokio::task::yield_now().await;
        }
        let answer = rig.send(&port, &letter(&token(""))).await;
        assert_eq!(kind(&answer), (outcome, reason), "{token_answer}");
    }
}

//! What APNs takes and for which reason it refuses.

use serde_json::json;
use simulators::Script;

use crate::support::apns::{ID, Push, TOKEN, client, reason};
use crate::support::{Doubles, doubles};

/// Sends each push on a connection of its own and compares the answers.
async fn check(doubles: &Doubles, cases: impl IntoIterator<Item = (Push, &str)>) {
    for (push, expected) in cases {
        let answer = client(&doubles.running.apns).await.ask(push.request()).await.unwrap();
        assert_eq!(reason(&answer), expected);
        assert!(answer.header("apns-id").is_some(), "{expected} without apns-id");
    }
}

#[tokio::test]
async fn a_sound_push_is_answered_by_one_headers_frame_with_its_id() {
    let doubles = doubles(|_| {}).await;
    let apns = &doubles.running.apns;
    let answer = client(apns).await.ask(Push::sound(apns).request()).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("apns-id"), Some(ID));
    assert!(answer.ended_on_headers && answer.body.is_empty());
}

#[tokio::test]
async fn a_push_without_an_id_is_given_one() {
    let doubles = doubles(|_| {}).await;
    let apns = &doubles.running.apns;
    let push = Push::sound(apns).without("apns-id");
    let answer = client(apns).await.ask(push.request()).await.unwrap();
    let id = answer.header("apns-id").unwrap().to_owned();
    assert_eq!(id.len(), 36);
    assert_eq!(apns.received()[0].id, id);
}

#[tokio::test]
async fn method_path_and_token_are_asked_first() {
    let doubles = doubles(|_| {}).await;
    let push = Push::sound(&doubles.running.apns);
    let path = |path: &str| push.clone().path(path);
    let cases = [
        (push.clone().method("GET"), "405 MethodNotAllowed"),
        (path("/3/devices/00ff"), "404 BadPath"),
        (path("/3/device"), "404 BadPath"),
        (path("/3/device/00ff/00ff"), "404 BadPath"),
        (path("/3/device/"), "400 MissingDeviceToken"),
        (path("/3/device/00fg"), "400 BadDeviceToken"),
        (path("/3/device/00f"), "400 BadDeviceToken"),
        (push.clone().token(&TOKEN.to_uppercase()), "200"),
        (push.clone().token("00ff00ff"), "200"),
    ];
    check(&doubles, cases).await;
}

#[tokio::test]
async fn each_header_has_its_reason() {
    let doubles = doubles(|_| {}).await;
    let push = Push::sound(&doubles.running.apns);
    let topic = doubles.running.apns.topic.clone();
    let with = |name: &str, value: &str| push.clone().with(name, value);
    let sixty_four = "é".repeat(32);
    let cases = [
        (push.clone().without("apns-topic"), "400 MissingTopic"),
        (with("apns-topic", "not a topic"), "400 BadTopic"),
        (with("apns-topic", "it.example.other"), "400 TopicDisallowed"),
        (with("apns-topic", &format!("{topic}.unknown")), "400 TopicDisallowed"),
        (push.clone().adding("apns-priority", "10"), "400 DuplicateHeaders"),
        (with("apns-id", "8d3f1c1e5a2b4c6d9e7f0123456789ab"), "400 BadMessageId"),
        (with("apns-id", &ID.to_uppercase()), "200"),
        (with("apns-push-type", "loud"), "400 InvalidPushType"),
        (push.clone().without("apns-push-type"), "200"),
        (with("apns-priority", "9"), "400 BadPriority"),
        (with("apns-priority", "1"), "200"),
        (with("apns-priority", "5"), "200"),
        (push.clone().without("apns-priority"), "200"),
        (with("apns-expiration", "tomorrow"), "400 BadExpirationDate"),
        (with("apns-expiration", "-1"), "400 BadExpirationDate"),
        (with("apns-expiration", "0"), "200"),
        (with("apns-collapse-id", &sixty_four), "200"),
        (with("apns-collapse-id", &format!("{sixty_four}x")), "400 BadCollapseId"),
    ];
    check(&doubles, cases).await;
}

#[tokio::test]
async fn the_push_type_agrees_with_payload_topic_and_priority() {
    let doubles = doubles(|_| {}).await;
    let topic = &doubles.running.apns.topic;
    let push = Push::sound(&doubles.running.apns);
    let wake = json!({"aps": {"content-available": 1}}).to_string();
    let voip_topic = format!("{topic}.voip");
    let background = || push.clone().with("apns-push-type", "background").body(wake.clone());
    let voip = || push.clone().with("apns-push-type", "voip").with("apns-topic", &voip_topic);
    let cases = [
        (background().with("apns-priority", "5"), "200"),
        (background(), "400 BadPriority"),
        (background().without("apns-priority"), "400 BadPriority"),
        (push.clone().body(wake.clone()), "400 InvalidPushType"),
        (push.clone().with("apns-push-type", "background"), "400 InvalidPushType"),
        (voip(), "200"),
        (voip().with("apns-topic", topic), "400 InvalidPushType"),
        (push.clone().with("apns-topic", &voip_topic), "400 InvalidPushType"),
    ];
    check(&doubles, cases).await;
}

#[tokio::test]
async fn a_payload_has_4096_bytes_at_most_and_for_voip_5120() {
    let doubles = doubles(|_| {}).await;
    let apns = &doubles.running.apns;
    let push = Push::sound(apns);
    let voip = push.clone().with("apns-push-type", "voip");
    let voip = voip.with("apns-topic", &format!("{}.voip", apns.topic));
    let cases = [
        (push.clone().body(""), "400 PayloadEmpty"),
        (push.clone().body("not json"), "400 PayloadEmpty"),
        (push.clone().sized(4096), "200"),
        (push.clone().sized(4097), "413 PayloadTooLarge"),
        (push.clone().sized(1_000_000), "413 PayloadTooLarge"),
        (voip.clone().sized(5120), "200"),
        (voip.sized(5121), "413 PayloadTooLarge"),
    ];
    check(&doubles, cases).await;
}

#[tokio::test]
async fn of_two_faults_the_earlier_check_answers() {
    let doubles = doubles(|_| {}).await;
    // Each step adds a fault that is asked before all faults so far.
    type Worsen = fn(Push) -> Push;
    let steps: [(Worsen, &str); 12] = [
        (|push| push.body(""), "400 PayloadEmpty"),
        (|push| push.with("apns-collapse-id", &"x".repeat(65)), "400 BadCollapseId"),
        (|push| push.with("apns-expiration", "x"), "400 BadExpirationDate"),
        (|push| push.with("apns-priority", "x"), "400 BadPriority"),
        (|push| push.with("apns-push-type", "x"), "400 InvalidPushType"),
        (|push| push.with("apns-id", "x"), "400 BadMessageId"),
        (|push| push.adding("apns-priority", "x"), "400 DuplicateHeaders"),
        (|push| push.without("apns-topic"), "400 MissingTopic"),
        (|push| push.without("authorization"), "403 MissingProviderToken"),
        (|push| push.token("xyz"), "400 BadDeviceToken"),
        (|push| push.path("/4"), "404 BadPath"),
        (|push| push.method("GET"), "405 MethodNotAllowed"),
    ];
    let mut push = Push::sound(&doubles.running.apns);
    for (worsen, expected) in steps {
        push = worsen(push);
        check(&doubles, [(push.clone(), expected)]).await;
    }
}

#[tokio::test]
async fn a_token_says_how_it_wants_to_be_answered() {
    let doubles = doubles(|_| {}).await;
    let push = Push::sound(&doubles.running.apns);
    let marked = |mark: &str| push.clone().marked(mark);
    let cases = [
        (marked("fa110400"), "400 BadDeviceToken"),
        (marked("fa111400"), "400 DeviceTokenNotForTopic"),
        (marked("fa110503"), "503 ServiceUnavailable"),
        (marked("fa110429"), "429 TooManyRequests"),
        (marked("fa110429"), "429 TooManyRequests"),
        (marked("fa110429"), "200"),
        (marked("fa110429ff"), "429 TooManyRequests"),
        (marked("fa110500"), "500 InternalServerError"),
        (marked("FA110500"), "500 InternalServerError"),
        (marked("fa110500"), "200"),
        (marked("fa110503"), "503 ServiceUnavailable"),
    ];
    check(&doubles, cases).await;
}

#[tokio::test]
async fn a_dead_token_is_dated_by_its_own_digits() {
    let doubles = doubles(|_| {}).await;
    let apns = &doubles.running.apns;
    let since = 1_454_948_015_990_u64;
    for (mark, expected) in [("deadbeef", "Unregistered"), ("deadc0de", "ExpiredToken")] {
        let push = Push::sound(apns).marked(&format!("{mark}{since:012x}"));
        let answer = client(apns).await.ask(push.request()).await.unwrap();
        assert_eq!(answer.status, 410);
        assert_eq!(answer.json(), json!({"reason": expected, "timestamp": since}));
    }
}

#[tokio::test]
async fn reasons_that_need_circumstances_are_given_by_script() {
    let doubles = doubles(|_| {}).await;
    let push = Push::sound(&doubles.running.apns);
    let expected = [
        "400 IdleTimeout",
        "403 BadCertificate",
        "403 BadCertificateEnvironment",
        "403 BadEnvironmentKeyIdInToken",
        "403 Forbidden",
        "503 Shutdown",
    ];
    for answer in expected {
        let name = answer.split_once(' ').unwrap().1.to_owned();
        let script = Script { answer: Some(name), count: Some(1), ..Script::default() };
        doubles.running.apns.script(script).unwrap();
        check(&doubles, [(push.clone(), answer)]).await;
    }
    check(&doubles, [(push, "200")]).await;
}

#[tokio::test]
async fn what_was_accepted_is_shown_and_what_was_refused_is_not() {
    let doubles = doubles(|_| {}).await;
    let apns = &doubles.running.apns;
    let push = Push::sound(apns);
    let cases = [(push.clone(), "200"), (push.marked("fa110400"), "400 BadDeviceToken")];
    check(&doubles, cases).await;
    let received = apns.received();
    assert_eq!(received.len(), 1);
    let shown = &received[0];
    assert_eq!(shown.token.as_deref(), Some(TOKEN));
    assert_eq!(shown.id, ID);
    assert_eq!(shown.collapse_id.as_deref(), Some("c0llapse"));
    assert_eq!(shown.headers["apns-push-type"], "alert");
    assert_eq!(shown.headers["authorization"], "[withheld]");
    assert_eq!(shown.payload["aps"]["alert"]["title"], "t");
    let counts = apns.counts();
    assert_eq!((counts.accepted, counts.requests), (1, 2));
    assert_eq!(counts.by_answer["200"], 1);
    assert_eq!(counts.by_answer["400 BadDeviceToken"], 1);
}

//! The admin listeners.

use serde_json::{Value, json};

use crate::support::apns::{Push, client};
use crate::support::http::admin;
use crate::support::{Doubles, doubles};

async fn push(doubles: &Doubles, push: Push) {
    client(&doubles.running.apns).await.ask(push.request()).await.unwrap();
}

#[tokio::test]
async fn received_is_a_line_of_json_for_each_accepted_item() {
    let doubles = doubles(|_| {}).await;
    let apns = &doubles.running.apns;
    for mark in ["aa", "bb", "fa110400", "cc"] {
        push(&doubles, Push::sound(apns).marked(mark)).await;
    }
    let answer = admin(apns.admin, "GET", "/received", "").await;
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let lines: Vec<Value> = String::from_utf8_lossy(&answer.body)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0]["token"].as_str().unwrap().starts_with("aa"));
    assert_eq!(lines[0]["collapse_id"], "c0llapse");
    assert_eq!(lines[0]["headers"]["apns-priority"], "10");
    assert_eq!(lines[0]["payload"]["aps"]["alert"]["body"], "b");
    let rest = admin(apns.admin, "GET", "/received?from=2", "").await;
    assert_eq!(String::from_utf8_lossy(&rest.body).lines().count(), 1);
}

#[tokio::test]
async fn counts_tell_requests_by_answer_and_connections() {
    let doubles = doubles(|_| {}).await;
    let apns = &doubles.running.apns;
    for mark in ["aa", "fa110400"] {
        push(&doubles, Push::sound(apns).marked(mark)).await;
    }
    let counts = admin(apns.admin, "GET", "/counts", "").await.json();
    assert_eq!(counts["accepted"], 1);
    assert_eq!(counts["requests"], 2);
    assert_eq!(counts["by_answer"], json!({"200": 1, "400 BadDeviceToken": 1}));
    assert_eq!(counts["connections"], 2);
    assert_eq!(counts["received_dropped"], 0);
}

#[tokio::test]
async fn what_exceeds_the_limit_is_counted_as_dropped() {
    let doubles = doubles(|config| config.received_max = 1).await;
    let apns = &doubles.running.apns;
    for mark in ["aa", "bb"] {
        push(&doubles, Push::sound(apns).marked(mark)).await;
    }
    assert_eq!(apns.received().len(), 1);
    let counts = apns.counts();
    assert_eq!((counts.accepted, counts.received_dropped), (2, 1));
}

#[tokio::test]
async fn a_reset_forgets_records_counts_and_what_tokens_were_answered() {
    let doubles = doubles(|_| {}).await;
    let apns = &doubles.running.apns;
    for _ in 0..2 {
        push(&doubles, Push::sound(apns).marked("fa110429")).await;
    }
    push(&doubles, Push::sound(apns)).await;
    assert_eq!(admin(apns.admin, "POST", "/reset", "").await.status, 204);
    assert!(apns.received().is_empty());
    push(&doubles, Push::sound(apns).marked("fa110429")).await;
    let counts = apns.counts();
    assert_eq!(counts.requests, 1);
    assert_eq!(counts.by_answer["429 TooManyRequests"], 1);
}

#[tokio::test]
async fn a_script_is_taken_and_a_misspelt_one_refused() {
    let doubles = doubles(|_| {}).await;
    let apns = &doubles.running.apns;
    let script = r#"{"answer": "Shutdown", "count": 1}"#;
    assert_eq!(admin(apns.admin, "POST", "/script", script).await.status, 204);
    push(&doubles, Push::sound(apns)).await;
    assert_eq!(apns.counts().by_answer["503 Shutdown"], 1);
    for wrong in [r#"{"dwon": true}"#, "", "[]"] {
        assert_eq!(admin(apns.admin, "POST", "/script", wrong).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn each_double_has_an_admin_listener_of_its_own() {
    let doubles = doubles(|_| {}).await;
    let running = &doubles.running;
    push(&doubles, Push::sound(&running.apns)).await;
    for (address, accepted) in
        [(running.apns.admin, 1), (running.fcm.admin, 0), (running.smtp.admin, 0)]
    {
        assert!(address.ip().is_loopback());
        let counts = admin(address, "GET", "/counts", "").await.json();
        assert_eq!(counts["accepted"], accepted);
    }
}

//! What FCM takes, which errors it answers, how its connections behave.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::poll;
use h2::Reason;
use serde_json::json;
use simulators::{Mode, RetryAfter, Script};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::support::fcm::{Sender, TOKEN, client, detail, failure, send, sound};
use crate::support::frames::{GOAWAY, Raw, SETTINGS};
use crate::support::http::http1;
use crate::support::{connect, doubles};

#[tokio::test]
async fn a_sound_message_is_given_a_name_and_shown() {
    let doubles = doubles(|_| {}).await;
    let fcm = &doubles.running.fcm;
    let answer = Sender::of(fcm).await.send_to(TOKEN).await;
    assert_eq!(answer.status, 200);
    let name = answer.json()["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with(&format!("projects/{}/messages/", fcm.project_id)));
    let received = &fcm.received()[0];
    assert_eq!(received.id, name);
    assert_eq!(received.token.as_deref(), Some(TOKEN));
    assert_eq!(received.collapse_id.as_deref(), Some("c0llapse"));
    assert_eq!(received.payload, sound(TOKEN));
    assert_eq!(received.headers["authorization"], "[withheld]");
}

#[tokio::test]
async fn a_token_says_how_it_wants_to_be_answered() {
    let doubles = doubles(|_| {}).await;
    let mut sender = Sender::of(&doubles.running.fcm).await;
    let quota = "429 RESOURCE_EXHAUSTED QUOTA_EXCEEDED";
    for (token, expected, retry_after) in [
        ("gone-1", "404 NOT_FOUND UNREGISTERED", None),
        ("bad-1", "400 INVALID_ARGUMENT INVALID_ARGUMENT", None),
        ("mismatch-1", "403 PERMISSION_DENIED SENDER_ID_MISMATCH", None),
        ("429-1", quota, Some("2")),
        ("429-1", quota, Some("2")),
        ("429-1", "200", None),
        ("429-2", quota, Some("2")),
        ("quota-1", quota, None),
        ("quota-1", "200", None),
        ("500-1", "500 INTERNAL INTERNAL", None),
        ("500-1", "500 INTERNAL INTERNAL", None),
        ("500-1", "200", None),
        ("503-1", "503 UNAVAILABLE UNAVAILABLE", Some("2")),
        ("503-1", "503 UNAVAILABLE UNAVAILABLE", Some("2")),
        ("503-1", "503 UNAVAILABLE UNAVAILABLE", Some("2")),
    ] {
        let answer = sender.send_to(token).await;
        assert_eq!(failure(&answer), expected, "{token}");
        assert_eq!(answer.header("retry-after"), retry_after, "{token}");
        assert!(detail(&answer.json(), "BadRequest").is_null(), "{token}");
    }
}

#[tokio::test]
async fn errors_of_other_causes_are_given_by_script() {
    let doubles = doubles(|_| {}).await;
    let mut sender = Sender::of(&doubles.running.fcm).await;
    for (code, expected) in [
        ("THIRD_PARTY_AUTH_ERROR", "401 UNAUTHENTICATED THIRD_PARTY_AUTH_ERROR"),
        ("UNSPECIFIED_ERROR", "500 UNKNOWN UNSPECIFIED_ERROR"),
        ("PERMISSION_DENIED", "403 PERMISSION_DENIED"),
        ("UNAUTHENTICATED", "401 UNAUTHENTICATED"),
    ] {
        let script = Script { answer: Some(code.into()), ..Script::default() };
        doubles.running.fcm.script(script).unwrap();
        assert_eq!(failure(&sender.send_to(TOKEN).await), expected);
    }
    assert_eq!(failure(&sender.send_to(TOKEN).await), "200");
}

#[tokio::test]
async fn retry_after_may_be_a_date() {
    let doubles = doubles(|config| {
        config.retry_after = RetryAfter::Date;
        config.retry_after_seconds = 3600;
    })
    .await;
    let mut sender = Sender::of(&doubles.running.fcm).await;
    let answer = sender.send_to("503-1").await;
    let text = answer.header("retry-after").unwrap().replace("GMT", "+0000");
    let date = OffsetDateTime::parse(&text, &Rfc2822).unwrap();
    let ahead = date - OffsetDateTime::now_utc();
    assert!((3590..=3600).contains(&ahead.whole_seconds()), "{ahead}");
}

#[tokio::test]
async fn a_send_needs_a_credential_that_is_right_and_fresh() {
    let doubles = doubles(|config| config.access_token_seconds = 0).await;
    let fcm = &doubles.running.fcm;
    let mut sender = Sender::of(fcm).await;
    let uri = format!("https://localhost/v1/projects/{}/messages:send", fcm.project_id);
    let expired = format!("Bearer {}", sender.access_token);
    for (authorization, reason) in [
        (None, "CREDENTIALS_MISSING"),
        (Some("Basic x"), "CREDENTIALS_MISSING"),
        (Some("Bearer ya29.never-given"), "ACCESS_TOKEN_TYPE_UNSUPPORTED"),
        (Some(expired.as_str()), "ACCESS_TOKEN_EXPIRED"),
    ] {
        let request = send(&uri, authorization, &sound(TOKEN).to_string());
        let answer = sender.connection.ask(request).await.unwrap();
        assert_eq!(failure(&answer), "401 UNAUTHENTICATED");
        assert_eq!(detail(&answer.json(), "ErrorInfo")["reason"], reason);
        assert!(answer.header("www-authenticate").is_some());
    }
}

#[tokio::test]
async fn an_account_without_the_right_to_send_is_denied_without_an_fcm_code() {
    let doubles = doubles(|_| {}).await;
    let fcm = &doubles.running.fcm;
    let mut sender = Sender::with(fcm, &fcm.powerless_account).await;
    assert_eq!(failure(&sender.send_to(TOKEN).await), "403 PERMISSION_DENIED");
}

#[tokio::test]
async fn another_project_and_another_path_are_not_found() {
    let doubles = doubles(|_| {}).await;
    let mut sender = Sender::of(&doubles.running.fcm).await;
    let authorization = format!("Bearer {}", sender.access_token);
    for (path, expected) in [
        ("/v1/projects/another/messages:send", "404 NOT_FOUND"),
        ("/v1/projects/a/b/messages:send", "404 NOT_FOUND"),
        ("/v1/projects/another/messages", "404"),
        ("/fcm/send", "404"),
    ] {
        let uri = format!("https://localhost{path}");
        let request = send(&uri, Some(&authorization), &sound(TOKEN).to_string());
        let answer = sender.connection.ask(request).await.unwrap();
        assert_eq!(failure(&answer), expected, "{path}");
    }
}

#[tokio::test]
async fn a_dry_run_is_checked_and_not_kept() {
    let doubles = doubles(|_| {}).await;
    let fcm = &doubles.running.fcm;
    let mut sender = Sender::of(fcm).await;
    let mut body = sound(TOKEN);
    body["validate_only"] = true.into();
    assert_eq!(sender.send(&body).await.status, 200);
    body["message"]["data"]["from"] = "x".into();
    assert_eq!(sender.send(&body).await.status, 400);
    assert!(fcm.received().is_empty());
    assert_eq!(fcm.counts().accepted, 0);
}

#[tokio::test]
async fn slow_mute_and_dropped_tokens_concern_their_own_stream_only() {
    let doubles = doubles(|config| config.time_scale = 20.0).await;
    let fcm = &doubles.running.fcm;
    let mut sender = Sender::of(fcm).await;
    let begun = Instant::now();
    let slow = sender.request(&sound("slow-1"));
    let mut slow = Box::pin(sender.connection.begin(slow));
    let mute = sender.request(&sound("mute-1"));
    let mut mute = Box::pin(sender.connection.begin(mute));
    let drop = sender.request(&sound("drop-1"));
    let dropped = sender.connection.ask(drop).await.unwrap_err();
    assert!(dropped.is_reset() && dropped.is_remote());
    assert_ne!(dropped.reason(), Some(Reason::REFUSED_STREAM));
    assert_eq!(sender.send_to(TOKEN).await.status, 200);
    assert!(poll!(&mut slow).is_pending());
    assert_eq!(slow.await.unwrap().status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(100));
    assert!(poll!(&mut mute).is_pending());
    let counts = fcm.counts();
    assert_eq!((counts.by_answer["silence"], counts.by_answer["reset"]), (1, 1));
}

#[tokio::test]
async fn a_connection_has_a_hundred_streams() {
    let doubles = doubles(|_| {}).await;
    let mut sender = Sender::of(&doubles.running.fcm).await;
    assert_eq!(sender.connection.send.current_max_send_streams(), 100);
    sender.connection.send = sender.connection.send.clone().ready().await.unwrap();
}

#[tokio::test]
async fn more_streams_than_a_hundred_end_the_connection_in_googles_words() {
    let doubles = doubles(|_| {}).await;
    let fcm = &doubles.running.fcm;
    let sender = Sender::of(fcm).await;
    let mut raw = Raw::connect(fcm.address, &fcm.ca).await;
    assert_eq!(raw.until(SETTINGS).await.stream_limit(), Some(100));
    for stream in (1..=201).step_by(2) {
        raw.send(stream, sender.request(&sound("mute-1"))).await;
    }
    let expected = (199, 1, "exceeded_max_concurrent_streams".to_owned());
    assert_eq!(raw.until(GOAWAY).await.farewell(), expected);
}

#[tokio::test]
async fn http_1_1_is_served_alike() {
    let doubles = doubles(|_| {}).await;
    let fcm = &doubles.running.fcm;
    let sender = Sender::of(fcm).await;
    for (token, expected) in [(TOKEN, "200"), ("gone-1", "404 NOT_FOUND UNREGISTERED")] {
        let (mut parts, body) = sender.request(&sound(token)).into_parts();
        parts.uri = parts.uri.path().parse().unwrap();
        parts.headers.insert("host", "localhost".parse().unwrap());
        let io = connect(fcm.address, &fcm.ca, &[b"http/1.1"]).await.unwrap();
        let answer = http1(io, http::Request::from_parts(parts, body)).await.unwrap();
        assert_eq!(failure(&answer), expected);
    }
}

#[tokio::test]
async fn in_null_mode_everything_is_accepted_and_nothing_kept() {
    let doubles = doubles(|config| config.mode = Mode::Null).await;
    let fcm = &doubles.running.fcm;
    let mut connection = client(fcm).await;
    let request = http::Request::post("https://localhost/v1/projects/x/messages:send");
    let answer = connection.ask(request.body(Bytes::from("nonsense")).unwrap()).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.json()["name"].is_string());
    assert!(fcm.received().is_empty());
    let mut sender = Sender::of(fcm).await;
    assert_eq!(sender.send(&json!({})).await.status, 200);
}

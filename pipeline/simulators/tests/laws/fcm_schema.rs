//! The shape of a message and FCM's own limits.

use serde_json::{Value, json};

use crate::support::doubles;
use crate::support::fcm::{Sender, TOKEN, detail, failure, sound};

/// A sound message with the value at `pointer` replaced; null takes it away.
fn changed(pointer: &str, value: Value) -> Value {
    let mut body = sound(TOKEN);
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    parent.insert(name.to_owned(), value);
    parent.retain(|_, value| !value.is_null());
    body
}

async fn check(cases: impl IntoIterator<Item = (Value, &str, &str)>) {
    let doubles = doubles(|_| {}).await;
    let mut sender = Sender::of(&doubles.running.fcm).await;
    for (body, expected, field) in cases {
        let answer = sender.send(&body).await;
        assert_eq!(failure(&answer), expected, "{body}");
        let violations = detail(&answer.json(), "BadRequest");
        let found = violations["fieldViolations"][0]["field"].as_str().unwrap_or_default();
        assert_eq!(found, field, "{body}");
    }
}

/// Refused by the shape: FCM itself never saw it.
const SHAPE: &str = "400 INVALID_ARGUMENT";
/// Refused by FCM.
const VALUE: &str = "400 INVALID_ARGUMENT INVALID_ARGUMENT";

#[tokio::test]
async fn unknown_names_and_wrong_types_are_refused_with_their_place() {
    check([
        (changed("/extra", json!(1)), SHAPE, ""),
        (changed("/message/extra", json!(1)), SHAPE, "message"),
        (changed("/message/android/tag", json!("x")), SHAPE, "message.android"),
        (changed("/message/data/mid", json!(1)), SHAPE, "message.data[0].value"),
        (changed("/message/data", json!(["a"])), SHAPE, "message.data"),
        (changed("/message/token", json!(1)), SHAPE, "message.token"),
        (changed("/message/android/priority", json!("URGENT")), SHAPE, "message.android.priority"),
        (changed("/message/android/ttl", json!(3600)), SHAPE, "message.android.ttl"),
        (changed("/message/android/ttl", json!("3600")), SHAPE, "message.android.ttl"),
        (
            changed("/message/android/directBootOk", json!("yes")),
            SHAPE,
            "message.android.direct_boot_ok",
        ),
        (
            changed("/message/android/notification/bodyLocArgs", json!(["a", 1])),
            SHAPE,
            "message.android.notification.body_loc_args[1]",
        ),
        (changed("/message", json!("x")), SHAPE, "message"),
        (json!([]), SHAPE, ""),
    ])
    .await;
}

#[tokio::test]
async fn names_are_taken_in_both_spellings() {
    let camel = json!({"channelId": "c", "titleLocKey": "k", "titleLocArgs": ["a"]});
    let snake = json!({"channel_id": "c", "title_loc_key": "k", "title_loc_args": ["a"]});
    let mixed = json!({"channel_Id": "c"});
    let at = "/message/android/notification";
    check([
        (changed(at, camel), "200", ""),
        (changed(at, snake), "200", ""),
        (changed(at, mixed), SHAPE, "message.android.notification"),
        (changed("/message/android/collapse_key", json!("k")), "200", ""),
        (changed("/message/android/collapseKey", json!(null)), "200", ""),
        (changed("/message/android/priority", json!("high")), "200", ""),
    ])
    .await;
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused_without_a_place() {
    let doubles = doubles(|_| {}).await;
    let mut sender = Sender::of(&doubles.running.fcm).await;
    for text in ["", "{", "{\"message\":}", "\u{0}"] {
        let mut request = sender.request(&json!({}));
        *request.body_mut() = text.into();
        let answer = sender.connection.ask(request).await.unwrap();
        assert_eq!(failure(&answer), SHAPE, "{text}");
        assert!(answer.json()["error"]["details"].is_null());
    }
}

#[tokio::test]
async fn a_message_has_one_target() {
    let both = changed("/message/topic", json!("news"));
    let topic = json!({"message": {"topic": "news", "data": {"a": "b"}}});
    let condition = json!({"message": {"condition": "'a' in topics"}});
    check([
        (changed("/message/token", json!(null)), VALUE, "message"),
        (changed("/message/token", json!("")), VALUE, "message"),
        (both, VALUE, "message"),
        (json!({}), VALUE, "message"),
        (changed("/message/fid", json!("f")), VALUE, "message"),
        (json!({"message": {"fid": "f"}}), "200", ""),
        (topic, "200", ""),
        (condition, "200", ""),
    ])
    .await;
}

#[tokio::test]
async fn android_is_addressed_in_one_version() {
    let v2 = |change: Value| {
        let mut body = json!({"message": {"token": "t", "android_v2": {
            "remoteNotification": {"notification": {"tag": "x", "id": 1, "title": "t"}},
        }}});
        let fields = body["message"]["android_v2"].as_object_mut().unwrap();
        fields.extend(change.as_object().unwrap().clone());
        body
    };
    check([
        (v2(json!({"ttl": "60s"})), "200", ""),
        (v2(json!({"backgroundSync": {}})), "200", ""),
        (v2(json!({"priority": "HIGH"})), SHAPE, "message.android_v2"),
        (v2(json!({"ttl": "2419201s"})), VALUE, "message.android_v2.ttl"),
        (changed("/message/androidV2", json!({})), VALUE, "message"),
    ])
    .await;
}

#[tokio::test]
async fn reserved_keys_are_refused_in_data() {
    check([
        (changed("/message/data/from", json!("x")), VALUE, "message.data"),
        (changed("/message/data/message_type", json!("x")), VALUE, "message.data"),
        (changed("/message/data/google.x", json!("x")), VALUE, "message.data"),
        (changed("/message/data/gcm.notification.x", json!("x")), VALUE, "message.data"),
        (changed("/message/android/data", json!({"from": "x"})), VALUE, "message.android.data"),
        (changed("/message/data/sender", json!("x")), "200", ""),
    ])
    .await;
}

#[tokio::test]
async fn a_message_lives_for_four_weeks_at_most() {
    let at = "/message/android/ttl";
    check([
        (changed(at, json!("0s")), "200", ""),
        (changed(at, json!("2419200s")), "200", ""),
        (changed(at, json!("2419201s")), VALUE, "message.android.ttl"),
        (changed(at, json!("-1s")), VALUE, "message.android.ttl"),
    ])
    .await;
}

#[tokio::test]
async fn a_payload_has_4096_bytes_at_most_and_for_topics_2048() {
    let of = |target: &str, size: usize| {
        let value = "v".repeat(size - 1);
        json!({"message": {target: "x", "data": {"k": value}}})
    };
    check([
        (of("token", 4096), "200", ""),
        (of("token", 4097), VALUE, "message"),
        (of("topic", 2048), "200", ""),
        (of("topic", 2049), VALUE, "message"),
    ])
    .await;
}

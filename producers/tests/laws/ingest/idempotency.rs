//! `Idempotency-Key`: one message for one key, whatever is lost on the way.

use std::sync::atomic::Ordering;

use reqwest::Response;
use serde_json::{Value, json};

use super::fakes::Mood;
use super::support::{ADVANCED, Api, PLAIN, SANDBOX, a_body, id_of};

async fn submit(api: &Api, service: &str, key: &str, body: &Value) -> Response {
    let request = api.post(service, "/messages").header("Idempotency-Key", key);
    request.json(body).send().await.unwrap()
}

#[tokio::test]
async fn a_repeat_gets_the_same_message_and_appends_nothing() {
    let api = Api::start().await;
    let first = submit(&api, PLAIN, "k", &a_body()).await;
    let location = first.headers()["location"].clone();
    let id = id_of(first).await;
    let second = submit(&api, PLAIN, "k", &a_body()).await;
    assert_eq!((second.status().as_u16(), &second.headers()["location"]), (201, &location));
    assert_eq!(id_of(second).await, id);
    assert_eq!(api.log.len(), 1);
}

#[tokio::test]
async fn another_request_under_the_same_key_is_a_conflict() {
    let api = Api::start().await;
    submit(&api, PLAIN, "k", &a_body()).await;
    let mut other = a_body();
    other["time_to_live"] = json!(7200);
    let response = submit(&api, PLAIN, "k", &other).await;
    assert_eq!(response.status(), 409);
    assert_eq!(response.json::<Value>().await.unwrap()["title"], "Conflict");
    assert_eq!(api.log.len(), 1);
}

#[tokio::test]
async fn the_path_form_is_another_request_for_each_recipient() {
    let api = Api::start().await;
    let mut body = a_body();
    body.as_object_mut().unwrap().remove("fiscal_code");
    let send = async |code: &str| {
        let path = format!("/messages/{code}");
        let request = api.post(PLAIN, &path).header("Idempotency-Key", "k").json(&body);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(send(SANDBOX).await, 201);
    assert_eq!(send("AAAAAA00A00A000B").await, 409);
    assert_eq!(send(SANDBOX).await, 201);
}

#[tokio::test]
async fn two_services_may_use_one_key() {
    let api = Api::start().await;
    let mine = id_of(submit(&api, PLAIN, "k", &a_body()).await).await;
    let theirs = id_of(submit(&api, ADVANCED, "k", &a_body()).await).await;
    assert_ne!(mine, theirs);
}

#[tokio::test]
async fn what_was_never_seen_in_the_log_is_appended_again_under_the_same_id() {
    let api = Api::start().await;
    api.claims.lags.store(true, Ordering::SeqCst);
    *api.log.mood.lock() = Mood::TakesInSilence;
    assert_eq!(submit(&api, PLAIN, "k", &a_body()).await.status(), 500);
    *api.log.mood.lock() = Mood::Full;
    assert_eq!(submit(&api, PLAIN, "k", &a_body()).await.status(), 429);
    *api.log.mood.lock() = Mood::Takes;
    let id = id_of(submit(&api, PLAIN, "k", &a_body()).await).await;
    let ids: Vec<_> = api.log.records.lock().iter().map(|record| record.message_id).collect();
    assert_eq!(ids, [id, id]);
    let claims = api.log.claims.lock().clone();
    assert!(claims[0].is_some() && claims[0] == claims[1], "both tell whose copy they are");
    api.claims.lags.store(false, Ordering::SeqCst);
    assert_eq!(id_of(submit(&api, PLAIN, "k", &a_body()).await).await, id);
    assert_eq!(api.log.len(), 2);
}

#[tokio::test]
async fn without_a_claim_store_nothing_is_appended() {
    let api = Api::start().await;
    api.claims.down.store(true, Ordering::SeqCst);
    assert_eq!(submit(&api, PLAIN, "k", &a_body()).await.status(), 429);
    assert_eq!(api.log.len(), 0);
    assert_eq!(api.submit(PLAIN, &a_body()).await.status(), 201, "no key, no claim");
    assert_eq!(*api.log.claims.lock(), [None]);
}

#[tokio::test]
async fn a_refused_message_claims_nothing() {
    let api = Api::start().await;
    let bad = json!({ "fiscal_code": SANDBOX, "content": {} });
    assert_eq!(submit(&api, PLAIN, "k", &bad).await.status(), 400);
    assert_eq!(submit(&api, PLAIN, "k", &a_body()).await.status(), 201);
}

#[tokio::test]
async fn a_key_is_printable_short_and_given_once() {
    let api = Api::start().await;
    let long = "k".repeat(256);
    for key in ["", long.as_str()] {
        assert_eq!(submit(&api, PLAIN, key, &a_body()).await.status(), 400, "{}", key.len());
    }
    let request = api.post(PLAIN, "/messages").header("Idempotency-Key", "a");
    let twice = request.header("Idempotency-Key", "b").json(&a_body()).send().await.unwrap();
    assert_eq!(twice.status(), 400);
    assert_eq!(submit(&api, PLAIN, &"k".repeat(255), &a_body()).await.status(), 201);
}

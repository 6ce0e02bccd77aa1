//! getMessage over HTTP.

use std::sync::atomic::Ordering;

use policy::admit::projection::{ChannelStatus, Standing};
use reqwest::Response;
use schemas::ids::MessageId;
use schemas::records::Status;
use serde_json::{Value, json};

use super::support::{ADVANCED, Api, PLAIN, READ_ONLY, SANDBOX, Setup, a_body, id_of};

async fn get(api: &Api, service: &str, code: &str, id: &str) -> Response {
    api.get(service, &format!("/messages/{code}/{id}")).send().await.unwrap()
}

async fn title(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let answer: Value = response.json().await.unwrap();
    (status, answer["title"].as_str().unwrap_or_default().to_owned())
}

fn stored(standing: &mut Standing) {
    standing.status = Status::Stored;
    standing.stored = true;
}

#[tokio::test]
async fn a_stored_message_comes_back_whole() {
    let api = Api::start().await;
    let id = api.accepted(PLAIN).await;
    api.view.set(id, |standing| {
        stored(standing);
        standing.push = Some(ChannelStatus::Throttled);
    });
    let response = get(&api, PLAIN, SANDBOX, &id.to_string()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.json::<Value>().await.unwrap(),
        json!({
            "message": {
                "id": id.to_string(),
                "fiscal_code": SANDBOX,
                "created_at": "2026-11-23T08:00:00.000Z",
                "sender_service_id": PLAIN,
                "feature_level_type": "STANDARD",
                "time_to_live": 3600,
                "content": a_body()["content"]
            },
            "status": "PROCESSED",
            "notification": { "webhook": "THROTTLED" }
        })
    );
}

#[tokio::test]
async fn a_message_that_is_only_accepted_is_waited_for() {
    let api = Api::start().await;
    let id = api.accepted(PLAIN).await;
    let asked = tokio::spawn(api.get(PLAIN, &format!("/messages/{SANDBOX}/{id}")).send());
    api.view.waited_for().await;
    api.view.set(id, stored);
    let answer: Value = asked.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(answer["status"], "PROCESSED");
}

#[tokio::test]
async fn after_the_wait_it_is_accepted_with_its_content() {
    let mut setup = Setup::default();
    setup.config.status_wait_ms = 1;
    let api = Api::with(setup).await;
    let id = api.accepted(PLAIN).await;
    let answer: Value = get(&api, PLAIN, SANDBOX, &id.to_string()).await.json().await.unwrap();
    assert_eq!(answer["status"], "ACCEPTED");
    assert_eq!(answer["message"]["content"]["subject"], "Comunicazione di prova");
    assert_eq!(answer.get("notification"), None);
}

#[tokio::test]
async fn a_fresh_201_that_the_view_has_not_reached_is_waited_for_and_not_404() {
    let api = Api::start().await;
    api.view.lags.store(true, Ordering::SeqCst);
    let id = api.accepted(PLAIN).await;
    let asked = tokio::spawn(api.get(PLAIN, &format!("/messages/{SANDBOX}/{id}")).send());
    api.view.waited_for().await;
    let record = api.log.records.lock()[0].clone();
    api.view.project(&record);
    api.view.set(id, stored);
    assert_eq!(asked.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn a_view_that_is_not_ready_is_429_and_never_404() {
    let api = Api::start().await;
    let id = api.accepted(PLAIN).await;
    api.view.broken.store(true, Ordering::SeqCst);
    let response = get(&api, PLAIN, SANDBOX, &id.to_string()).await;
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "1");
}

#[tokio::test]
async fn a_fresh_id_that_nobody_knows_after_the_wait_is_429_and_an_old_one_404() {
    let mut setup = Setup::default();
    setup.config.status_wait_ms = 20;
    let api = Api::with(setup).await;
    api.view.lags.store(true, Ordering::SeqCst);
    let fresh = api.accepted(PLAIN).await.to_string();
    assert_eq!(get(&api, PLAIN, SANDBOX, &fresh).await.status(), 429);
    let old = MessageId::from_parts(1_000, 7).to_string();
    assert_eq!(get(&api, PLAIN, SANDBOX, &old).await.status(), 404);
}

#[tokio::test]
async fn a_refusal_comes_with_its_reason() {
    let api = Api::start().await;
    let id = api.accepted(PLAIN).await;
    api.view.set(id, |standing| standing.status = Status::NotOnBoard);
    let answer: Value = get(&api, PLAIN, SANDBOX, &id.to_string()).await.json().await.unwrap();
    assert_eq!(answer["status"], "REJECTED");
    assert_eq!(answer["rejection_reason"], "USER_NOT_FOUND");
}

#[tokio::test]
async fn another_code_is_404_and_another_sender_403() {
    let api = Api::start().await;
    let id = api.accepted(PLAIN).await;
    let answer = title(get(&api, PLAIN, "AAAAAA00A00A000B", &id.to_string()).await).await;
    assert_eq!(answer, (404, "Message not found".to_owned()));
    let answer = title(get(&api, READ_ONLY, SANDBOX, &id.to_string()).await).await;
    assert_eq!(answer, (403, "You are not allowed here".to_owned()));
    let old = MessageId::from_parts(1_000, 7).to_string();
    for unknown in [old.as_str(), "x", "01JNDKQJM0THQ3F7T59F27VNZU"] {
        let answer = title(get(&api, PLAIN, SANDBOX, unknown).await).await;
        assert_eq!(answer, (404, "Message not found".to_owned()), "{unknown}");
    }
    let answer = title(get(&api, PLAIN, "x", &id.to_string()).await).await;
    assert!(answer.0 == 400 && answer.1.starts_with("Invalid string that matches the pattern"));
}

#[tokio::test]
async fn advanced_fields_are_shown_to_readers_of_advanced_messages_only() {
    let api = Api::start().await;
    let mut body = a_body();
    body["feature_level_type"] = json!("ADVANCED");
    let id = id_of(api.submit(ADVANCED, &body).await).await;
    api.view.set(id, stored);
    let answer: Value = get(&api, ADVANCED, SANDBOX, &id.to_string()).await.json().await.unwrap();
    assert_eq!(answer["message"]["feature_level_type"], "ADVANCED");
    assert_eq!(answer["read_status"], "UNAVAILABLE");
    let id = api.accepted(ADVANCED).await;
    api.view.set(id, stored);
    let answer: Value = get(&api, ADVANCED, SANDBOX, &id.to_string()).await.json().await.unwrap();
    assert_eq!(answer.get("read_status"), None);
}

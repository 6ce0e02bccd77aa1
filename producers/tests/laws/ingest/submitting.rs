//! From a body to an acknowledged, sealed record.

use policy::admit::service::Category;
use schemas::ids::Timestamp;
use serde_json::{Value, json};

use super::fakes::Mood;
use super::support::{Api, PLAIN, SANDBOX, Setup, a_body, id_of};

#[tokio::test]
async fn a_201_means_that_the_log_has_the_sealed_message() {
    let api = Api::start().await;
    let mut body = a_body();
    body["time_to_live"] = json!(7200);
    body["content"]["due_date"] = json!("2026-12-31T23:59:59+01:00");
    body["content"]["payment_data"] =
        json!({ "amount": 1250, "notice_number": "301000000012345678" });
    body["content"]["unknown"] = json!("dropped");
    let response = api.submit(PLAIN, &body).await;
    assert_eq!(response.status(), 201);
    let id = id_of(response).await;
    let record = api.log.records.lock()[0].clone();
    assert_eq!(record.message_id, id);
    assert_eq!(record.service_id.as_str(), PLAIN);
    assert_eq!(record.accepted_at, Timestamp(1_795_420_800_000));
    assert_eq!(record.expires_at, Timestamp(1_795_420_800_000 + 7_200_000));
    assert!(!record.special && !record.secure_channels && record.full_notice);
    let content = api.log.content(id);
    assert_eq!(content.fiscal_code, SANDBOX);
    assert_eq!(content.created_at, "2026-11-23T08:00:00.000Z");
    assert_eq!(content.time_to_live, 7200);
    assert_eq!(content.feature_level_type, "STANDARD");
    assert_eq!(content.organisation, "Comune di Montelargo");
    assert_eq!(
        content.content,
        json!({
            "subject": "Comunicazione di prova",
            "markdown": "a".repeat(80),
            "due_date": "2026-12-31T22:59:59.000Z",
            "payment_data": {
                "amount": 1250,
                "notice_number": "301000000012345678",
                "invalid_after_due_date": false,
                "payee": { "fiscal_code": "80001017773" }
            }
        })
    );
    assert_eq!(api.log.notice(id).subject, "Comunicazione di prova");
}

#[tokio::test]
async fn nothing_readable_is_in_the_record() {
    let api = Api::start().await;
    let mut body = a_body();
    body["default_addresses"] = json!({ "email": "canary@example.com" });
    body["content"]["subject"] = json!("Canary in the subject");
    api.submit(PLAIN, &body).await;
    let record = api.log.records.lock()[0].clone();
    assert!(record.fallback_email);
    let bytes = serde_json::to_vec(&record).unwrap();
    let mut raw = record.sealed.content.0.clone();
    raw.extend_from_slice(&record.notice.0);
    raw.extend_from_slice(&bytes);
    for canary in [SANDBOX, "Canary in the subject", "canary@example.com", "aaaaaaaaaa"] {
        let found = raw.windows(canary.len()).any(|window| window == canary.as_bytes());
        assert!(!found, "{canary}");
    }
    // The twin: the same search finds what stands in clear.
    let found = raw.windows(PLAIN.len()).any(|window| window == PLAIN.as_bytes());
    assert!(found);
}

#[tokio::test]
async fn a_full_log_is_429_and_took_nothing() {
    let api = Api::start().await;
    *api.log.mood.lock() = Mood::Full;
    let response = api.submit(PLAIN, &a_body()).await;
    assert_eq!(response.status(), 429);
    for header in ["retry-after", "x-rate-limit-retry-after"] {
        assert_eq!(response.headers()[header], "1");
    }
    assert_eq!(api.log.len(), 0);
}

#[tokio::test]
async fn an_append_of_unknown_outcome_is_500() {
    let api = Api::start().await;
    *api.log.mood.lock() = Mood::TakesInSilence;
    let response = api.submit(PLAIN, &a_body()).await;
    assert_eq!(response.status(), 500);
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["title"], "Internal server error");
}

#[tokio::test]
async fn without_a_transit_key_nothing_is_taken() {
    let api = Api::start().await;
    *api.log.transit.write() = sealing::TransitKeys::default();
    assert_eq!(api.submit(PLAIN, &a_body()).await.status(), 429);
    assert_eq!(api.log.len(), 0);
}

#[tokio::test]
async fn every_collection_path_is_taken_with_and_without_a_slash() {
    let api = Api::start().await;
    let mut body = a_body();
    for path in ["/messages", "/messages/"] {
        let response = api.post(PLAIN, path).json(&body).send().await.unwrap();
        assert_eq!(response.status(), 201, "{path}");
    }
    body.as_object_mut().unwrap().remove("fiscal_code");
    for path in [format!("/messages/{SANDBOX}"), format!("/messages/{SANDBOX}/")] {
        let response = api.post(PLAIN, &path).json(&body).send().await.unwrap();
        assert_eq!(response.status(), 201, "{path}");
    }
}

#[tokio::test]
async fn the_record_says_whether_activations_decide() {
    let change: fn(&mut policy::admit::service::Service) = |s| s.category = Category::Special;
    let api = Api::with(Setup { change, ..Setup::default() }).await;
    api.accepted(PLAIN).await;
    assert!(api.log.records.lock()[0].special);
}

#[tokio::test]
async fn a_repeat_without_a_key_is_a_second_message() {
    let api = Api::start().await;
    assert_ne!(api.accepted(PLAIN).await, api.accepted(PLAIN).await);
    assert_eq!(api.log.len(), 2);
}

#[tokio::test]
async fn the_content_type_of_a_body_is_not_asked_for() {
    let api = Api::start().await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "image/png", "nonsense"] {
        let request = api.post(PLAIN, "/messages").header("content-type", kind);
        let response = request.body(a_body().to_string()).send().await.unwrap();
        assert_eq!(response.status(), 201, "{kind}");
    }
}

//! getProfile over HTTP.

use std::sync::atomic::Ordering;

use policy::consent::Citizen;
use policy::contract::FiscalCode;
use reqwest::Response;
use schemas::records::CitizenProfile;
use serde_json::{Value, json};

use super::support::{Api, PLAIN, SANDBOX, SPECIAL};

pub fn on_board(api: &Api, inbox_enabled: bool) {
    let code: sealing::FiscalCode = SANDBOX.parse().unwrap();
    let citizen = api.keyring.pepper().pseudonym(&code);
    let profile: CitizenProfile = serde_json::from_value(json!({
        "citizen": citizen, "generation": "00000000000000000000000000000001", "version": 1,
        "inbox_enabled": inbox_enabled, "push_enabled": true, "email_enabled": false,
        "email_validated": false, "email": null, "mode": "AUTO", "settings_version": 1,
        "blocked": {}, "notice_type": "ANONYMOUS", "languages": ["de_DE", "tlh"],
        "reminders": false, "accepted_tos_version": 1.0, "last_app_version": "UNKNOWN",
        "updated_at": 0
    }))
    .unwrap();
    let found = Citizen { profile: Some(profile), ..Citizen::default() };
    api.view.citizens.lock().insert(citizen, found);
}

async fn both_forms(api: &Api, service: &str, code: &str) -> [Response; 2] {
    let by_path = api.get(service, &format!("/profiles/{code}")).send().await.unwrap();
    let body = json!({ "fiscal_code": code });
    let by_body = api.post(service, "/profiles").json(&body).send().await.unwrap();
    [by_path, by_body]
}

#[tokio::test]
async fn a_citizen_on_board_may_be_asked_for_in_both_forms() {
    let api = Api::start().await;
    on_board(&api, true);
    for response in both_forms(&api, PLAIN, SANDBOX).await {
        assert_eq!(response.status(), 200);
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer, json!({ "sender_allowed": true, "preferred_languages": ["de_DE"] }));
    }
}

#[tokio::test]
async fn a_special_service_without_activation_is_not_allowed() {
    let api = Api::start().await;
    on_board(&api, true);
    for response in both_forms(&api, SPECIAL, SANDBOX).await {
        assert_eq!(response.json::<Value>().await.unwrap()["sender_allowed"], false);
    }
}

/// Hazard H19, seen in IO: whoever asks for a code learns who is on board.
#[tokio::test]
async fn no_profile_and_inbox_off_are_one_and_the_same_answer() {
    let api = Api::start().await;
    let mut answers = Vec::new();
    for response in both_forms(&api, PLAIN, SANDBOX).await {
        assert_eq!(response.status(), 404);
        answers.push(response.text().await.unwrap());
    }
    on_board(&api, false);
    for response in both_forms(&api, PLAIN, SANDBOX).await {
        assert_eq!(response.status(), 404);
        answers.push(response.text().await.unwrap());
    }
    assert!(answers.iter().all(|answer| answer == &answers[0]));
    assert!(answers[0].contains("Profile not found"));
}

#[tokio::test]
async fn a_code_that_is_none_is_refused_in_both_forms() {
    let api = Api::start().await;
    assert!(FiscalCode::parse("aaaaaa00a00a000a").is_none());
    let titles =
        ["Invalid string that matches the pattern", "Invalid GetLimitedProfileByPOSTPayload"];
    let answers = both_forms(&api, PLAIN, "aaaaaa00a00a000a").await;
    for (response, title) in answers.into_iter().zip(titles) {
        assert_eq!(response.status(), 400);
        let answer: Value = response.json().await.unwrap();
        assert!(answer["title"].as_str().unwrap().starts_with(title), "{answer}");
    }
}

#[tokio::test]
async fn a_directory_that_is_not_ready_is_429_and_never_404() {
    let api = Api::start().await;
    api.view.broken.store(true, Ordering::SeqCst);
    for response in both_forms(&api, PLAIN, SANDBOX).await {
        assert_eq!(response.status(), 429);
        assert!(response.headers().contains_key("x-rate-limit-retry-after"));
    }
}

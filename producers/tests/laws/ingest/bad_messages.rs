//! Every line of the file of bad messages gets its expected status and title over HTTP.

use base64::Engine as _;
use serde_json::Value;

use super::support::{Api, id_of};

const CASES: &str = include_str!("../../../../pipeline/data/bad-messages.ndjson");

fn body_of(case: &Value) -> Vec<u8> {
    if let Some(body) = case.get("body") {
        return serde_json::to_vec(body).unwrap();
    }
    if let Some(text) = case.get("body_text") {
        return text.as_str().unwrap().as_bytes().to_vec();
    }
    if let Some(parts) = case.get("body_parts") {
        let part = |part: &Value| {
            let times = usize::try_from(part[1].as_u64().unwrap()).unwrap();
            part[0].as_str().unwrap().repeat(times)
        };
        return parts.as_array().unwrap().iter().map(part).collect::<String>().into_bytes();
    }
    let encoded = case["body_base64"].as_str().unwrap();
    base64::engine::general_purpose::STANDARD.decode(encoded).unwrap()
}

#[tokio::test]
async fn every_bad_message_gets_its_expected_status_and_title_over_http() {
    let api = Api::start().await;
    let mut seen = 0;
    for line in CASES.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        check(&api, &case).await;
        seen += 1;
    }
    assert_eq!(seen, 243);
}

async fn check(api: &Api, case: &Value) {
    let name = case["case"].as_str().unwrap();
    let before = api.log.len();
    let url = format!("http://{}{}", api.address, case["path"].as_str().unwrap());
    let mut request = api.client.post(url).header("content-type", "application/json");
    for (header, value) in case["headers"].as_object().unwrap() {
        request = request.header(header, value.as_str().unwrap());
    }
    if let Some(address) = case["client_ip"].as_str() {
        request = request.header("X-Forwarded-For", address);
    }
    let response = request.body(body_of(case)).send().await.unwrap();
    let status = response.status().as_u16();
    let expected = &case["expected"];
    let also = expected["or_status"].as_array().cloned().unwrap_or_default();
    assert!(expected["status"] == status || also.contains(&status.into()), "{name}: {status}");
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    if status == 201 {
        assert_eq!(kind, "application/json", "{name}");
        let location = response.headers()["location"].to_str().unwrap().to_owned();
        let id = id_of(response).await;
        let content = api.log.content(id);
        assert_eq!(location, format!("/api/v1/messages/{}/{id}", content.fiscal_code), "{name}");
        assert_eq!(api.log.len(), before + 1, "{name}");
        return;
    }
    assert_eq!(api.log.len(), before, "{name}: a refused message was appended");
    let answer: Value = response.json().await.unwrap();
    let starts = |field: &str, wanted: &Value| {
        let wanted = wanted.as_str().unwrap_or_default();
        assert!(answer[field].as_str().unwrap().starts_with(wanted), "{name}: {answer}");
    };
    if status == 401 {
        assert_eq!(kind, "application/json", "{name}");
        assert_eq!(answer["statusCode"], 401, "{name}");
        starts("message", &expected["message_starts"]);
        return;
    }
    assert_eq!(kind, "application/problem+json", "{name}");
    assert_eq!(answer["status"], status, "{name}");
    if expected["status"] == status {
        starts("title", &expected["title"]);
        let wanted = expected["detail_contains"].as_str().unwrap_or_default();
        assert!(answer["detail"].as_str().unwrap().contains(wanted), "{name}: {answer}");
    }
}

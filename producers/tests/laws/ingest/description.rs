//! The OpenAPI document says what the API does.

use policy::contract::message::decode;
use serde_json::{Value, json};

use super::support::{Api, PLAIN, SANDBOX, a_body};

async fn served() -> Value {
    let api = Api::start().await;
    let response = api.client.get(api.url("/openapi.json")).send().await.unwrap();
    assert_eq!(response.status(), 200, "without a key");
    response.json().await.unwrap()
}

#[tokio::test]
async fn the_document_is_served_and_names_every_operation() {
    let document = served().await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    for (path, method, operation) in [
        ("/messages", "post", "submitMessageforUserWithFiscalCodeInBody"),
        ("/messages/{fiscal_code}", "post", "submitMessageforUser"),
        ("/messages/{fiscal_code}/{id}", "get", "getMessage"),
        ("/profiles", "post", "getProfileByPOST"),
        ("/profiles/{fiscal_code}", "get", "getProfile"),
    ] {
        assert_eq!(document["paths"][path][method]["operationId"], operation);
    }
    let scheme = &document["components"]["securitySchemes"]["SubscriptionKey"];
    assert_eq!(scheme["name"], "Ocp-Apim-Subscription-Key");
}

fn takes(change: impl FnOnce(&mut Value)) -> bool {
    let mut body = a_body();
    change(&mut body);
    decode(&serde_json::to_vec(&body).unwrap()).is_ok()
}

#[tokio::test]
async fn the_described_bounds_are_the_decoders() {
    let document = served().await;
    let schemas = &document["components"]["schemas"];
    for field in ["subject", "markdown"] {
        let bounds = &schemas["MessageContent"]["properties"][field];
        let bound = |name: &str| usize::try_from(bounds[name].as_u64().unwrap()).unwrap();
        for (length, taken) in [
            (bound("minLength") - 1, false),
            (bound("minLength"), true),
            (bound("maxLength"), true),
            (bound("maxLength") + 1, false),
        ] {
            let found = takes(|body| body["content"][field] = json!("a".repeat(length)));
            assert_eq!(found, taken, "{field} {length}");
        }
    }
    let bounds = &schemas["NewMessageRequest"]["properties"]["time_to_live"];
    let (low, high) = (bounds["minimum"].as_u64().unwrap(), bounds["maximum"].as_u64().unwrap());
    for (seconds, taken) in [(low - 1, false), (low, true), (high, true), (high + 1, false)] {
        assert_eq!(takes(|body| body["time_to_live"] = json!(seconds)), taken, "{seconds}");
    }
    let bounds = &schemas["PaymentData"]["properties"]["amount"];
    let (low, high) = (bounds["minimum"].as_u64().unwrap(), bounds["maximum"].as_u64().unwrap());
    for (amount, taken) in [(low - 1, false), (low, true), (high, true), (high + 1, false)] {
        let data = json!({ "amount": amount, "notice_number": "301000000012345678" });
        assert_eq!(takes(|body| body["content"]["payment_data"] = data), taken, "{amount}");
    }
}

#[tokio::test]
async fn every_described_field_of_a_message_is_decoded_and_no_other() {
    let document = served().await;
    let schemas = &document["components"]["schemas"];
    let mut described: Vec<&str> = schemas["MessageContent"]["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    described.retain(|field| !["subject", "markdown"].contains(field));
    // A field that is read refuses a value of no type it could have; one that is not is dropped.
    for field in described {
        assert!(!takes(|body| body["content"][field] = json!([1])), "{field}");
    }
    let top = schemas["NewMessageRequest"]["properties"].as_object().unwrap();
    for field in top.keys() {
        assert!(!takes(|body| body[field] = json!([1])), "{field}");
    }
    assert!(takes(|body| body["content"]["no_such_field"] = json!([1])));
}

#[tokio::test]
async fn every_field_of_an_answer_is_described() {
    let document = served().await;
    let schemas = &document["components"]["schemas"];
    let api = Api::start().await;
    let id = api.accepted(PLAIN).await;
    api.view.set(id, |standing| {
        standing.status = schemas::records::Status::Notified;
        standing.push = Some(policy::admit::projection::ChannelStatus::Sent);
        standing.stored = true;
    });
    let path = format!("/messages/{SANDBOX}/{id}");
    let answer: Value = api.get(PLAIN, &path).send().await.unwrap().json().await.unwrap();
    let described = |value: &Value, schema: &str| {
        for field in value.as_object().unwrap().keys() {
            assert!(schemas[schema]["properties"].get(field).is_some(), "{schema}.{field}");
        }
    };
    described(&answer, "MessageResponse");
    described(&answer["message"], "SentMessage");
    described(&answer["message"]["content"], "MessageContent");
    described(&answer["notification"], "NotificationStatus");
}

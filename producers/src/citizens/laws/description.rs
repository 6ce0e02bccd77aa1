//! Requests drawn from the served description, valid and broken: every answer is a documented one, and none
//! is a failure of ours.

#[path = "../../../tests/described/mod.rs"]
mod described;

use std::collections::BTreeMap;

use axum::body::Body;
use hyper::Request;
use tower::ServiceExt as _;

use super::super::{CitizenRates, CitizensConfig};
use super::rig::{CODE, PLAIN, Rig};
use described::{Asked, Described};

const REQUESTS: usize = 1_500;

async fn ask(rig: &Rig, token: Option<&str>, asked: &Asked) -> (u16, String, Vec<u8>) {
    let mut request =
        Request::builder().method(&*asked.method).uri(format!("/api/v1{}", asked.path));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let body = asked.body.clone().map_or_else(Body::empty, Body::from);
    let answer = rig.router.clone().oneshot(request.body(body).expect("a request")).await;
    let answer = answer.expect("infallible");
    let kind = answer.headers().get("content-type").map(|it| it.to_str().expect("text").to_owned());
    let status = answer.status().as_u16();
    let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
    (status, kind.unwrap_or_default(), body.to_vec())
}

/// So that the number of requests is no matter here.
fn generous() -> CitizensConfig {
    let rates = CitizenRates { calls: u32::MAX, ..CitizenRates::default() };
    CitizensConfig { rates, ..CitizensConfig::default() }
}

#[tokio::test]
async fn every_answer_to_a_request_drawn_from_the_description_is_a_documented_one() {
    let rig = Rig::with(generous()).await;
    rig.register("AUTO").await;
    let (_, link) = rig.mailed(&rig.asked()[0]);
    let message = schemas::ids::MessageId::from_parts(7, 7);
    rig.store(message, i64::MAX);
    let known = vec![
        ("service_id", PLAIN.to_owned()),
        ("id", message.to_string()),
        ("token", link),
        ("token", rig.keyring.tokens().unsubscribe(rig.me(), &PLAIN.into())),
        ("email", "qualcuno@example.org".to_owned()),
        ("mode", "AUTO".to_owned()),
        ("push_notifications_content_type", "FULL".to_owned()),
        ("pushChannel", "a1".repeat(32)),
    ];
    let mut described = Described::new(super::super::openapi::text(), 20_261_125, known);
    let (operations, put) = (described.operations(), "put /profile".to_owned());
    let (mut seen, mut wrong) = (BTreeMap::new(), BTreeMap::new());
    for nth in 0..REQUESTS {
        // Leaving comes late: before, there is more to ask.
        let leaves = |it: &String| it == "delete /profile" && nth < REQUESTS * 4 / 5;
        let drawn = &operations[nth % operations.len()];
        let operation = if leaves(drawn) { &put } else { drawn };
        let mut asked = described.ask(operation);
        // The version is the one that stands, or nothing would ever be written.
        if operation == "put /profile" && nth % 2 == 0 {
            asked.body = asked.body.map(|body| versioned(&rig, &body));
        }
        let token = (nth % 11 != 0).then(|| rig.token());
        let (status, kind, body) = ask(&rig, token.as_deref(), &asked).await;
        *seen.entry((operation.clone(), status)).or_insert(0) += 1;
        if let Err(why) = described.check(&asked, status, &kind, &body) {
            wrong.entry(why).or_insert(asked);
        }
        assert!(!String::from_utf8_lossy(&body).contains(CODE), "an answer names the fiscal code");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for (operation, status) in [
        ("put /profile", 200),
        ("put /profile", 400),
        ("put /profile", 401),
        ("put /profile", 409),
        ("delete /profile", 204),
        ("put /installations/{installation_id}", 200),
        ("put /services/{service_id}/preferences", 409),
        ("get /inbox", 200),
        ("post /unsubscribe/{token}", 200),
        ("get /mailbox/{token}", 200),
    ] {
        let count = seen.get(&(operation.to_owned(), status)).copied().unwrap_or(0);
        assert!(count > 0, "{operation} never ended with {status}: {seen:?}");
    }
}

fn versioned(rig: &Rig, body: &[u8]) -> Vec<u8> {
    let Ok(mut body) = serde_json::from_slice::<serde_json::Value>(body) else {
        return body.to_vec();
    };
    if let Some(members) = body.as_object_mut() {
        let version = rig.dossier().profile.map_or(0, |profile| profile.version);
        members.insert("version".to_owned(), version.into());
    }
    body.to_string().into_bytes()
}

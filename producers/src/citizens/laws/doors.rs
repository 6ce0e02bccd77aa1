//! Who gets in.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::rig::{AUDIENCE, CODE, Rig, identity, login};
use crate::citizens::answers::Trouble;
use crate::citizens::{KeySource, Login, LoginConfig};

async fn check(rig: &Rig, token: &str, status: u16) {
    let (found, answer) = rig.ask_as(token, "GET", "/api/v1/profile", None).await;
    assert_eq!(found.as_u16(), status, "{answer}");
    assert!(!answer.to_string().contains(CODE), "an answer repeats the fiscal code");
}

fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().expect("an object").remove(name);
    claims
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

#[tokio::test]
async fn a_person_with_a_valid_token_gets_in() {
    let rig = Rig::new().await;
    // Nobody is registered yet, which only those who are let in learn.
    check(&rig, &rig.token(), 404).await;
    let several = with(Rig::claims(CODE), "aud", json!(["other", AUDIENCE]));
    check(&rig, &rig.sign(&several), 404).await;
}

#[tokio::test]
async fn a_token_that_lacks_a_claim_or_states_another_is_refused() {
    let rig = Rig::new().await;
    let good = || Rig::claims(CODE);
    let now = jsonwebtoken::get_current_timestamp();
    for name in ["iss", "aud", "exp", "nbf", "fiscal_code"] {
        check(&rig, &rig.sign(&without(good(), name)), 401).await;
    }
    for (name, value) in [
        ("iss", json!("https://elsewhere.example.org")),
        ("aud", json!("another")),
        ("aud", json!([])),
        ("exp", json!(now - 60)),
        ("exp", json!("tomorrow")),
        ("nbf", json!(now + 600)),
        ("fiscal_code", json!(CODE)),
        ("fiscal_code", json!(format!("TINDE-{CODE}"))),
        ("fiscal_code", json!(7)),
    ] {
        check(&rig, &rig.sign(&with(good(), name, value)), 401).await;
    }
}

#[tokio::test]
async fn an_algorithm_is_ours_to_choose() {
    let rig = Rig::new().await;
    let claims = Rig::claims(CODE);
    let public = std::fs::read(rig.keys.path()).expect("the key set");
    let secret = EncodingKey::from_secret(&public);
    let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &secret);
    check(&rig, &token.expect("signed"), 401).await;
    // {"alg":"none","typ":"JWT"} with the claims of an honest token and no signature.
    let honest = rig.token();
    let claims = honest.split('.').nth(1).expect("three parts");
    check(&rig, &format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}."), 401).await;
}

#[tokio::test]
async fn a_signature_by_another_key_is_refused() {
    let rig = Rig::new().await;
    let (stranger, _) = identity("one");
    for kid in [Some("one".to_owned()), None] {
        let header = Header { kid, ..Header::new(Algorithm::ES256) };
        let token = jsonwebtoken::encode(&header, &Rig::claims(CODE), &stranger);
        check(&rig, &token.expect("signed"), 401).await;
    }
    let mut damaged = rig.token();
    damaged.truncate(damaged.len() - 4);
    check(&rig, &damaged, 401).await;
    check(&rig, "not-a-token", 401).await;
    check(&rig, "", 401).await;
}

#[tokio::test]
async fn a_new_key_of_the_issuer_is_found_once_the_set_may_be_read_again() {
    let rig = Rig::new().await;
    let (signer, set) = identity("two");
    std::fs::write(rig.keys.path(), set.to_string()).expect("written");
    let header = Header { kid: Some("two".into()), ..Header::new(Algorithm::ES256) };
    let token = jsonwebtoken::encode(&header, &Rig::claims(CODE), &signer).expect("signed");
    check(&rig, &token, 401).await;
    let later = rig.world.now().plus(std::time::Duration::from_secs(11));
    rig.world.sleep_until(later).await;
    check(&rig, &token, 404).await;
    check(&rig, &rig.token(), 401).await;
}

/// An identity provider that shows its keys once it has any.
async fn provider() -> (String, Arc<Mutex<Option<Value>>>) {
    let set = Arc::new(Mutex::new(None::<Value>));
    let shown = Arc::clone(&set);
    let show = move || {
        let set = shown.lock().clone();
        std::future::ready(set.map(axum::Json).ok_or(hyper::StatusCode::BAD_GATEWAY))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/keys", listener.local_addr().expect("an address"));
    let router = axum::Router::new().route("/keys", axum::routing::get(show));
    let limits = crate::http::ServeLimits::default();
    tokio::spawn(crate::http::serve(listener, router, None, limits, std::future::pending()));
    (url, set)
}

#[tokio::test]
async fn a_provider_that_is_away_at_start_is_waited_for_and_a_missing_file_is_not() {
    let rig = Rig::new().await;
    let (url, set) = provider().await;
    let open = |keys| {
        let config = LoginConfig { keys, ..login("nowhere".into()) };
        Login::open(config, reqwest::Client::new(), rig.world.clone())
    };
    assert!(open(KeySource::File("nowhere".into())).await.is_err());
    let refresh = Duration::from_secs(60);
    let login = open(KeySource::Url { url, refresh }).await.expect("it starts without keys");
    let mut headers = hyper::HeaderMap::new();
    let bearer = format!("Bearer {}", rig.token()).parse().expect("a header");
    headers.insert("authorization", bearer);
    assert!(matches!(login.who(&headers).await, Err(Trouble::NotReady)));
    *set.lock() = serde_json::from_slice(&std::fs::read(rig.keys.path()).expect("keys")).ok();
    assert!(matches!(login.who(&headers).await, Err(Trouble::NotReady)), "asked a moment ago");
    rig.world.sleep_until(rig.world.now().plus(Duration::from_secs(6))).await;
    assert!(login.who(&headers).await.is_ok());
}

#[tokio::test]
async fn a_request_without_a_token_learns_nothing() {
    let rig = Rig::new().await;
    for (method, path) in [
        ("GET", "/api/v1/profile"),
        ("PUT", "/api/v1/profile"),
        ("DELETE", "/api/v1/profile"),
        ("GET", "/api/v1/services/01PLAIN/preferences"),
        ("PUT", "/api/v1/services/01PLAIN/preferences"),
        ("PUT", "/api/v1/installations/phone"),
        ("DELETE", "/api/v1/installations/phone"),
        ("GET", "/api/v1/inbox"),
        ("GET", "/api/v1/inbox/01ARZ3NDEKTSV4RRFFQ69G5FAV"),
    ] {
        let request = hyper::Request::builder().method(method).uri(path);
        let request = request.body(axum::body::Body::empty()).expect("a request");
        let answer =
            tower::ServiceExt::oneshot(rig.router.clone(), request).await.expect("answers");
        assert_eq!(answer.status().as_u16(), 401, "{method} {path}");
        let kind = answer.headers()["content-type"].to_str().expect("text");
        assert_eq!(kind, "application/problem+json");
    }
    assert!(rig.everything().is_empty());
}

#[tokio::test]
async fn an_unknown_path_and_a_wrong_method_are_problems_too() {
    let rig = Rig::new().await;
    rig.must("GET", "/nothing", None, 404).await;
    let answer = rig.must("PATCH", "/profile", None, 405).await;
    assert_eq!(answer["status"], 405);
}

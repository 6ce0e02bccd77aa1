//! How much is too much.

use std::net::SocketAddr;

use axum::body::Body;
use hyper::{Request, Response};
use tower::ServiceExt as _;

use super::rig::{CODE, Rig};
use crate::citizens::{CitizenRates, CitizensConfig};
use crate::http::Peer;

async fn rig(rates: CitizenRates) -> Rig {
    Rig::with(CitizensConfig { rates, ..CitizensConfig::default() }).await
}

async fn ask(rig: &Rig, peer: &str, path: &str, token: &str) -> Response<Body> {
    let address: SocketAddr = format!("{peer}:4711").parse().expect("an address");
    let request = Request::builder()
        .uri(path)
        .header("authorization", format!("Bearer {token}"))
        .extension(Peer { address, has_certificate: false });
    let request = request.body(Body::empty()).expect("a request");
    rig.router.clone().oneshot(request).await.expect("answers")
}

async fn check(rig: &Rig, peer: &str, path: &str, token: &str, status: u16) {
    let answer = ask(rig, peer, path, token).await;
    assert_eq!(answer.status().as_u16(), status, "{peer} {path}");
    assert_eq!(answer.headers().contains_key("retry-after"), status == 429);
}

const PROFILE: &str = "/api/v1/profile";

#[tokio::test]
async fn a_citizen_who_asks_too_often_waits_and_nobody_else_does() {
    let rig = rig(CitizenRates { calls: 3, ..CitizenRates::default() }).await;
    let other = rig.sign(&Rig::claims("BBBBBB00A00A000B"));
    for _ in 0..3 {
        check(&rig, "192.0.2.1", PROFILE, &rig.token(), 404).await;
    }
    // Wherever they ask from.
    check(&rig, "192.0.2.2", PROFILE, &rig.token(), 429).await;
    check(&rig, "192.0.2.1", PROFILE, &other, 404).await;
    let later = rig.world.now().plus(std::time::Duration::from_secs(10));
    rig.world.sleep_until(later).await;
    check(&rig, "192.0.2.1", PROFILE, &rig.token(), 404).await;
}

#[tokio::test]
async fn an_address_that_bears_nothing_valid_too_often_waits_and_no_other_does() {
    let rig = rig(CitizenRates { refusals: 3, ..CitizenRates::default() }).await;
    for path in [PROFILE, "/api/v1/inbox", "/mailbox/forged"] {
        let status = if path == "/mailbox/forged" { 404 } else { 401 };
        check(&rig, "192.0.2.1", path, "nothing", status).await;
    }
    for path in [PROFILE, "/unsubscribe/forged"] {
        check(&rig, "192.0.2.1", path, "nothing", 429).await;
    }
    check(&rig, "192.0.2.2", PROFILE, "nothing", 401).await;
    let later = rig.world.now().plus(std::time::Duration::from_secs(10));
    rig.world.sleep_until(later).await;
    check(&rig, "192.0.2.1", PROFILE, "nothing", 401).await;
}

#[tokio::test]
async fn what_is_valid_counts_against_no_address() {
    let rig = rig(CitizenRates { refusals: 1, ..CitizenRates::default() }).await;
    let token = rig.keyring.tokens().unsubscribe(rig.me(), &"01PLAIN".into());
    for _ in 0..5 {
        check(&rig, "192.0.2.1", PROFILE, &rig.token(), 404).await;
        // Mail scanners open links by the thousand, from few addresses.
        check(&rig, "192.0.2.1", &format!("/unsubscribe/{token}"), "", 200).await;
        check(&rig, "192.0.2.1", "/no/such/path", "", 404).await;
    }
}

#[tokio::test]
async fn a_proxy_that_is_trusted_names_the_address() {
    let config = CitizensConfig {
        rates: CitizenRates { refusals: 1, ..CitizenRates::default() },
        trusted_proxies: vec!["127.0.0.1".to_owned().try_into().expect("an address")],
        client_address_headers: vec!["x-forwarded-for".to_owned()],
        ..CitizensConfig::default()
    };
    let rig = Rig::with(config).await;
    let from = async |client: &str| {
        let address: SocketAddr = "127.0.0.1:4711".parse().expect("an address");
        let request = Request::builder()
            .uri(PROFILE)
            .header("x-forwarded-for", client)
            .extension(Peer { address, has_certificate: false });
        let request = request.body(Body::empty()).expect("a request");
        rig.router.clone().oneshot(request).await.expect("answers").status().as_u16()
    };
    assert_eq!((from("192.0.2.1").await, from("192.0.2.1").await), (401, 429));
    assert_eq!(from("192.0.2.2").await, 401);
}

#[tokio::test]
async fn a_refusal_for_its_number_repeats_nothing_of_the_request() {
    let rig = rig(CitizenRates { calls: 1, ..CitizenRates::default() }).await;
    for _ in 0..2 {
        let answer = ask(&rig, "192.0.2.1", PROFILE, &rig.token()).await;
        let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
        assert!(!String::from_utf8_lossy(&bytes).contains(CODE));
    }
}

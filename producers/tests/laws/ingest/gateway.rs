//! What the gateway does: keys, rates, unknown paths, CORS, headers, certificates.

use std::time::Duration;

use policy::admit::group::{Group, Groups};
use serde_json::{Value, json};

use super::support::{Api, LIMITED_RATE, PLAIN, READ_ONLY, SAME_ACCOUNT, SANDBOX, Setup, a_body};

#[tokio::test]
async fn the_151st_call_in_five_seconds_is_refused_with_both_headers() {
    let api = Api::start().await;
    for call in 0..150 {
        let response = api.get(LIMITED_RATE, "/profiles/x").send().await.unwrap();
        let remaining = response.headers()["x-rate-limit-remaining"].to_str().unwrap();
        assert_eq!(
            (response.status().as_u16(), remaining),
            (400, (149 - call).to_string().as_str())
        );
    }
    let refused = api.submit(LIMITED_RATE, &a_body()).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["x-rate-limit-retry-after"], "5");
    assert_eq!(refused.headers()["retry-after"], "5");
    assert_eq!(refused.headers()["x-rate-limit-remaining"], "0");
    assert_eq!(refused.headers()["content-type"], "application/json");
    let answer: Value = refused.json().await.unwrap();
    let message = "Rate limit is exceeded. Try again in 5 seconds.";
    assert_eq!(answer, json!({ "statusCode": 429, "message": message }));
    assert_eq!(api.log.len(), 0);
    api.clock.advance(Duration::from_secs(5));
    assert_eq!(api.submit(LIMITED_RATE, &a_body()).await.status(), 201);
}

#[tokio::test]
async fn the_keys_of_one_account_share_its_budget() {
    let api = Api::start().await;
    for call in 0..150 {
        let service = [LIMITED_RATE, SAME_ACCOUNT][call % 2];
        let key = &api.keys[service][call / 2 % 2];
        let url = api.url("/profiles/x");
        let request = api.client.get(url).header("Ocp-Apim-Subscription-Key", key);
        assert_eq!(request.send().await.unwrap().status(), 400);
    }
    assert_eq!(api.submit(SAME_ACCOUNT, &a_body()).await.status(), 429);
    assert_eq!(api.submit(READ_ONLY, &a_body()).await.status(), 403, "another account");
}

#[tokio::test]
async fn an_account_without_limit_has_no_header_and_no_end() {
    let api = Api::start().await;
    for _ in 0..300 {
        let response = api.get(PLAIN, "/profiles/x").send().await.unwrap();
        assert_eq!(response.status(), 400);
        assert!(!response.headers().contains_key("x-rate-limit-remaining"));
    }
}

#[tokio::test]
async fn an_unknown_path_or_operation_is_not_found_before_any_key() {
    let api = Api::start().await;
    for (method, path) in [
        ("GET", "/nothing"),
        ("GET", "/messages"),
        ("PUT", "/messages"),
        ("DELETE", "/messages/AAAAAA00A00A000A"),
        ("POST", "/messages/AAAAAA00A00A000A/01JNDKQJM0THQ3F7T59F27VNZ4"),
        ("POST", "/profiles/AAAAAA00A00A000A"),
        ("GET", "/profiles"),
    ] {
        let request = api.client.request(method.parse().unwrap(), api.url(path));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 404, "{method} {path}");
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer, json!({ "statusCode": 404, "message": "Resource not found" }));
    }
    let root = api.client.get(format!("http://{}/", api.address)).send().await.unwrap();
    assert_eq!(root.status(), 404);
}

#[tokio::test]
async fn a_preflight_passes_without_a_key() {
    let api = Api::start().await;
    let asked = "content-type,ocp-apim-subscription-key";
    for path in ["/messages", "/messages/AAAAAA00A00A000A", "/profiles"] {
        let response = api
            .client
            .request(reqwest::Method::OPTIONS, api.url(path))
            .header("Origin", "https://www.example.com")
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", asked)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("access-control-allow-origin"), "*");
        assert_eq!(header("access-control-allow-methods"), "POST");
        assert_eq!(header("access-control-allow-headers"), asked);
    }
}

#[tokio::test]
async fn every_answer_carries_the_security_headers_and_open_cors() {
    let api = Api::start().await;
    let answers = [
        api.submit(PLAIN, &a_body()).await,
        api.submit(READ_ONLY, &a_body()).await,
        api.client.get(api.url("/nothing")).send().await.unwrap(),
        api.client.post(api.url("/messages")).send().await.unwrap(),
    ];
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status().as_u16()).collect();
    assert_eq!(statuses, [201, 403, 404, 401]);
    for answer in answers {
        let csp = "default-src 'none'; upgrade-insecure-requests";
        for (name, value) in [
            ("content-security-policy", csp),
            ("strict-transport-security", "max-age=15552000; includeSubDomains"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("access-control-allow-origin", "*"),
            ("access-control-expose-headers", "*"),
        ] {
            assert_eq!(answer.headers()[name], value, "{} {name}", answer.status());
        }
    }
}

#[tokio::test]
async fn a_service_that_is_gone_has_no_key_any_more() {
    let api = Api::start().await;
    assert_eq!(api.submit(PLAIN, &a_body()).await.status(), 201);
    api.registry.remove(&PLAIN.into());
    assert_eq!(api.submit(PLAIN, &a_body()).await.status(), 401);
}

#[tokio::test]
async fn an_account_that_needs_a_certificate_gets_a_bare_refusal_without_one() {
    let api = Api::with(Setup {
        change: |service| {
            let groups = [Group::ApiMessageWrite, Group::ApiAuthenticationClientCertificate];
            service.groups = Groups::of(&groups);
        },
        ..Setup::default()
    })
    .await;
    let request = format!(
        "POST /api/v1/messages HTTP/1.1\r\nHost: x\r\nOcp-Apim-Subscription-Key: {}\r\n\
         Content-Length: 0\r\nConnection: close\r\n\r\n",
        api.key(PLAIN)
    );
    let answer = super::transport::raw(api.address, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 403 Invalid client certificate\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_forged_address_from_an_untrusted_peer_is_not_believed() {
    let mut setup = Setup::default();
    setup.config.trusted_proxies.clear();
    setup.change = |service| {
        if !service.authorized_cidrs.is_empty() {
            let network = policy::admit::cidr::Cidr::parse("203.0.113.0/24").unwrap();
            service.authorized_cidrs = vec![network];
        }
    };
    let api = Api::with(setup).await;
    let request = api.post(PLAIN, "/messages").header("X-Forwarded-For", "203.0.113.7");
    let response = request.json(&a_body()).send().await.unwrap();
    assert_eq!(response.status(), 403);
    let path = format!("/messages/{SANDBOX}/x");
    let read = api.get(PLAIN, &path).header("X-Client-IP", "203.0.113.7").send().await.unwrap();
    assert_eq!(read.status(), 403);
}

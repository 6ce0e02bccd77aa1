//! The access token: what is asked, what is kept, and for how long.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock, Mutex};

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use edge::Clock;
use edge::tls::client_config;
use edge::token::{AccessToken, Credential, FetchError, ServiceAccount, TokenError, token_client};
use rcgen::KeyPair;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::double::{Identity, until};
use crate::provider_token::Hand;

const START_MS: i64 = 1_700_000_000_000;
const SCOPE: &str = "https://auth.example/push";

/// Making an RSA key takes a while: one for all tests.
static KEY_PEM: LazyLock<String> =
    LazyLock::new(|| KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap().serialize_pem());

/// A token endpoint: gives its answers one after the other, the last for ever.
struct Endpoint {
    uri: String,
    ca_pem: Vec<u8>,
    bodies: watch::Receiver<Vec<String>>,
    answers: Arc<Mutex<VecDeque<(u16, String)>>>,
}

impl Endpoint {
    async fn start(is_tls: bool, answers: &[(u16, &str)]) -> Self {
        let identity = Identity::new(&[]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, bodies) = watch::channel(Vec::new());
        let answers: VecDeque<_> =
            answers.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
        let answers = Arc::new(Mutex::new(answers));
        let (acceptor, script) = (identity.acceptor.clone(), answers.clone());
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (seen, script, acceptor) = (seen.clone(), script.clone(), acceptor.clone());
                tokio::spawn(async move {
                    if is_tls {
                        if let Ok(tls) = acceptor.accept(tcp).await {
                            exchange(tls, &seen, &script).await;
                        }
                    } else {
                        exchange(tcp, &seen, &script).await;
                    }
                });
            }
        });
        let uri = match is_tls {
            true => format!("https://localhost:{port}/token"),
            false => format!("http://127.0.0.1:{port}/token"),
        };
        Self { uri, ca_pem: identity.ca_pem, bodies, answers }
    }

    fn account(&self) -> ServiceAccount {
        ServiceAccount::from_json(account_json(&self.uri).to_string().as_bytes()).unwrap()
    }

    fn token(&self, clock: Clock) -> AccessToken {
        let tls = client_config(Some(&self.ca_pem), &[]).unwrap();
        let client = token_client(tls).unwrap();
        AccessToken::start(self.account(), SCOPE, client, clock, Arc::new(|| 0.0))
    }

    fn requests(&self) -> usize {
        self.bodies.borrow().len()
    }
}

/// One HTTP/1.1 request and its answer.
async fn exchange(
    io: impl AsyncRead + AsyncWrite + Unpin,
    seen: &watch::Sender<Vec<String>>,
    script: &Mutex<VecDeque<(u16, String)>>,
) {
    let mut io = BufReader::new(io);
    let (mut length, mut head) = (0, String::new());
    loop {
        let mut line = String::new();
        io.read_line(&mut line).await.unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    io.read_exact(&mut body).await.unwrap();
    assert!(head.starts_with("POST /token HTTP/1.1"), "{head}");
    assert!(head.contains("content-type: application/x-www-form-urlencoded"), "{head}");
    let (status, answer) = {
        let mut script = script.lock().unwrap();
        if script.len() > 1 { script.pop_front().unwrap() } else { script[0].clone() }
    };
    seen.send_modify(|bodies| bodies.push(String::from_utf8(body).unwrap()));
    let answer = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
        answer.len()
    );
    io.write_all(answer.as_bytes()).await.unwrap();
    io.shutdown().await.unwrap();
}

fn account_json(token_uri: &str) -> serde_json::Value {
    serde_json::json!({
        "type": "service_account",
        "project_id": "a-project",
        "private_key_id": "key-1",
        "private_key": *KEY_PEM,
        "client_email": "push@a-project.example",
        "token_uri": token_uri,
    })
}

fn shown(credential: &impl Credential) -> Option<String> {
    credential.header().map(|header| header.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_token_is_asked_for_with_a_signed_assertion_and_put_into_the_header() {
    let endpoint =
        Endpoint::start(true, &[(200, r#"{"access_token":"a.b","expires_in":3600}"#)]).await;
    let (_hand, clock) = Hand::new(START_MS);
    let token = endpoint.token(clock);
    assert_eq!(shown(&token), None);
    token.ready().await;
    assert_eq!(shown(&token).as_deref(), Some("Bearer a.b"));
    assert!(token.header().unwrap().is_sensitive());
    let body = endpoint.bodies.borrow()[0].clone();
    let assertion = body
        .strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=")
        .expect("a form of grant type and assertion");
    let parts: Vec<_> = assertion.split('.').collect();
    let json = |part: &str| -> serde_json::Value {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    assert_eq!(json(parts[0]), serde_json::json!({"alg": "RS256", "typ": "JWT", "kid": "key-1"}));
    assert_eq!(
        json(parts[1]),
        serde_json::json!({
            "iss": "push@a-project.example", "scope": SCOPE, "aud": endpoint.uri,
            "iat": START_MS / 1_000, "exp": START_MS / 1_000 + 3_600,
        })
    );
    let account = endpoint.account();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, account.public_key());
    let signature = BASE64_URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
    public.verify(format!("{}.{}", parts[0], parts[1]).as_bytes(), &signature).unwrap();
}

#[tokio::test]
async fn it_is_refreshed_at_four_fifths_of_its_life() {
    let answers = [
        // A second less is counted on.
        (200, r#"{"access_token":"one","expires_in":2}"#),
        (200, r#"{"access_token":"two","expires_in":3600}"#),
    ];
    let endpoint = Endpoint::start(false, &answers).await;
    let clock: Clock = {
        let start = tokio::time::Instant::now();
        Arc::new(move || START_MS + start.elapsed().as_millis() as i64)
    };
    let token = endpoint.token(clock.clone());
    token.ready().await;
    let first = token.health();
    assert_eq!(first.expires_ms, first.fetched_ms.map(|at| at + 1_000));
    let mut bodies = endpoint.bodies.clone();
    bodies.wait_for(|bodies| bodies.len() == 2).await.unwrap();
    let waited = clock() - first.fetched_ms.unwrap();
    assert!((800..1_000).contains(&waited), "asked again after {waited} ms");
    until(|| shown(&token).as_deref() == Some("Bearer two")).await;
}

#[tokio::test]
async fn a_refused_token_is_replaced_in_the_background_by_one_request_for_all() {
    let answers = [
        (200, r#"{"access_token":"one","expires_in":3600}"#),
        (200, r#"{"access_token":"two","expires_in":3600}"#),
    ];
    let endpoint = Endpoint::start(false, &answers).await;
    let (hand, clock) = Hand::new(START_MS);
    let token = endpoint.token(clock);
    token.ready().await;
    let refused = token.header().unwrap();
    hand.advance(30_000);
    let renewals = futures::future::join_all((0..50).map(|_| token.renew(&refused))).await;
    assert!(renewals.into_iter().all(|renewed| renewed));
    assert_eq!(shown(&token).as_deref(), Some("Bearer two"));
    assert_eq!(endpoint.requests(), 2);
}

#[tokio::test]
async fn a_refused_token_that_is_fresh_is_not_replaced() {
    let endpoint =
        Endpoint::start(false, &[(200, r#"{"access_token":"one","expires_in":3600}"#)]).await;
    let (hand, clock) = Hand::new(START_MS);
    let token = endpoint.token(clock);
    token.ready().await;
    hand.advance(29_999);
    assert!(!token.renew(&token.header().unwrap()).await);
    assert_eq!(endpoint.requests(), 1);
}

#[tokio::test]
async fn a_failed_refresh_keeps_the_old_token_until_it_expires() {
    let answers = [(200, r#"{"access_token":"one","expires_in":3600}"#), (500, "oops")];
    let endpoint = Endpoint::start(false, &answers).await;
    let (hand, clock) = Hand::new(START_MS);
    let token = Arc::new(endpoint.token(clock));
    token.ready().await;
    let refused = token.header().unwrap();
    hand.advance(40_000);
    let renewing = tokio::spawn({
        let (token, refused) = (token.clone(), refused.clone());
        async move { token.renew(&refused).await }
    });
    until(|| token.health().failures >= 1).await;
    renewing.abort();
    let failure = FetchError::Refused { status: 500, code: String::new() };
    assert_eq!(token.health().last_failure, Some(failure));
    assert_eq!(token.header(), Some(refused));
    hand.advance(3_599_000 - 40_000 - 1);
    assert!(token.header().is_some());
    hand.advance(1);
    assert_eq!(shown(&*token), None);
}

#[tokio::test]
async fn a_failed_request_is_repeated_until_there_is_a_token() {
    let answers = [(500, ""), (200, r#"{"access_token":"one","expires_in":3600}"#)];
    let endpoint = Endpoint::start(false, &answers).await;
    let start = tokio::time::Instant::now();
    let clock: Clock = Arc::new(move || START_MS + start.elapsed().as_millis() as i64);
    let token = endpoint.token(clock);
    token.ready().await;
    let health = token.health();
    assert_eq!((health.fetches, health.failures, health.last_failure), (1, 1, None));
}

#[tokio::test]
async fn what_the_endpoint_says_is_told_apart_from_its_absence() {
    let long = format!(r#"{{"access_token":"{}","expires_in":3600}}"#, "x".repeat(70_000));
    let refused = |status, code: &str| FetchError::Refused { status, code: code.into() };
    let cases = [
        (
            400,
            r#"{"error":"invalid_grant","error_description":"x"}"#,
            refused(400, "invalid_grant"),
        ),
        (401, r#"{"error":"push@a-project.example"}"#, refused(401, "")),
        (302, "", refused(302, "")),
        (200, "not json", FetchError::Unusable),
        (200, r#"{"access_token":"","expires_in":3600}"#, FetchError::Unusable),
        (200, r#"{"access_token":"a","expires_in":0}"#, FetchError::Unusable),
        (200, r#"{"access_token":"a\nb","expires_in":9}"#, FetchError::Unusable),
        (200, long.as_str(), FetchError::Unusable),
    ];
    for (status, body, expected) in cases {
        let endpoint = Endpoint::start(false, &[(status, body)]).await;
        let (_hand, clock) = Hand::new(START_MS);
        let token = endpoint.token(clock);
        until(|| token.health().failures > 0).await;
        assert_eq!(token.health().last_failure, Some(expected), "{status}");
        assert_eq!(token.header(), None);
        endpoint.answers.lock().unwrap().clear();
    }
}

#[tokio::test]
async fn an_endpoint_of_a_ca_we_do_not_trust_is_unreachable() {
    let endpoint =
        Endpoint::start(true, &[(200, r#"{"access_token":"a","expires_in":3600}"#)]).await;
    let tls = client_config(Some(&Identity::new(&[]).ca_pem), &[]).unwrap();
    let (_hand, clock) = Hand::new(START_MS);
    let client = token_client(tls).unwrap();
    let token = AccessToken::start(endpoint.account(), SCOPE, client, clock, Arc::new(|| 0.0));
    until(|| token.health().failures > 0).await;
    assert_eq!(token.health().last_failure, Some(FetchError::Unreachable));
}

#[test]
fn an_account_file_without_a_field_names_it() {
    for field in ["client_email", "private_key", "private_key_id", "project_id", "token_uri"] {
        let mut json = account_json("http://127.0.0.1/token");
        json.as_object_mut().unwrap().remove(field);
        let made = ServiceAccount::from_json(json.to_string().as_bytes());
        assert_eq!(made.err(), Some(TokenError::BadAccount(field)));
    }
    assert_eq!(ServiceAccount::from_json(b"{").err(), Some(TokenError::BadAccount("an object")));
}

#[test]
fn an_account_does_not_print_its_key_or_name() {
    let json = account_json("http://127.0.0.1/token").to_string();
    let shown = format!("{:?}", ServiceAccount::from_json(json.as_bytes()).unwrap());
    assert!(!shown.contains("PRIVATE") && !shown.contains("push@"), "{shown}");
}

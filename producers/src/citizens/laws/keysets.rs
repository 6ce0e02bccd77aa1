//! Where keys come from, and where they do not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::super::KeySource;
use super::super::login::read_keys;
use super::rig::{CODE, Rig, identity};

/// A server that sends `head` and then `again` for ever; how many have called.
async fn server(head: String, again: &'static [u8]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut asked = [0; 4_096];
            let _ = socket.read(&mut asked).await;
            let _ = socket.write_all(head.as_bytes()).await;
            while !again.is_empty() && socket.write_all(again).await.is_ok() {}
        }
    });
    (url, calls)
}

#[tokio::test]
async fn a_key_set_without_end_is_given_up_where_it_is_too_long() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"keys\":[";
    let (url, _) = server(head.to_owned(), &[b' '; 4_096]).await;
    let source = KeySource::Url { url, refresh: Duration::from_secs(60) };
    let read = read_keys(&source, &reqwest::Client::new()).await;
    let why = read.err().expect("no key set").to_string();
    assert!(why.ends_with("longer than 256 KiB"), "{why}");
}

/// Hazard H16, seen in Svix (whose guard refuses internal addresses): a stranger names the place that we ask.
/// RFC 7515 lets a token name its own keys (`jku`, `x5u`) and carry them (`jwk`); neither is looked at.
#[tokio::test]
async fn a_token_that_names_or_brings_its_own_keys_is_refused_and_nobody_is_asked() {
    let rig = Rig::new().await;
    let (stranger, set) = identity("stranger");
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{set}");
    let (url, calls) = server(head, b"").await;
    let claims = URL_SAFE_NO_PAD.encode(Rig::claims(CODE).to_string());
    for header in [
        json!({"alg": "ES256", "jku": url}),
        json!({"alg": "ES256", "kid": "stranger", "x5u": url}),
        json!({"alg": "ES256", "kid": url}),
        json!({"alg": "ES256", "jwk": set["keys"][0]}),
    ] {
        let signed = format!("{}.{claims}", URL_SAFE_NO_PAD.encode(header.to_string()));
        let algorithm = jsonwebtoken::Algorithm::ES256;
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &stranger, algorithm);
        let token = format!("{signed}.{}", signature.expect("signed"));
        let (status, _) = rig.ask_as(&token, "GET", "/api/v1/profile", None).await;
        assert_eq!(status.as_u16(), 401, "{header}");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0, "somebody followed the token");
}

//! What arrives at the provider, and what comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use edge::pool::{PlainPool, PoolConfig, PoolConfigError, Push, Reply, Request, Unsent, Wiring};
use edge::token::Credential;
use http::{HeaderName, HeaderValue};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::double::{Do, Identity, Server, answer, config, request, wiring};

/// A credential that numbers its values, and can be renewed a given number of times.
struct Numbered {
    current: AtomicUsize,
    last: usize,
    is_tied: bool,
}

impl Numbered {
    fn new(last: usize, is_tied: bool) -> Arc<Self> {
        Arc::new(Self { current: AtomicUsize::new(1), last, is_tied })
    }
}

#[async_trait]
impl Credential for Numbered {
    fn header(&self) -> Option<HeaderValue> {
        match self.current.load(Ordering::SeqCst) {
            0 => None,
            number => Some(HeaderValue::try_from(format!("bearer {number}")).unwrap()),
        }
    }

    async fn renew(&self, refused: &HeaderValue) -> bool {
        if self.header().as_ref() == Some(refused)
            && self.current.load(Ordering::SeqCst) < self.last
        {
            self.current.fetch_add(1, Ordering::SeqCst);
        }
        self.header().as_ref() != Some(refused)
    }

    fn is_tied_to_connection(&self) -> bool {
        self.is_tied
    }
}

fn with_credential(ca_pem: &[u8], credential: Arc<Numbered>) -> Wiring {
    Wiring {
        credential: Some(credential),
        is_expired: |status, body| status == 403 && body == b"expired",
        ..wiring(ca_pem)
    }
}

/// A server on the `h2` crate, to see requests as another implementation reads them.
async fn library_server(
    respond: impl Fn(&http::Request<()>) -> http::Response<&'static str> + Send + 'static,
) -> (PoolConfig, Vec<u8>, mpsc::UnboundedReceiver<(http::request::Parts, Vec<u8>)>) {
    let identity = Identity::new(&[b"h2"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = config(listener.local_addr().unwrap().port());
    let (seen, received) = mpsc::unbounded_channel();
    let acceptor = identity.acceptor.clone();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let tls = acceptor.accept(tcp).await.unwrap();
            let mut wire = h2::server::handshake(tls).await.unwrap();
            while let Some(Ok((request, mut replier))) = wire.accept().await {
                let (parts, mut incoming) = request.into_parts();
                let head = http::Request::from_parts(parts.clone(), ());
                let (head, body) = respond(&head).into_parts();
                let seen = seen.clone();
                tokio::spawn(async move {
                    let mut whole = Vec::new();
                    while let Some(chunk) = incoming.data().await {
                        let chunk = chunk.unwrap();
                        incoming.flow_control().release_capacity(chunk.len()).unwrap();
                        whole.extend_from_slice(&chunk);
                    }
                    let response = http::Response::from_parts(head, ());
                    let mut stream = replier.send_response(response, body.is_empty()).unwrap();
                    if !body.is_empty() {
                        stream.send_data(Bytes::from_static(body.as_bytes()), true).unwrap();
                    }
                    let _ = seen.send((parts, whole));
                });
            }
        }
    });
    (config, identity.ca_pem, received)
}

fn ok(_: &http::Request<()>) -> http::Response<&'static str> {
    http::Response::new("")
}

#[tokio::test]
async fn path_headers_and_body_arrive_exactly() {
    let (config, ca_pem, mut received) = library_server(ok).await;
    let port = config.port;
    let wiring = with_credential(&ca_pem, Numbered::new(1, true));
    let pool = PlainPool::open(config, wiring).unwrap();
    let pairs = [
        ("apns-id", "eabeae54-14a8-11e5-b60b-1697f925ec7b"),
        ("apns-topic", "it.example.app"),
        ("apns-expiration", "1700000000"),
        ("x-twice", "first"),
        ("x-twice", "second"),
        ("x-empty", ""),
        ("x-latin", "caff\u{e8}"),
    ];
    let headers: Vec<_> = pairs
        .iter()
        .map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        })
        .collect();
    let body = Bytes::from("x".repeat(4_096));
    let path = "/3/device/00ff?x=1".parse().unwrap();
    let sent = Request { path, headers: headers.clone(), body: body.clone(), ..request("") };
    let reply = pool.send(sent).await;
    assert!(matches!(reply, Reply::Answer { status: 200, .. }), "{reply:?}");
    let (parts, arrived) = received.recv().await.unwrap();
    assert_eq!(parts.method, http::Method::POST);
    assert_eq!(parts.uri.to_string(), format!("https://127.0.0.1:{port}/3/device/00ff?x=1"));
    let authorization = (http::header::AUTHORIZATION, HeaderValue::from_static("bearer 1"));
    let expected: Vec<_> = std::iter::once(authorization).chain(headers).collect();
    let got: Vec<_> = parts.headers.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
    assert_eq!(got, expected);
    assert_eq!(arrived, body);
}

#[tokio::test]
async fn status_headers_and_body_of_the_answer_come_back() {
    let (config, ca_pem, _received) = library_server(|_| {
        let answer = http::Response::builder().status(429).header("retry-after", "17");
        answer.body(r#"{"reason":"TooManyRequests"}"#).unwrap()
    })
    .await;
    let pool = PlainPool::open(config, wiring(&ca_pem)).unwrap();
    let reply = pool.send(request("{}")).await;
    let Reply::Answer { status, headers, body } = &reply else { panic!("{reply:?}") };
    assert_eq!((*status, &headers["retry-after"]), (429, &HeaderValue::from_static("17")));
    assert_eq!(body, r#"{"reason":"TooManyRequests"}"#);
}

#[tokio::test]
async fn bodies_larger_than_the_peers_window_arrive_whole() {
    let (config, ca_pem, mut received) = library_server(ok).await;
    let pool = PlainPool::open(config, wiring(&ca_pem)).unwrap();
    let body = Bytes::from("y".repeat(300_000));
    let large = Request { body: body.clone(), ..request("") };
    assert!(matches!(pool.send(large).await, Reply::Answer { status: 200, .. }));
    assert_eq!(received.recv().await.unwrap().1, body);
}

#[tokio::test]
async fn an_answer_longer_than_the_bound_is_cut_and_its_status_kept() {
    let server = Server::scripted(vec![], |at| {
        let chunk = |ends| Do::Data(at.stream, vec![b'z'; 16_000], ends);
        vec![
            Do::Begin(at.stream, 500, "z"),
            chunk(false),
            chunk(false),
            chunk(false),
            chunk(false),
            chunk(true),
        ]
    });
    let pool = server.pool(|_| {});
    let (status, body) = answer(&pool, "{}").await;
    assert_eq!((status, body.len()), (500, edge::pool::MOST_BODY_BYTES));
}

#[tokio::test]
async fn an_empty_body_ends_the_request_with_its_head() {
    let server = Server::agreeable(1);
    assert_eq!(answer(&server.pool(|_| {}), "").await, (200, String::new()));
}

#[tokio::test]
async fn without_a_valid_credential_nothing_is_sent() {
    let server = Server::agreeable(1);
    let credential = Numbered::new(0, false);
    credential.current.store(0, Ordering::SeqCst);
    let wiring = with_credential(&server.ca_pem, credential);
    let pool = PlainPool::open(server.config(), wiring).unwrap();
    let reply = pool.send(request("{}")).await;
    assert!(matches!(reply, Reply::Unsent { why: Unsent::NoCredential }), "{reply:?}");
    assert_eq!(server.seen().requests, 0);
}

#[tokio::test]
async fn an_expired_credential_is_renewed_once_and_the_request_sent_again_elsewhere() {
    let server = Server::scripted(vec![Do::MaxStreams(5)], |at| match at.connection {
        0 => vec![Do::Answer(at.stream, 403, "expired")],
        _ => vec![Do::Answer(at.stream, 200, "")],
    });
    let wiring = with_credential(&server.ca_pem, Numbered::new(2, true));
    let pool = PlainPool::open(server.config(), wiring).unwrap();
    assert_eq!(answer(&pool, "{}").await.0, 200);
    server.until(|seen| seen.connections == 2 && seen.ended == 1).await;
    assert_eq!(pool.snapshot().renewals_total, 1);
}

#[tokio::test]
async fn a_credential_not_tied_to_its_connection_is_renewed_without_a_new_one() {
    let server = Server::scripted(vec![Do::MaxStreams(5)], |at| match at.stream {
        1 => vec![Do::Answer(1, 403, "expired")],
        stream => vec![Do::Answer(stream, 200, "")],
    });
    let wiring = with_credential(&server.ca_pem, Numbered::new(2, false));
    let pool = PlainPool::open(server.config(), wiring).unwrap();
    assert_eq!(answer(&pool, "{}").await.0, 200);
    assert_eq!(server.seen().connections, 1);
}

#[tokio::test]
async fn a_credential_that_cannot_be_renewed_leaves_the_answer_as_it_is() {
    let server = Server::scripted(vec![], |at| vec![Do::Answer(at.stream, 403, "expired")]);
    for (last, requests) in [(1, 1), (9, 2)] {
        let before = server.seen().requests;
        let wiring = with_credential(&server.ca_pem, Numbered::new(last, false));
        let pool = PlainPool::open(server.config(), wiring).unwrap();
        assert_eq!(answer(&pool, "{}").await, (403, "expired".into()));
        assert_eq!(server.seen().requests - before, requests);
    }
}

#[tokio::test]
async fn a_header_that_http2_forbids_is_our_fault_and_not_sent() {
    let server = Server::agreeable(1);
    let pool = server.pool(|_| {});
    let mut bad = request("{}");
    bad.headers.push((http::header::CONNECTION, HeaderValue::from_static("close")));
    let reply = pool.send(bad).await;
    assert!(matches!(reply, Reply::Unsent { why: Unsent::BadRequest }), "{reply:?}");
    assert_eq!(answer(&pool, "{}").await.0, 200);
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_before_anything_opens() {
    let server = Server::agreeable(1);
    let mut config = server.config();
    config.connections = 0;
    let refused = PlainPool::open(config, server.wiring()).err();
    assert_eq!(refused, Some(PoolConfigError::Zero("connections")));
    assert_eq!(server.seen().connections, 0);
}

//! Large, slow, cut and random requests end in a refusal, never in a crash, a wait or a full memory.

use std::time::Duration;

use producers::http::ServeLimits;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::support::{Api, PLAIN, Setup, a_body};

fn head(api: &Api, length: &str) -> String {
    format!(
        "POST /api/v1/messages HTTP/1.1\r\nHost: x\r\nOcp-Apim-Subscription-Key: {}\r\n{length}\r\n\r\n",
        api.key(PLAIN)
    )
}

async fn first_line(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut byte = [0];
    let reading = async {
        while !answer.ends_with(b"\r\n") && stream.read(&mut byte).await.unwrap_or(0) == 1 {
            answer.push(byte[0]);
        }
    };
    let read = tokio::time::timeout(Duration::from_secs(10), reading).await;
    read.expect("an answer should have come");
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_body_of_128_kib_is_taken() {
    let api = Api::start().await;
    let text = a_body().to_string();
    let body = format!("{}{text}", " ".repeat(128 * 1024 - text.len()));
    let response = api.post(PLAIN, "/messages").body(body).send().await.unwrap();
    assert_eq!(response.status(), 201);
}

#[tokio::test]
async fn a_declared_100_mb_is_refused_before_a_byte_of_it_is_sent() {
    let api = Api::start().await;
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    let request = head(&api, "Content-Length: 104857600");
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(first_line(&mut stream).await, "HTTP/1.1 400 Bad Request\r\n");
}

#[tokio::test]
async fn a_100_mb_body_that_is_sent_whole_gets_its_refusal() {
    let api = Api::start().await;
    let chunk = bytes::Bytes::from(vec![b' '; 1024 * 1024]);
    let chunks =
        futures::stream::iter((0..100).map(move |_| Ok::<_, std::io::Error>(chunk.clone())));
    let body = reqwest::Body::wrap_stream(chunks);
    let response = api.post(PLAIN, "/messages").body(body).send().await.unwrap();
    assert_eq!(response.status(), 400);
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["title"], "Invalid message structure");
    assert_eq!(api.submit(PLAIN, &a_body()).await.status(), 201);
}

#[tokio::test]
async fn a_client_that_reads_only_after_writing_100_mb_sees_its_refusal() {
    let api = Api::start().await;
    let mebibyte = vec![b' '; 1 << 20];
    for framing in ["Content-Length: 104857600", "Transfer-Encoding: chunked"] {
        let chunked = framing.ends_with("chunked");
        let mut stream = TcpStream::connect(api.address).await.unwrap();
        stream.write_all(head(&api, framing).as_bytes()).await.unwrap();
        for _ in 0..100 {
            if chunked {
                stream.write_all(b"100000\r\n").await.unwrap();
            }
            stream.write_all(&mebibyte).await.unwrap();
            if chunked {
                stream.write_all(b"\r\n").await.unwrap();
            }
        }
        let line = first_line(&mut stream).await;
        assert_eq!(line, "HTTP/1.1 400 Bad Request\r\n", "{framing}");
    }
}

#[tokio::test]
async fn the_403_of_a_sender_comes_before_the_400_of_a_body_too_long() {
    let api = Api::start().await;
    let body = " ".repeat(1024 * 1024);
    let request = api.post(super::support::READ_ONLY, "/messages").body(body);
    assert_eq!(request.send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn a_body_that_never_ends_is_refused_after_its_time() {
    let mut setup = Setup::default();
    setup.config.body_wait_ms = 20;
    let api = Api::with(setup).await;
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    let request = head(&api, "Content-Length: 500");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.write_all(b"{\"fiscal_code\":").await.unwrap();
    assert_eq!(first_line(&mut stream).await, "HTTP/1.1 400 Bad Request\r\n");
}

#[tokio::test]
async fn headers_that_never_end_lose_their_connection() {
    let limits = ServeLimits { header_wait: Duration::from_millis(30), ..ServeLimits::default() };
    let api = Api::with(Setup { limits, ..Setup::default() }).await;
    for start in
        ["", "P", "PRI * HTTP/2.0\r\n", "POST /api/v1/messages HTTP/1.1\r\nHost: x\r\nA: b"]
    {
        let mut stream = TcpStream::connect(api.address).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let end = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer));
        // A reset is an end as well.
        let _ = end.await.expect("the connection should have been closed");
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{start:?}");
    }
    assert_eq!(api.submit(PLAIN, &a_body()).await.status(), 201);
}

#[tokio::test]
async fn a_body_cut_short_takes_nothing() {
    let api = Api::start().await;
    let text = a_body().to_string();
    for cut in [0, 1, text.len() / 2, text.len() - 1] {
        let mut stream = TcpStream::connect(api.address).await.unwrap();
        let request = head(&api, &format!("Content-Length: {}", text.len()));
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.write_all(&text.as_bytes()[..cut]).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 201"), "{cut}");
    }
    assert_eq!(api.log.len(), 0);
}

#[tokio::test]
async fn random_bytes_are_refused_as_bodies() {
    let api = Api::start().await;
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..300 {
        let length = next() % 2_000;
        let body: Vec<u8> = (0..length).map(|_| (next() & 0xff) as u8).collect();
        let response = api.post(PLAIN, "/messages").body(body).send().await.unwrap();
        assert_eq!(response.status(), 400, "round {round}");
    }
}

#[tokio::test]
async fn random_bytes_in_paths_and_keys_are_refused() {
    let api = Api::start().await;
    for path in ["%00", "%ff%fe", "%2e%2e%2f", "%F0%9F%A6%8A", "a%0d%0ab", "'%20OR%201=1"] {
        let response = api.get(PLAIN, &format!("/profiles/{path}")).send().await.unwrap();
        assert_eq!(response.status(), 400, "{path}");
        let response = api.get(PLAIN, &format!("/messages/{path}/{path}")).send().await.unwrap();
        assert_eq!(response.status(), 400, "{path}");
    }
    let url = api.url("/profiles/x");
    let key = reqwest::header::HeaderValue::from_bytes(b"\xff\xfe").unwrap();
    let request = api.client.get(url).header("Ocp-Apim-Subscription-Key", key);
    assert_eq!(request.send().await.unwrap().status(), 401);
}

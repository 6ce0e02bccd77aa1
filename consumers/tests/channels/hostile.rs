//! Relays that nobody would run, and somebody on the way.

use consumers::channel::{Letter, Words};
use consumers::email::EmailConfig;
use schemas::records::{OutcomeKind, Reason};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::rig::{kind, letter, rig};

/// Sends one mail to a server that greets with `greeting` and answers each line in clear with the next
/// of `replies`; gives what became of it and all that the server heard.
async fn told(
    greeting: &'static [u8],
    replies: &[&'static [u8]],
) -> ((OutcomeKind, Reason), String) {
    let rig = rig(|_| {}).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let replies: Vec<&'static [u8]> = replies.to_vec();
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(greeting).await.unwrap();
        let (mut heard, mut buffer) = (Vec::new(), [0; 4_096]);
        for reply in replies {
            match socket.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(read) => heard.extend_from_slice(&buffer[..read]),
            }
            socket.write_all(reply).await.unwrap();
        }
        // Until the client goes.
        let _ = socket.read_to_end(&mut heard).await;
        String::from_utf8_lossy(&heard).into_owned()
    });
    let config =
        EmailConfig { port, open_within_ms: 500, reply_within_ms: 500, ..rig.email_config() };
    let port = rig.email(&config);
    let mail = Letter {
        installation: String::new(),
        words: Words::Anonymous,
        ..letter("anna@mail.example")
    };
    let answer = rig.send(&port, &mail).await;
    drop(port);
    (kind(&answer), server.await.unwrap())
}

const UNSENT: (OutcomeKind, Reason) = (OutcomeKind::Unavailable, Reason::Unsent);

#[tokio::test]
async fn what_was_said_in_clear_after_starttls_is_not_believed() {
    let injected: &[u8] = b"220 go\r\n250-me\r\n250 AUTH PLAIN\r\n";
    let (found, heard) = told(b"220 me\r\n", &[b"250-me\r\n250 STARTTLS\r\n", injected]).await;
    assert_eq!(found, UNSENT);
    assert!(heard.ends_with("STARTTLS\r\n"), "not even a handshake follows: {heard:?}");
}

#[tokio::test]
async fn neither_address_nor_words_ever_leave_in_clear() {
    for replies in [
        &[&b"250 me\r\n"[..]][..],
        &[b"250-me\r\n250 STARTTLS\r\n", b"502 no\r\n"],
        &[b"250-me\r\n250 STARTTLS\r\n", b"220 go\r\n"],
        &[b"250-me\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n", b"250 no need\r\n", b"250 go on\r\n"],
    ] {
        let (_, heard) = told(b"220 me\r\n", replies).await;
        assert!(!heard.contains("MAIL") && !heard.contains("anna"), "{heard:?}");
    }
}

#[tokio::test]
async fn a_server_that_talks_no_smtp_or_without_end_is_left() {
    static ENDLESS: [u8; 64 * 1024] = [b'x'; 64 * 1024];
    static LINES: &[u8] = b"220-a\r\n";
    let many: &'static [u8] = Vec::leak(LINES.repeat(10_000));
    for greeting in [&b"HTTP/1.1 400 Bad Request\r\n"[..], b"", &ENDLESS, many, b"\xff\xfe\r\n"] {
        assert_eq!(told(greeting, &[]).await.0, UNSENT);
    }
}

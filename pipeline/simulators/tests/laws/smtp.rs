//! The SMTP dialogue.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use simulators::Credentials;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::support::doubles;
use crate::support::smtp::{Dialogue, encrypted};

const TEXT: &str = "Message-ID: <m1@sender.example>\r\nSubject: a\r\n b\r\n\r\n..dot\r\nend";

/// Says each line and compares the beginning of each reply.
async fn check(dialogue: &mut Dialogue<TlsStream<TcpStream>>, script: &[(&str, &str)]) {
    for (command, expected) in script {
        let reply = dialogue.say(command).await;
        assert!(reply.starts_with(expected), "{command}: {reply}, expected {expected}");
    }
}

#[tokio::test]
async fn nothing_but_starttls_is_open_in_clear() {
    let doubles = doubles(|_| {}).await;
    let (mut dialogue, greeting) = Dialogue::begin(&doubles.running.smtp).await;
    assert!(greeting.starts_with("220 "));
    let hello = dialogue.say("EHLO client.example").await;
    assert!(hello.contains("250 STARTTLS") && !hello.contains("AUTH"), "{hello}");
    for command in ["MAIL FROM:<a@b.example>", "AUTH PLAIN AGEAYg==", "RSET", "VRFY a", "DATA"] {
        let reply = dialogue.say(command).await;
        assert!(reply.starts_with("530 5.7.0 "), "{command}: {reply}");
    }
    assert!(dialogue.say("NOOP").await.starts_with("250 "));
    assert!(dialogue.say("QUIT").await.starts_with("221 "));
    assert_eq!(dialogue.reply().await, "");
}

#[tokio::test]
async fn under_tls_the_extensions_are_offered_and_starttls_is_not() {
    let doubles = doubles(|_| {}).await;
    let mut dialogue = encrypted(&doubles.running.smtp).await;
    let hello = dialogue.say("ehlo client.example").await;
    for word in [
        "PIPELINING",
        "SIZE 10485760",
        "8BITMIME",
        "SMTPUTF8",
        "DSN",
        "ENHANCEDSTATUSCODES",
        "AUTH PLAIN LOGIN",
    ] {
        assert!(hello.contains(word), "{hello}");
    }
    assert!(!hello.contains("STARTTLS"));
    check(&mut dialogue, &[("STARTTLS", "503 ")]).await;
}

#[tokio::test]
async fn what_was_said_before_tls_is_forgotten() {
    let doubles = doubles(|_| {}).await;
    let smtp = &doubles.running.smtp;
    let (mut dialogue, _) = Dialogue::begin(smtp).await;
    dialogue.say("EHLO client.example").await;
    // A command put behind STARTTLS by somebody on the way must have no effect under TLS.
    let mut dialogue = dialogue.upgrade(smtp, "EHLO attacker.example\r\n").await;
    check(&mut dialogue, &[("MAIL FROM:<a@b.example>", "503 5.5.1")]).await;
}

#[tokio::test]
async fn a_mail_is_kept_as_it_was_sent() {
    let doubles = doubles(|_| {}).await;
    let smtp = &doubles.running.smtp;
    let mut dialogue = encrypted(smtp).await;
    check(
        &mut dialogue,
        &[
            (
                "MAIL FROM:<b+x@bounce.example> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=abc",
                "250 2.1.0",
            ),
            ("RCPT TO:<a@c.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;a@c.example", "250 2.1.5"),
            ("RCPT TO:<d@c.example>", "250 2.1.5"),
            ("DATA", "354 "),
            (&format!("{TEXT}\r\n."), "250 2.0.0"),
        ],
    )
    .await;
    let received = &smtp.received()[0];
    assert_eq!(received.envelope_from.as_deref(), Some("b+x@bounce.example"));
    assert_eq!(received.address.as_deref(), Some("a@c.example"));
    assert_eq!(received.recipients, ["a@c.example", "d@c.example"]);
    assert_eq!(received.id, "<m1@sender.example>");
    assert_eq!(received.headers["subject"], "a b");
    let raw = received.payload.as_str().unwrap();
    assert_eq!(raw, format!("{}\r\n", TEXT.replace("..dot", ".dot")));
    assert!(received.parameters.contains(&"RCPT NOTIFY=FAILURE,DELAY".to_owned()));
    assert_eq!(smtp.counts().accepted, 1);
}

#[tokio::test]
async fn commands_come_in_order() {
    let doubles = doubles(|_| {}).await;
    let mut dialogue = encrypted(&doubles.running.smtp).await;
    check(
        &mut dialogue,
        &[
            ("RCPT TO:<a@b.example>", "503 5.5.1"),
            ("DATA", "503 5.5.1"),
            ("MAIL FROM:<>", "250 2.1.0"),
            ("MAIL FROM:<>", "503 5.5.1"),
            ("DATA", "554 5.5.1"),
            ("RSET", "250 2.0.0"),
            ("RCPT TO:<a@b.example>", "503 5.5.1"),
            ("NONSENSE", "500 5.5.2"),
            ("EHLO", "501 5.5.4"),
            ("VRFY a@b.example", "252 "),
        ],
    )
    .await;
}

#[tokio::test]
async fn addresses_and_parameters_are_read_strictly() {
    let doubles = doubles(|_| {}).await;
    let mut dialogue = encrypted(&doubles.running.smtp).await;
    check(
        &mut dialogue,
        &[
            ("MAIL FROM:a@b.example", "501 5.1.3"),
            ("MAIL FROM: <a@b.example>", "501 5.1.3"),
            ("MAIL FROM:<a>", "501 5.1.3"),
            ("MAIL FROM:<a@b.example> FUTURE=1", "555 5.5.4"),
            ("MAIL FROM:<a@b.example> BODY=9BIT", "501 5.5.4"),
            ("MAIL FROM:<a@b.example> SIZE=99999999", "552 5.3.4"),
            ("MAIL FROM:<müller@b.example>", "553 5.6.7"),
            ("MAIL FROM:<müller@b.example> SMTPUTF8", "250 2.1.0"),
            ("RCPT TO:<>", "501 5.1.3"),
            ("RCPT TO:<a@b.example> NOTIFY=SOMETIMES", "501 5.5.4"),
            ("RCPT TO:<größe@b.example>", "250 2.1.5"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_pipelined_group_is_answered_in_order() {
    let doubles = doubles(|_| {}).await;
    let mut dialogue = encrypted(&doubles.running.smtp).await;
    let group = "MAIL FROM:<a@b.example>\r\nRCPT TO:<x@nobody.example>\r\n\
                 RCPT TO:<y@c.example>\r\nDATA\r\n";
    dialogue.send(group).await;
    for expected in ["250 2.1.0", "550 5.1.1", "250 2.1.5", "354 "] {
        let reply = dialogue.reply().await;
        assert!(reply.starts_with(expected), "{reply}");
    }
    assert!(dialogue.say("\r\n.").await.starts_with("250 2.0.0"));
    assert_eq!(doubles.running.smtp.received()[0].recipients, ["y@c.example"]);
}

#[tokio::test]
async fn with_credentials_configured_they_are_demanded_and_checked() {
    let credentials = Credentials { user: "u".into(), password: "p".into() };
    let doubles = doubles(|config| config.smtp_credentials = Some(credentials)).await;
    let mut dialogue = encrypted(&doubles.running.smtp).await;
    let encoded = |text: &str| STANDARD.encode(text);
    check(
        &mut dialogue,
        &[
            ("MAIL FROM:<a@b.example>", "530 5.7.0"),
            ("AUTH CRAM-MD5", "504 5.5.4"),
            (&format!("AUTH PLAIN {}", encoded("\0u\0wrong")), "535 5.7.8"),
            ("AUTH PLAIN ???", "501 5.5.2"),
            ("AUTH LOGIN", "334 VXNlcm5hbWU6"),
            ("*", "501 5.7.0"),
            ("AUTH LOGIN", "334 "),
            (&encoded("u"), "334 UGFzc3dvcmQ6"),
            (&encoded("wrong"), "535 5.7.8"),
            ("AUTH PLAIN", "334"),
            (&encoded("\0u\0p"), "235 2.7.0"),
            ("AUTH PLAIN", "503 5.5.1"),
            ("MAIL FROM:<a@b.example>", "250 2.1.0"),
        ],
    )
    .await;
    let mut dialogue = encrypted(&doubles.running.smtp).await;
    let user = format!("AUTH LOGIN {}", encoded("u"));
    check(&mut dialogue, &[(&user, "334 UGFzc3dvcmQ6"), (&encoded("p"), "235 2.7.0")]).await;
}

#[tokio::test]
async fn without_credentials_configured_any_are_welcome_and_none_needed() {
    let doubles = doubles(|_| {}).await;
    let mut dialogue = encrypted(&doubles.running.smtp).await;
    check(&mut dialogue, &[("MAIL FROM:<a@b.example>", "250 "), ("RSET", "250 ")]).await;
    check(&mut dialogue, &[("AUTH PLAIN AHUAcA==", "235 2.7.0")]).await;
}

#[tokio::test]
async fn a_message_above_the_announced_size_is_refused_and_the_session_goes_on() {
    let doubles = doubles(|config| config.smtp_max_bytes = 1000).await;
    let smtp = &doubles.running.smtp;
    let mut dialogue = encrypted(smtp).await;
    let replies = dialogue.mail("a@b.example", &"x".repeat(200_000)).await;
    assert!(replies[3].starts_with("552 5.3.4"), "{replies:?}");
    let replies = dialogue.mail("a@b.example", "short").await;
    assert!(replies[3].starts_with("250 2.0.0"), "{replies:?}");
    assert_eq!(smtp.received().len(), 1);
}

#[tokio::test]
async fn a_bare_line_feed_neither_ends_a_message_nor_is_taken() {
    let doubles = doubles(|_| {}).await;
    let smtp = &doubles.running.smtp;
    let mut dialogue = encrypted(smtp).await;
    let smuggled = "a\n.\nMAIL FROM:<evil@b.example>\nRCPT TO:<a@b.example>\nDATA\nb";
    let replies = dialogue.mail("a@b.example", smuggled).await;
    assert!(replies[3].starts_with("550 5.5.2"), "{replies:?}");
    assert!(smtp.received().is_empty());
    assert!(dialogue.say("NOOP").await.starts_with("250 "));
}

#[tokio::test]
async fn an_endless_line_and_endless_errors_are_bounded() {
    let doubles = doubles(|_| {}).await;
    let mut dialogue = encrypted(&doubles.running.smtp).await;
    let line = "x".repeat(1 << 20);
    assert!(dialogue.say(&line).await.starts_with("500 5.5.6"));
    let mut replies = Vec::new();
    for _ in 0..20 {
        replies.push(dialogue.say("NONSENSE").await);
    }
    assert!(replies[19].starts_with("421 "), "{replies:?}");
    assert_eq!(dialogue.reply().await, "");
}

#[tokio::test]
async fn a_transaction_has_a_hundred_recipients_at_most() {
    let doubles = doubles(|_| {}).await;
    let mut dialogue = encrypted(&doubles.running.smtp).await;
    dialogue.say("MAIL FROM:<a@b.example>").await;
    for number in 0..100 {
        let reply = dialogue.say(&format!("RCPT TO:<a{number}@b.example>")).await;
        assert!(reply.starts_with("250 "), "{reply}");
    }
    check(&mut dialogue, &[("RCPT TO:<one-more@b.example>", "452 4.5.3")]).await;
}

#[tokio::test]
async fn a_connection_that_had_its_messages_is_sent_away() {
    let doubles = doubles(|config| config.smtp_messages_per_connection = Some(1)).await;
    let mut dialogue = encrypted(&doubles.running.smtp).await;
    dialogue.mail("a@b.example", "one").await;
    check(&mut dialogue, &[("MAIL FROM:<a@b.example>", "421 4.7.0")]).await;
    assert_eq!(dialogue.reply().await, "");
}

//! Mailboxes that say how they want to be answered, and replies by order.

use std::time::{Duration, Instant};

use simulators::{Script, SmtpReply};

use crate::support::doubles;
use crate::support::smtp::{Dialogue, encrypted};

#[tokio::test]
async fn a_mailbox_says_how_it_wants_to_be_answered() {
    let doubles = doubles(|_| {}).await;
    let mut dialogue = encrypted(&doubles.running.smtp).await;
    dialogue.say("MAIL FROM:<a@b.example>").await;
    for (mailbox, expected) in [
        ("a@nobody.example", "550 5.1.1"),
        ("a@NOBODY.example", "550 5.1.1"),
        ("a@full.example", "452 4.2.2"),
        ("a@full.example", "452 4.2.2"),
        ("a@grey.example", "451 4.7.1"),
        ("b@grey.example", "451 4.7.1"),
        ("a@grey.example", "250 2.1.5"),
        ("a@policy.example", "550 5.7.1"),
        ("a@slow.example", "250 2.1.5"),
        ("a@drop.example", "250 2.1.5"),
        ("a@not-nobody.example", "250 2.1.5"),
    ] {
        let reply = dialogue.say(&format!("RCPT TO:<{mailbox}>")).await;
        assert!(reply.starts_with(expected), "{mailbox}: {reply}");
    }
    let counts = doubles.running.smtp.counts();
    assert_eq!(counts.by_answer["452 4.2.2"], 2);
    assert_eq!(counts.accepted, 0);
}

#[tokio::test]
async fn a_slow_mailbox_is_answered_after_two_scaled_seconds() {
    let doubles = doubles(|config| config.time_scale = 20.0).await;
    let mut dialogue = encrypted(&doubles.running.smtp).await;
    let begun = Instant::now();
    let replies = dialogue.mail("a@slow.example", "text").await;
    assert!(replies[3].starts_with("250 2.0.0"), "{replies:?}");
    assert!(begun.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn a_dropping_mailbox_keeps_the_message_and_says_nothing() {
    let doubles = doubles(|_| {}).await;
    let smtp = &doubles.running.smtp;
    let mut dialogue = encrypted(smtp).await;
    let replies = dialogue.mail("a@drop.example", "text").await;
    assert_eq!(replies[3], "");
    assert_eq!(smtp.received()[0].address.as_deref(), Some("a@drop.example"));
    assert_eq!(smtp.counts().by_answer["closed at the dot"], 1);
}

#[tokio::test]
async fn every_phase_can_be_told_what_to_reply() {
    let doubles = doubles(|_| {}).await;
    let smtp = &doubles.running.smtp;
    let order = |phase: &str, reply: Option<&str>| {
        let reply =
            SmtpReply { phase: phase.into(), reply: reply.map(str::to_owned), close: false };
        smtp.script(Script { smtp: Some(reply), ..Script::default() }).unwrap();
    };
    order("connect", Some("554 5.3.2 No"));
    assert_eq!(Dialogue::begin(smtp).await.1, "554 5.3.2 No");
    order("connect", None);
    assert_eq!(Dialogue::begin(smtp).await.1, "");
    order("starttls", Some("454 4.7.0 TLS not available"));
    let (mut clear, _) = Dialogue::begin(smtp).await;
    assert_eq!(clear.say("STARTTLS").await, "454 4.7.0 TLS not available");

    let mut dialogue = encrypted(smtp).await;
    for phase in ["mail", "rcpt", "data", "dot"] {
        order(phase, Some("451 4.3.2 Later"));
        let replies = dialogue.mail("a@b.example", "text").await;
        assert_eq!(replies.last().unwrap(), "451 4.3.2 Later", "{phase}");
        dialogue.say("RSET").await;
    }
    order("auth", Some("454 4.7.0 Later"));
    assert_eq!(dialogue.say("AUTH PLAIN").await, "454 4.7.0 Later");
    order("ehlo", Some("421 4.3.2 Closing"));
    assert_eq!(dialogue.say("EHLO client.example").await, "421 4.3.2 Closing");
    assert!(smtp.received().is_empty());

    order("dot", None);
    dialogue.say("EHLO client.example").await;
    let replies = dialogue.mail("a@b.example", "text").await;
    assert_eq!(replies.last().unwrap(), "");
    assert_eq!(smtp.received().len(), 1, "silence at the dot keeps the message");
}

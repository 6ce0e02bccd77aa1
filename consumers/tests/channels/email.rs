//! Email, against the SMTP double.

use consumers::channel::{Letter, NotStarted, Port, Words};
use consumers::email::EmailConfig;
use policy::outcome::{Answer, AttemptOutcome};
use schemas::records::{OutcomeKind, Reason};
use simulators::{Credentials, Script, SmtpReply};

use crate::dkim::SigningKeys;
use crate::rig::{Rig, kind, letter, rig};

fn mail(address: &str) -> Letter {
    Letter { installation: String::new(), words: Words::Anonymous, ..letter(address) }
}

#[tokio::test]
async fn every_scripted_mailbox_ends_in_its_class() {
    let rig = rig(|_| {}).await;
    let port = rig.email(&rig.email_config());
    for (domain, outcome, reason) in [
        ("mail.example", OutcomeKind::Accepted, Reason::Delivered),
        ("nobody.example", OutcomeKind::AddressGone, Reason::NoSuchMailbox),
        ("full.example", OutcomeKind::Unavailable, Reason::MailboxFull),
        ("grey.example", OutcomeKind::Throttled, Reason::Greylisted),
        ("grey.example", OutcomeKind::Accepted, Reason::Delivered),
        ("policy.example", OutcomeKind::Refused, Reason::MailPolicy),
        ("slow.example", OutcomeKind::Accepted, Reason::Delivered),
        ("drop.example", OutcomeKind::Indeterminate, Reason::NoAnswer),
        ("mail.example", OutcomeKind::Accepted, Reason::Delivered),
    ] {
        let answer = rig.send(&port, &mail(&format!("anna@{domain}"))).await;
        assert_eq!(kind(&answer), (outcome, reason), "{domain}");
    }
}

#[tokio::test]
async fn a_mail_carries_its_return_path_and_asks_for_reports() {
    let rig = rig(|_| {}).await;
    let port = rig.email(&rig.email_config());
    let letter = mail("anna@mail.example");
    let answer = rig.send(&port, &letter).await;
    let received = rig.doubles.smtp.received().pop().unwrap();
    assert_eq!(answer.provider_id.as_ref(), Some(&received.id));
    assert_eq!(answer.provider_id, Some(port.send_id(&letter)));
    let bounce = rig.keyring.tokens().bounce(letter.message_id);
    assert_eq!(received.envelope_from, Some(format!("b+{bounce}@bounce.staffetta.example")));
    assert_eq!(received.recipients, ["anna@mail.example"]);
    for parameter in [
        "MAIL RET=HDRS".to_owned(),
        format!("MAIL ENVID={bounce}"),
        "RCPT NOTIFY=FAILURE,DELAY".to_owned(),
        "RCPT ORCPT=rfc822;anna@mail.example".to_owned(),
    ] {
        assert!(received.parameters.contains(&parameter), "{parameter}");
    }
}

#[tokio::test]
async fn a_repeat_carries_the_same_message_id() {
    let rig = rig(|_| {}).await;
    let port = rig.email(&rig.email_config());
    for _ in 0..2 {
        rig.send(&port, &mail("anna@drop.example")).await;
    }
    let ids: Vec<_> = rig.doubles.smtp.received().into_iter().map(|mail| mail.id).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn one_connection_serves_many_mails_and_is_replaced_in_time() {
    let rig = rig(|_| {}).await;
    let config = EmailConfig { messages_per_connection: 3, ..rig.email_config() };
    let port = rig.email(&config);
    for _ in 0..7 {
        assert_eq!(send(&rig, &port).await.outcome, AttemptOutcome::Accepted);
    }
    assert_eq!(rig.doubles.smtp.counts().connections, 3);
}

#[tokio::test]
async fn a_relay_that_wants_a_new_connection_gets_one_and_the_mail_leaves() {
    let rig = rig(|config| config.smtp_messages_per_connection = Some(2)).await;
    let port = rig.email(&rig.email_config());
    for _ in 0..5 {
        assert_eq!(send(&rig, &port).await.outcome, AttemptOutcome::Accepted);
    }
    assert_eq!(rig.doubles.smtp.counts().accepted, 5);
    assert_eq!(rig.doubles.smtp.counts().connections, 3);
}

#[tokio::test]
async fn no_more_connections_are_open_than_configured() {
    let rig = rig(|_| {}).await;
    let port = rig.email(&EmailConfig { connections: 2, ..rig.email_config() });
    let letters: Vec<_> = (0..40).map(|n| mail(&format!("anna{n}@mail.example"))).collect();
    let sends = letters.iter().map(|letter| rig.send(&port, letter));
    let answers = futures::future::join_all(sends).await;
    assert!(answers.iter().all(|answer| answer.outcome == AttemptOutcome::Accepted));
    assert!(rig.doubles.smtp.counts().connections <= 2);
}

#[tokio::test]
async fn refusals_in_a_row_do_not_spoil_the_connection_of_the_next() {
    let rig = rig(|_| {}).await;
    let port = rig.email(&rig.email_config());
    for _ in 0..12 {
        let answer = rig.send(&port, &mail("anna@nobody.example")).await;
        assert_eq!(answer.reason, Reason::NoSuchMailbox);
    }
    assert_eq!(send(&rig, &port).await.outcome, AttemptOutcome::Accepted);
}

async fn send(rig: &Rig, port: &dyn Port) -> Answer {
    rig.send(port, &mail("anna@mail.example")).await
}

/// What becomes of a mail when the relay says `reply` in `phase`, or closes in silence.
async fn scripted(phase: &str, reply: Option<&str>) -> (OutcomeKind, Reason) {
    let rig = rig(|_| {}).await;
    let port = rig.email(&rig.email_config());
    let smtp = SmtpReply { phase: phase.into(), reply: reply.map(str::to_owned), close: false };
    let script = Script { smtp: Some(smtp), ..Script::default() };
    rig.doubles.smtp.script(script).unwrap();
    let found = kind(&send(&rig, &port).await);
    assert_eq!(send(&rig, &port).await.outcome, AttemptOutcome::Accepted, "{phase} {reply:?}");
    found
}

#[tokio::test]
async fn a_refusal_counts_by_the_phase_in_which_it_came() {
    for (phase, reply, outcome, reason) in [
        ("connect", "554 5.3.2 No", OutcomeKind::Unavailable, Reason::ServerUnavailable),
        ("starttls", "454 4.7.0 Later", OutcomeKind::Unavailable, Reason::ServerUnavailable),
        ("mail", "451 4.3.2 Later", OutcomeKind::Unavailable, Reason::ServerUnavailable),
        ("mail", "550 5.1.1 No", OutcomeKind::Refused, Reason::NoSuchMailbox),
        ("rcpt", "550 5.1.1 No", OutcomeKind::AddressGone, Reason::NoSuchMailbox),
        ("rcpt", "550 No", OutcomeKind::AddressGone, Reason::NoSuchMailbox),
        ("data", "550 5.1.1 No", OutcomeKind::Refused, Reason::NoSuchMailbox),
        ("dot", "554 5.7.1 Spam", OutcomeKind::Refused, Reason::MailPolicy),
        ("dot", "451 4.7.1 Later", OutcomeKind::Throttled, Reason::Greylisted),
        ("dot", "552 5.3.4 Too big", OutcomeKind::Refused, Reason::TooLarge),
    ] {
        assert_eq!(scripted(phase, Some(reply)).await, (outcome, reason), "{phase} {reply}");
    }
}

#[tokio::test]
async fn a_silent_end_counts_by_the_phase_in_which_it_came() {
    for (phase, outcome, reason) in [
        ("connect", OutcomeKind::Unavailable, Reason::Unsent),
        ("ehlo", OutcomeKind::Unavailable, Reason::Unsent),
        ("starttls", OutcomeKind::Unavailable, Reason::Unsent),
        ("mail", OutcomeKind::Unavailable, Reason::ServerUnavailable),
        ("rcpt", OutcomeKind::Unavailable, Reason::ServerUnavailable),
        ("data", OutcomeKind::Unavailable, Reason::ServerUnavailable),
        ("dot", OutcomeKind::Indeterminate, Reason::NoAnswer),
    ] {
        assert_eq!(scripted(phase, None).await, (outcome, reason), "{phase}");
    }
}

#[tokio::test]
async fn without_starttls_nothing_leaves_and_the_edge_is_misconfigured() {
    let found = {
        let rig = rig(|_| {}).await;
        let port = rig.email(&rig.email_config());
        let smtp =
            SmtpReply { phase: "ehlo".into(), reply: Some("250 localhost".into()), close: false };
        rig.doubles.smtp.script(Script { smtp: Some(smtp), ..Script::default() }).unwrap();
        let answer = send(&rig, &port).await;
        assert!(port.down_until(rig.world.now()).is_some());
        kind(&answer)
    };
    assert_eq!(found, (OutcomeKind::Misconfigured, Reason::NoEncryption));
}

#[tokio::test]
async fn a_relay_whose_certificate_we_do_not_trust_gets_nothing() {
    let (trusted, other) = (rig(|_| {}).await, rig(|_| {}).await);
    let config = EmailConfig { ca_file: other.doubles.smtp.ca.clone(), ..trusted.email_config() };
    let answer = send(&trusted, &trusted.email(&config)).await;
    assert_eq!(kind(&answer), (OutcomeKind::Unavailable, Reason::Unsent));
    assert_eq!(trusted.doubles.smtp.counts().accepted, 0);
}

#[tokio::test]
async fn a_login_that_is_right_is_let_in_and_another_is_misconfigured() {
    let login = Credentials { user: "relay".into(), password: "päss word".into() };
    let rig = rig(|config| config.smtp_credentials = Some(login)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let with = |user: &str, password: &str| {
        std::fs::write(&file, password).unwrap();
        EmailConfig { user: user.into(), password_file: file.clone(), ..rig.email_config() }
    };
    let port = rig.email(&with("relay", "päss word\n"));
    assert_eq!(send(&rig, &port).await.outcome, AttemptOutcome::Accepted);
    for config in [with("relay", "wrong"), rig.email_config()] {
        let answer = send(&rig, &rig.email(&config)).await;
        assert_eq!(kind(&answer), (OutcomeKind::Misconfigured, Reason::Credential));
    }
}

#[tokio::test]
async fn what_arrives_is_signed_over_the_unsubscribe_fields() {
    let rig = rig(|_| {}).await;
    let keys = SigningKeys::make();
    let port = rig.email(&keys.in_config(rig.email_config()));
    send(&rig, &port).await;
    let received = rig.doubles.smtp.received().pop().unwrap();
    let mail = received.payload.as_str().unwrap();
    assert_eq!(keys.verify(mail), Ok(()));
    let forged = mail.replace("/api/v1/unsubscribe/", "/api/v1/keep/");
    assert_eq!(keys.verify(&forged), Err("the body's hash"));
    let (head, body) = mail.split_once("\r\n\r\n").unwrap();
    let head = head.replace("/api/v1/unsubscribe/", "/api/v1/keep/");
    assert_eq!(keys.verify(&format!("{head}\r\n\r\n{body}")), Err("the signature"));
    let second = format!("From: thief@evil.example\r\n{mail}");
    assert_eq!(keys.verify(&second), Err("the signature"));
}

#[tokio::test]
async fn a_mail_that_could_not_start_in_time_has_not_left() {
    let rig = rig(|_| {}).await;
    let config = EmailConfig { connections: 1, ..rig.email_config() };
    let port = rig.email(&config);
    let letters: Vec<_> = (0..50).map(|n| mail(&format!("anna{n}@mail.example"))).collect();
    let start_by = rig.world.now().plus(std::time::Duration::from_millis(1));
    let sends = letters.iter().map(|letter| port.send(letter, start_by));
    let answers = futures::future::join_all(sends).await;
    let late = answers.iter().filter(|it| **it == Err(NotStarted::Late)).count();
    assert!(late > 0, "fifty mails over one connection take longer than a millisecond");
    assert_eq!(rig.doubles.smtp.counts().accepted, 50 - late as u64);
}

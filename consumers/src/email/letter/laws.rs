use std::collections::HashMap;

use schemas::content::{Content, Notice};
use schemas::ids::{MessageId, Pseudonym};
use sealing::{Keyring, SeededEntropy};
use serde_json::json;

use super::*;
use crate::email::config::DkimConfig;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn config() -> EmailConfig {
    EmailConfig {
        from: "Staffetta <avvisi@staffetta.example>".into(),
        reply_to: "aiuto@staffetta.example".into(),
        link: "https://app.staffetta.example/inbox".into(),
        unsubscribe_url: "https://app.staffetta.example/api/v1/unsubscribe/".into(),
        validation_url: "https://app.staffetta.example/mailbox/".into(),
        bounce_domain: "bounce.staffetta.example".into(),
        ..EmailConfig::default()
    }
}

fn letter(words: Words) -> Letter {
    Letter {
        message_id: MessageId::from_parts(1_700_000_000_000, 42),
        service_id: "01ARZ3NDEKTSV4RRFFQ69G5FAV".into(),
        citizen: Pseudonym([1; 16]),
        installation: String::new(),
        address: "anna.verdi@mail.example".into(),
        language: "it_IT".into(),
        words,
        deadline: Timestamp(NOW.0 + 3_600_000),
    }
}

fn message(subject: &str, markdown: &str) -> Words {
    Words::Message(Box::new(Content {
        fiscal_code: "AAAAAA00A00A000A".into(),
        created_at: "2026-11-23T08:00:00.000Z".into(),
        time_to_live: 3_600,
        feature_level_type: "STANDARD".into(),
        content: json!({"subject": subject, "markdown": markdown}),
        fallback_email: Some("anna.verdi@mail.example".into()),
        organisation: "Comune di Laricheto".into(),
        service: "Anagrafe".into(),
    }))
}

fn made(letter: &Letter) -> Result<Mail, BadAddress> {
    let keyring = Keyring::generate(&SeededEntropy::new(1), NOW);
    let stationery = Stationery::open(&config(), Keys("email")).unwrap();
    stationery.mail(letter, keyring.tokens(), NOW)
}

/// Header fields by name in lower case, unfolded, and the body.
fn read(mail: &Mail) -> (HashMap<String, String>, String) {
    let text = String::from_utf8(mail.text.clone()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut fields = HashMap::new();
    for line in head.replace("\r\n ", " ").split("\r\n") {
        let (name, value) = line.split_once(": ").unwrap();
        let again = fields.insert(name.to_ascii_lowercase(), value.to_owned());
        assert!(again.is_none(), "{name} stands twice");
    }
    (fields, body.to_owned())
}

fn field(mail: &Mail, name: &str) -> String {
    read(mail).0.get(name).cloned().unwrap_or_default()
}

#[test]
fn a_notice_has_the_fields_of_an_automatic_mail_with_one_click() {
    let letter = letter(Words::Anonymous);
    let mail = made(&letter).unwrap();
    let keyring = Keyring::generate(&SeededEntropy::new(1), NOW);
    let tokens = keyring.tokens();
    let stop = tokens.unsubscribe(letter.citizen, &letter.service_id);
    let id = tokens.message_id_header(letter.message_id, &letter.address, "staffetta.example");
    for (name, expected) in [
        ("from", "Staffetta <avvisi@staffetta.example>"),
        ("reply-to", "aiuto@staffetta.example"),
        ("to", "anna.verdi@mail.example"),
        ("subject", "Hai un nuovo messaggio"),
        ("date", "Fri, 15 Jan 2027 08:00:00 +0000"),
        ("message-id", &id),
        ("list-unsubscribe", &format!("<https://app.staffetta.example/api/v1/unsubscribe/{stop}>")),
        ("list-unsubscribe-post", "List-Unsubscribe=One-Click"),
        ("auto-submitted", "auto-generated"),
        ("content-language", "it"),
        ("mime-version", "1.0"),
    ] {
        assert_eq!(field(&mail, name), expected, "{name}");
    }
    assert!(field(&mail, "content-type").starts_with("multipart/alternative; boundary="));
}

#[test]
fn the_envelope_maps_a_bounce_back_to_its_message() {
    let letter = letter(Words::Anonymous);
    let envelope = made(&letter).unwrap().envelope;
    let keyring = Keyring::generate(&SeededEntropy::new(1), NOW);
    let (local, domain) = envelope.from.split_once('@').unwrap();
    assert_eq!(domain, "bounce.staffetta.example");
    let token = local.strip_prefix("b+").unwrap();
    assert_eq!(keyring.tokens().open_bounce(token), Ok(letter.message_id));
    assert_eq!(envelope.id, token);
    assert_eq!(envelope.to, letter.address);
    assert!(local.len() <= 64);
}

#[test]
fn a_notice_never_says_what_the_message_is_about_even_if_it_may() {
    let notice = Notice {
        organisation: "Comune di Laricheto".into(),
        service: "Anagrafe".into(),
        subject: "La tua carta".into(),
    };
    let text = String::from_utf8(made(&letter(Words::Full(notice))).unwrap().text).unwrap();
    for word in ["Laricheto", "Anagrafe", "carta"] {
        assert!(!text.contains(word), "{word}");
    }
}

fn asked(address: &str, language: &str) -> Result<Mail, BadAddress> {
    let keyring = Keyring::generate(&SeededEntropy::new(1), NOW);
    let stationery = Stationery::open(&config(), Keys("email")).unwrap();
    let letter = ValidationLetter {
        id: MessageId::from_parts(1_700_000_000_000, 43),
        address: address.into(),
        language: language.into(),
        token: "a-token".into(),
    };
    stationery.validation(&letter, keyring.tokens(), NOW)
}

#[test]
fn a_validation_is_a_link_to_one_mailbox_in_its_owners_language() {
    let (fields, body) = read(&asked("anna.verdi@mail.example", "de_DE").unwrap());
    assert_eq!(fields["to"], "anna.verdi@mail.example");
    assert_eq!(fields["content-language"], "de");
    assert_eq!(fields["auto-submitted"], "auto-generated");
    assert!(!fields.contains_key("list-unsubscribe"), "nobody is on a list");
    assert!(body.contains("https://app.staffetta.example/mailbox/a-token"));
    assert!(!body.contains("anna.verdi"), "who reads it need not be who wrote it down");
    let attack = "x\r\nBcc: thief@evil.example\r\n\r\nbody";
    let fields = read(&asked("anna.verdi@mail.example", attack).unwrap()).0;
    assert!(!fields.contains_key("bcc"));
    assert!(asked(&format!("a@b.example{attack}"), "it_IT").is_err());
}

#[test]
fn a_fallback_mail_is_the_message() {
    let mail = made(&letter(message("La tua carta", "Puoi ritirarla da domani."))).unwrap();
    let (fields, body) = read(&mail);
    assert_eq!(fields["subject"], "La tua carta");
    for part in ["Puoi ritirarla da domani.", "Comune di Laricheto", "Anagrafe"] {
        assert_eq!(body.matches(part).count(), 2, "{part}: once in text, once in HTML");
    }
    assert!(!body.contains("AAAAAA00A00A000A"));
}

#[test]
fn a_repeat_carries_the_same_message_id_and_another_address_another() {
    let (first, mut other) = (letter(Words::Anonymous), letter(Words::Anonymous));
    other.address = "anna.verdi@other.example".into();
    let id = |letter: &Letter| field(&made(letter).unwrap(), "message-id");
    assert_eq!(id(&first), id(&first));
    assert_ne!(id(&first), id(&other));
}

#[test]
fn no_value_reaches_the_header_as_a_line_of_its_own() {
    let attack = "x\r\nBcc: thief@evil.example\r\n\r\nbody";
    let plain = read(&made(&letter(message("Oggetto di prova", "testo"))).unwrap()).0;
    let mut names: Vec<_> = plain.keys().cloned().collect();
    names.sort();
    let check = |letter: &Letter| {
        let Ok(mail) = made(letter) else { return };
        let mut found: Vec<_> = read(&mail).0.into_keys().collect();
        found.sort();
        assert_eq!(found, names);
    };
    check(&letter(message(attack, attack)));
    let mut poisoned = letter(message("Oggetto di prova", attack));
    if let Words::Message(content) = &mut poisoned.words {
        content.organisation = attack.into();
        content.service = attack.into();
    }
    check(&poisoned);
    for change in [
        |letter: &mut Letter, attack: &str| letter.language = attack.into(),
        |letter: &mut Letter, attack: &str| letter.service_id = attack.into(),
        |letter: &mut Letter, attack: &str| letter.address = attack.into(),
        |letter: &mut Letter, attack: &str| letter.address = format!("a@b.example{attack}"),
        |letter: &mut Letter, attack: &str| letter.address = format!("{attack}@b.example"),
    ] {
        let mut poisoned = letter(message("Oggetto di prova", "testo"));
        change(&mut poisoned, attack);
        check(&poisoned);
    }
}

#[test]
fn what_is_no_mailbox_is_not_written_to() {
    for bad in [
        "",
        "a",
        "@b.example",
        "a@",
        "a b@c.example",
        "a@b.example\r\nDATA",
        "a>@b.example",
        "ä@b.example",
        "a@b.example SIZE=1",
    ] {
        assert_eq!(address(bad).err(), Some(BadAddress), "{bad:?}");
    }
}

#[test]
fn only_the_domain_is_written_in_its_ascii_form() {
    assert_eq!(
        address("Anna.V+x@Bücher.example").unwrap().to_string(),
        "Anna.V+x@xn--bcher-kva.example"
    );
}

#[test]
fn every_line_is_ascii_ends_in_cr_lf_and_is_short_enough() {
    let long = "Città è più ".repeat(800);
    let subject = "📬 ".repeat(40);
    let text = made(&letter(message(&subject, &long))).unwrap().text;
    assert!(text.is_ascii());
    for line in text.split(|byte| *byte == b'\n') {
        assert!(line.is_empty() || line.ends_with(b"\r"));
        assert!(line.len() <= 999, "{}", line.len());
    }
}

#[test]
fn a_wrong_setting_is_named() {
    type Change = fn(&mut EmailConfig);
    let changes: [(Change, &str); 9] = [
        (|c| c.from = "nobody".into(), "email.from"),
        (|c| c.reply_to = "@".into(), "email.reply_to"),
        (|c| c.link = "http://app.example".into(), "email.link"),
        (|c| c.unsubscribe_url = "https://a.example/x y".into(), "email.unsubscribe_url"),
        (|c| c.validation_url = "http://a.example".into(), "email.validation_url"),
        (|c| c.validation_life_hours = 1, "email.validation_life_hours"),
        (|c| c.bounce_domain = "a b".into(), "email.bounce_domain"),
        (
            |c| c.dkim = DkimConfig { domain: "a.example".into(), ..DkimConfig::default() },
            "email.dkim.selector",
        ),
        (
            |c| {
                let (domain, selector) = ("a.example".into(), "s".into());
                c.dkim_second = DkimConfig { domain, selector, key_file: "/nowhere".into() };
            },
            "email.dkim_second.key_file",
        ),
    ];
    for (change, key) in changes {
        let mut config = config();
        change(&mut config);
        let fault = Stationery::open(&config, Keys("email")).err().unwrap();
        assert_eq!(fault.key, key);
    }
}

//! Secrets and persons in no text: no `Debug`, no `Display`, no error.

use std::fmt::Debug;

use sealing::{FiscalCode, KeyId, KeyUse, MessageKey, Pepper, SealError, TokenError};

use crate::{NOW, Town, id};

#[test]
fn no_secret_type_prints_what_it_holds() {
    let Town { entropy, keyring, transit, citizen, message } = Town::new(1);
    fn check(secret: &dyn Debug) {
        let printed = format!("{secret:?} {secret:#?}");
        let rest = printed.replace("[redacted]", "");
        let shown = rest.chars().filter(char::is_ascii_digit).count();
        assert!(printed.contains("[redacted]") && shown == 0, "{printed}");
        assert!(rest.len() < 60, "a name and no more: {printed}");
    }
    let pepper: &Pepper = keyring.pepper();
    let code: FiscalCode = "AAAAAA00A00A000A".parse().expect("a sample code");
    check(&keyring);
    check(pepper);
    check(keyring.masters());
    check(keyring.tokens());
    check(keyring.hashes());
    check(&keyring.hashes().api_key("an api key"));
    check(&transit);
    check(&citizen);
    check(&message);
    check(&MessageKey::draw(&entropy));
    check(&code);
    assert_eq!(code.to_string(), "[redacted]");
}

#[test]
fn a_refused_code_is_not_repeated() {
    let text = "aaaaaa00a00a000a";
    let error = text.parse::<FiscalCode>().expect_err("lower case");
    let said = format!("{error} {error:?}").to_lowercase();
    assert!(!said.contains(text), "{said}");
}

#[test]
fn each_trouble_has_one_owner() {
    let key = KeyId([1; 8]);
    for (error, ours) in [
        (SealError::TooShort, false),
        (SealError::Tampered, false),
        (SealError::TooLarge { limit: 1 }, false),
        (SealError::BadForm, false),
        (SealError::DestroyedKey(key), false),
        (SealError::UnknownKey(key), true),
        (SealError::NoCurrentKey(KeyUse::Wire), true),
        (SealError::Unavailable, true),
    ] {
        assert_eq!(error.is_ours(), ours, "{error}");
    }
}

#[test]
fn sealed_bytes_hold_no_word_of_what_they_seal() {
    let Town { entropy, keyring, transit, citizen, .. } = Town::new(2);
    let canary = "AAAAAA00A00A000A";
    let key = MessageKey::draw(&entropy);
    let part = sealing::Part::Content;
    let long = canary.repeat(10);
    let field = sealing::Field::EmailAddress;
    let letter = transit.seal_envelope(&entropy, KeyUse::DeadLetter, NOW, b"at", canary.as_bytes());
    let (who, when) = (citizen.citizen(), citizen.generation());
    let holds = |bytes: &[u8]| bytes.windows(canary.len()).any(|at| at == canary.as_bytes());
    for bytes in [
        key.seal(&entropy, part, id(1), canary.as_bytes()).expect("sealed"),
        key.seal(&entropy, part, id(1), long.as_bytes()).expect("sealed"),
        citizen.seal_field(&entropy, field, canary).expect("sealed"),
        letter.expect("sealed").sealed.0,
        keyring.tokens().mailbox(who, when, canary, NOW).into_bytes(),
    ] {
        assert!(!holds(&bytes));
    }
    assert!(holds(long.as_bytes()), "the search finds a canary in clear");
}

#[test]
fn a_forged_token_is_not_repeated() {
    let Town { keyring, .. } = Town::new(3);
    let token = "somebody.s.text";
    let error = keyring.tokens().open_unsubscribe(token).expect_err("forged");
    assert_eq!(error, TokenError::Forged);
    assert!(!error.to_string().contains(token));
}

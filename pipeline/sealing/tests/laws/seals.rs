//! What is sealed comes back, whole and only once.

use std::borrow::Cow;

use proptest::prelude::*;
use sealing::{Field, KeyUse, MessageKey, Part, SealError};

use crate::{NOW, Town, id};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_sealed_opens_as_it_was(
        noise in proptest::collection::vec(any::<u8>(), 0..3000),
        repeats in 1..20_usize,
        n in any::<u64>(),
    ) {
        let town = Town::new(n);
        let (key, plain) = (&town.message, noise.repeat(repeats));
        let sealed = key.seal(&town.entropy, Part::Content, id(n.into()), &plain).expect("sealed");
        prop_assert!(sealed.len() <= plain.len() + 29);
        let opened = key.open(Part::Content, id(n.into()), &sealed).expect("opened");
        prop_assert_eq!(&opened, &plain);
        let mut bytes = sealed;
        let opened = key.open_in_place(Part::Content, id(n.into()), &mut bytes).expect("opened");
        prop_assert_eq!(&*opened, &plain[..]);
    }

    #[test]
    fn a_message_travels_from_key_to_key_and_opens_at_the_end(n in any::<u64>(), text in ".{0,200}") {
        let Town { entropy, keyring, transit, citizen, message } = Town::new(n);
        let id = id(n.into());
        let sealed = message.seal(&entropy, Part::Content, id, text.as_bytes()).expect("sealed");
        let wire = transit.wrap(&entropy, KeyUse::Wire, NOW, id, &message).expect("wrapped");
        let stored = citizen.keep(&entropy, id, &transit.unwrap(id, &wire).expect("on the wire"));
        let wrapped = keyring.masters().wrap_citizen(&entropy, &citizen).expect("wrapped");
        let (who, when) = (citizen.citizen(), citizen.generation());
        let citizen = keyring.masters().unwrap_citizen(who, when, &wrapped).expect("unwrapped");
        let key = citizen.recall(id, &stored.expect("kept")).expect("recalled");
        prop_assert_eq!(key.open(Part::Content, id, &sealed).expect("opened"), text.as_bytes());
    }

    #[test]
    fn random_bytes_never_open_and_never_crash(
        bytes in proptest::collection::vec(any::<u8>(), 0..200)
    ) {
        let Town { keyring, transit, citizen, message, .. } = Town::new(1);
        prop_assert!(message.open(Part::Content, id(1), &bytes).is_err());
        prop_assert!(transit.unwrap(id(1), &bytes).is_err());
        prop_assert!(transit.open_envelope(&bytes, &bytes, &bytes).is_err());
        prop_assert!(citizen.recall(id(1), &bytes).is_err());
        prop_assert!(citizen.open_field(Field::EmailAddress, &bytes).is_err());
        let (who, when) = (citizen.citizen(), citizen.generation());
        prop_assert!(keyring.masters().unwrap_citizen(who, when, &bytes).is_err());
        let text = String::from_utf8_lossy(&bytes);
        prop_assert!(keyring.tokens().open_unsubscribe(&text).is_err());
        prop_assert!(keyring.tokens().open_bounce(&text).is_err());
    }
}

#[test]
fn the_same_words_are_never_sealed_alike() {
    let Town { entropy, transit, citizen, message, .. } = Town::new(2);
    let seal = || message.seal(&entropy, Part::Notice, id(1), b"words").expect("sealed");
    assert_ne!(seal(), seal());
    let wrap = || transit.wrap(&entropy, KeyUse::Wire, NOW, id(1), &message).expect("wrapped");
    assert_ne!(wrap(), wrap());
    let keep = || citizen.keep(&entropy, id(1), &message).expect("kept");
    assert_ne!(keep(), keep());
}

#[test]
fn words_that_repeat_are_sealed_shorter_than_they_are() {
    let Town { entropy, message, .. } = Town::new(3);
    let plain = b"Gentile cittadino, ".repeat(50);
    let sealed = message.seal(&entropy, Part::Content, id(1), &plain).expect("sealed");
    assert!(sealed.len() < plain.len() / 5);
}

#[test]
fn a_short_plaintext_opens_without_a_copy() {
    let Town { entropy, message, .. } = Town::new(4);
    let mut short = message.seal(&entropy, Part::Notice, id(1), b"words").expect("sealed");
    let opened = message.open_in_place(Part::Notice, id(1), &mut short);
    assert!(matches!(opened, Ok(Cow::Borrowed(b"words"))));
}

#[test]
fn each_part_has_its_limit() {
    let Town { entropy, message, .. } = Town::new(5);
    for (part, limit) in [(Part::Content, 1 << 20), (Part::Notice, 64 << 10)] {
        let seal = |len| message.seal(&entropy, part, id(1), &vec![b'a'; len]);
        let full = seal(limit).expect("at the limit");
        assert_eq!(message.open(part, id(1), &full).map(|plain| plain.len()), Ok(limit));
        assert_eq!(seal(limit + 1), Err(SealError::TooLarge { limit }));
    }
}

#[test]
fn every_thread_seals_for_every_other() {
    let town = Town::new(6);
    let plain = b"words that repeat, ".repeat(20);
    let seal = || {
        let key = MessageKey::draw(&town.entropy);
        let sealed = key.seal(&town.entropy, Part::Content, id(1), &plain).expect("sealed");
        (key, sealed)
    };
    let made = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(seal)).collect();
        threads.into_iter().map(|thread| thread.join().expect("joined")).collect::<Vec<_>>()
    });
    for (key, sealed) in made {
        assert_eq!(key.open(Part::Content, id(1), &sealed).as_deref(), Ok(&plain[..]));
    }
}

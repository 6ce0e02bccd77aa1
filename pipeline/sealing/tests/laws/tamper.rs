//! Any flipped bit of any sealed or wrapped form fails, and so does every other id and purpose.

use schemas::ids::{Generation, Pseudonym, ServiceId};
use schemas::records::{Sealed, TransitKeyRecord};
use sealing::{Field, KeyUse, Part, SealError, TransitKeys};

use crate::{NOW, SCHEDULES, Town, id};

/// `open` takes the untouched bytes, and none with a bit flipped, cut short or grown.
fn check(what: &str, bytes: &[u8], opens: impl Fn(&[u8]) -> bool) {
    assert!(opens(bytes), "{what}: the untouched bytes open");
    let mut changed = bytes.to_vec();
    for bit in 0..bytes.len() * 8 {
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(!opens(&changed), "{what}: bit {bit} is not covered");
        changed[bit / 8] ^= 1 << (bit % 8);
    }
    for len in 0..bytes.len() {
        assert!(!opens(&bytes[..len]), "{what}: opens when cut to {len} bytes");
    }
    changed.push(0);
    assert!(!opens(&changed), "{what}: opens with a byte more");
}

#[test]
fn no_flipped_bit_of_a_sealed_message_opens() {
    let town = Town::new(1);
    let long = b"words that repeat, ".repeat(20);
    for part in [Part::Content, Part::Notice] {
        for plain in [&b""[..], b"short", &long] {
            let sealed = town.message.seal(&town.entropy, part, id(1), plain).expect("sealed");
            check("message", &sealed, |bytes| town.message.open(part, id(1), bytes).is_ok());
            check("message in place", &sealed, |bytes| {
                town.message.open_in_place(part, id(1), &mut bytes.to_vec()).is_ok()
            });
        }
    }
}

#[test]
fn no_flipped_bit_of_a_wrapped_key_opens() {
    let Town { entropy, keyring, transit, citizen, message } = Town::new(2);
    let wire = transit.wrap(&entropy, KeyUse::Wire, NOW, id(1), &message).expect("wrapped");
    check("wire", &wire, |bytes| transit.unwrap(id(1), bytes).is_ok());
    let kept = citizen.keep(&entropy, id(1), &message).expect("kept");
    check("kept", &kept, |bytes| citizen.recall(id(1), bytes).is_ok());
    let masters = keyring.masters();
    let wrapped = masters.wrap_citizen(&entropy, &citizen).expect("wrapped");
    let (who, when) = (citizen.citizen(), citizen.generation());
    check("citizen", &wrapped, |bytes| masters.unwrap_citizen(who, when, bytes).is_ok());
}

#[test]
fn no_flipped_bit_of_a_field_or_an_envelope_opens() {
    let Town { entropy, transit, citizen, .. } = Town::new(3);
    for field in [Field::EmailAddress, Field::DeviceToken { installation: "phone-1" }] {
        let sealed = citizen.seal_field(&entropy, field, "a value").expect("sealed");
        check("field", &sealed, |bytes| citizen.open_field(field, bytes).is_ok());
    }
    let made = transit.seal_envelope(&entropy, KeyUse::DeadLetter, NOW, b"at/0/1", b"letter");
    let made = made.expect("sealed");
    let (key, sealed) = (&made.wrapped_key.0, &made.sealed.0);
    check("envelope", sealed, |bytes| transit.open_envelope(b"at/0/1", key, bytes).is_ok());
    check("envelope key", key, |bytes| transit.open_envelope(b"at/0/1", bytes, sealed).is_ok());
    let elsewhere = transit.open_envelope(b"at/0/2", key, sealed);
    assert_eq!(elsewhere, Err(SealError::Tampered));
}

#[test]
fn no_changed_field_of_a_transit_key_record_is_taken() {
    let Town { entropy, keyring, .. } = Town::new(4);
    let masters = keyring.masters();
    let due = TransitKeys::default().due_records(&entropy, masters, NOW, &SCHEDULES);
    let record = &due.expect("due")[0];
    let takes = |record: &TransitKeyRecord| TransitKeys::default().apply(masters, record).is_ok();
    // An emptied `wrapped` is the mark of destruction, hence not "cut short" but another record.
    check("transit", &record.wrapped.0, |bytes| {
        let changed = TransitKeyRecord { wrapped: Sealed(bytes.to_vec()), ..record.clone() };
        !bytes.is_empty() && takes(&changed)
    });
    let mut later = record.clone();
    later.destroy_after.0 += 1;
    let mut earlier = record.clone();
    earlier.valid_from.0 -= 1;
    let mut other = record.clone();
    other.key_id.replace_range(15.., if record.key_id.ends_with('0') { "1" } else { "0" });
    for changed in [later, earlier, other] {
        assert!(!takes(&changed), "{changed:?}");
    }
}

#[test]
fn nothing_opens_as_another_part_for_another_message_or_under_another_key() {
    let Town { entropy, transit, citizen, message, .. } = Town::new(5);
    let sealed = message.seal(&entropy, Part::Notice, id(1), b"words").expect("sealed");
    let stranger = Town::new(6);
    for opened in [
        message.open(Part::Content, id(1), &sealed),
        message.open(Part::Notice, id(2), &sealed),
        stranger.message.open(Part::Notice, id(1), &sealed),
    ] {
        assert_eq!(opened, Err(SealError::Tampered));
    }
    let wire = transit.wrap(&entropy, KeyUse::Wire, NOW, id(1), &message).expect("wrapped");
    assert_eq!(transit.unwrap(id(2), &wire).err(), Some(SealError::Tampered));
    let kept = citizen.keep(&entropy, id(1), &message).expect("kept");
    assert_eq!(citizen.recall(id(2), &kept).err(), Some(SealError::Tampered));
    assert_eq!(stranger.citizen.recall(id(1), &kept).err(), Some(SealError::Tampered));
    assert_eq!(citizen.recall(id(1), &wire[8..]).err(), Some(SealError::Tampered));
}

#[test]
fn a_citizens_key_opens_for_no_other_citizen_and_no_other_generation() {
    let Town { entropy, keyring, citizen, .. } = Town::new(7);
    let masters = keyring.masters();
    let wrapped = masters.wrap_citizen(&entropy, &citizen).expect("wrapped");
    let (who, when) = (citizen.citizen(), citizen.generation());
    for (who, when) in [
        (Pseudonym([0; 16]), when),
        (who, Generation([0; 16])),
        (Pseudonym(when.0), Generation(who.0)),
    ] {
        let opened = masters.unwrap_citizen(who, when, &wrapped);
        assert_eq!(opened.err(), Some(SealError::Tampered));
    }
}

#[test]
fn one_devices_token_opens_neither_as_anothers_nor_as_an_address() {
    let Town { entropy, citizen, .. } = Town::new(8);
    let device = |installation| Field::DeviceToken { installation };
    let sealed = citizen.seal_field(&entropy, device("phone-1"), "token").expect("sealed");
    for field in [device("phone-2"), device(""), Field::EmailAddress] {
        assert_eq!(citizen.open_field(field, &sealed), Err(SealError::Tampered));
    }
}

#[test]
fn no_changed_character_of_a_token_opens() {
    let Town { keyring, citizen, .. } = Town::new(9);
    let tokens = keyring.tokens();
    let (who, when) = (citizen.citizen(), citizen.generation());
    let unsubscribe = tokens.unsubscribe(who, &ServiceId::from("A SERVICE"));
    let mailbox = tokens.mailbox(who, when, "a@b.example", NOW);
    let bounce = tokens.bounce(id(1));
    check_text(&unsubscribe, |text| tokens.open_unsubscribe(text).is_ok());
    check_text(&mailbox, |text| tokens.open_mailbox(text, NOW).is_ok());
    check_text(&bounce, |text| tokens.open_bounce(text).is_ok());
    assert!(tokens.open_mailbox(&unsubscribe, NOW).is_err());
    assert!(tokens.open_unsubscribe(&mailbox).is_err());
    let stranger = Town::new(10);
    assert!(stranger.keyring.tokens().open_unsubscribe(&unsubscribe).is_err());
    assert!(stranger.keyring.tokens().open_bounce(&bounce).is_err());
}

fn check_text(text: &str, opens: impl Fn(&str) -> bool) {
    assert!(opens(text));
    for at in 0..text.len() {
        // Upper case alone is no change to a bounce token, so every other character is one of these.
        for other in ["0", "1", "z", "_", "=", "é"] {
            if &text[at..=at] != other {
                let mut changed = text.to_owned();
                changed.replace_range(at..=at, other);
                assert!(!opens(&changed), "{text} opens as {changed}");
            }
        }
        assert!(!opens(&text[..at]));
    }
    assert!(!opens(&format!("{text}A")));
    assert!(!opens(&"A".repeat(100_000)));
}

#[test]
fn a_wrapped_key_cut_short_is_told_from_one_that_was_changed() {
    let Town { entropy, keyring, transit, citizen, message } = Town::new(11);
    let masters = keyring.masters();
    let wire = transit.wrap(&entropy, KeyUse::Wire, NOW, id(1), &message).expect("wrapped");
    let kept = citizen.keep(&entropy, id(1), &message).expect("kept");
    let wrapped = masters.wrap_citizen(&entropy, &citizen).expect("wrapped");
    let (who, when) = (citizen.citizen(), citizen.generation());
    for shorter in [0, 7, 8, 27, 59] {
        assert_eq!(transit.unwrap(id(1), &wire[..shorter]).err(), Some(SealError::TooShort));
        assert_eq!(citizen.recall(id(1), &kept[..shorter]).err(), Some(SealError::TooShort));
        let opened = masters.unwrap_citizen(who, when, &wrapped[..shorter]);
        assert_eq!(opened.err(), Some(SealError::TooShort));
    }
    assert_eq!(citizen.recall(id(1), &[0; 60]).err(), Some(SealError::Tampered));
}

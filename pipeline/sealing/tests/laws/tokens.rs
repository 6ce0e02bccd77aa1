//! Ids and links that leave the system.

use schemas::ids::{ServiceId, Timestamp};
use sealing::{Keyring, TokenError};

use crate::{NOW, Town, id};

fn is_opaque(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[test]
fn ids_are_one_a_message_and_device_and_the_same_at_each_attempt() {
    let Town { keyring, .. } = Town::new(1);
    let tokens = keyring.tokens();
    assert_eq!(tokens.collapse_id(id(1)), tokens.collapse_id(id(1)));
    assert_ne!(tokens.collapse_id(id(1)), tokens.collapse_id(id(2)));
    assert_eq!(tokens.apns_id(id(1), "phone-1"), tokens.apns_id(id(1), "phone-1"));
    assert_ne!(tokens.apns_id(id(1), "phone-1"), tokens.apns_id(id(1), "phone-2"));
    assert_ne!(tokens.apns_id(id(1), "phone-1"), tokens.apns_id(id(2), "phone-1"));
    let header = |address| tokens.message_id_header(id(1), address, "mail.example");
    assert_eq!(header("a@b.example"), header("a@b.example"));
    assert_ne!(header("a@b.example"), header("c@b.example"));
}

#[test]
fn ids_have_the_shape_that_providers_ask_for() {
    let Town { keyring, .. } = Town::new(2);
    let tokens = keyring.tokens();
    for n in 0..200 {
        let collapse = tokens.collapse_id(id(n));
        assert!(collapse.len() == 22 && is_opaque(&collapse), "{collapse}");
        let uuid = tokens.apns_id(id(n), "phone-1");
        let groups: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12], "{uuid}");
        assert!(uuid.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-')), "{uuid}");
        assert_eq!(uuid.as_bytes()[14], b'8');
        assert!(b"89ab".contains(&uuid.as_bytes()[19]));
        let bounce = tokens.bounce(id(n));
        let plain = |b: u8| b.is_ascii_digit() || b.is_ascii_lowercase();
        assert!(bounce.len() == 46 && bounce.bytes().all(plain), "{bounce}");
    }
}

#[test]
fn a_bounce_maps_back_whatever_case_it_comes_in() {
    let Town { keyring, .. } = Town::new(3);
    let token = keyring.tokens().bounce(id(7));
    assert_eq!(keyring.tokens().open_bounce(&token), Ok(id(7)));
    assert_eq!(keyring.tokens().open_bounce(&token.to_uppercase()), Ok(id(7)));
}

#[test]
fn an_unsubscribe_link_names_citizen_and_service_and_shows_neither() {
    let Town { keyring, citizen, .. } = Town::new(4);
    let tokens = keyring.tokens();
    for service in ["", "01J8ZKV6T0000000000000SVC1", "servizio à la carte"] {
        let service = ServiceId::from(service);
        let token = tokens.unsubscribe(citizen.citizen(), &service);
        assert!(is_opaque(&token), "{token}");
        assert_eq!(token, tokens.unsubscribe(citizen.citizen(), &service));
        assert_eq!(tokens.open_unsubscribe(&token), Ok((citizen.citizen(), service)));
    }
}

#[test]
fn a_mailbox_link_proves_one_address_until_it_expires() {
    let Town { keyring, citizen, .. } = Town::new(5);
    let (who, when) = (citizen.citizen(), citizen.generation());
    let tokens = keyring.tokens();
    let token = tokens.mailbox(who, when, "a@b.example", NOW);
    assert!(is_opaque(&token), "{token}");
    let claim = tokens.open_mailbox(&token, NOW).expect("on its last millisecond");
    assert_eq!((claim.citizen, claim.generation), (who, when));
    assert!(tokens.is_for(&claim, "a@b.example"));
    assert!(!tokens.is_for(&claim, "A@b.example"));
    let late = tokens.open_mailbox(&token, Timestamp(NOW.0 + 1));
    assert_eq!(late.err(), Some(TokenError::Expired));
}

#[test]
fn two_installations_make_different_ids() {
    let (one, two) = (Town::new(6), Town::new(7));
    let all = |keyring: &Keyring| {
        let tokens = keyring.tokens();
        [
            tokens.collapse_id(id(1)),
            tokens.apns_id(id(1), "phone-1"),
            tokens.message_id_header(id(1), "a@b.example", "mail.example"),
            tokens.bounce(id(1)),
            tokens.unsubscribe(one.citizen.citizen(), &ServiceId::from("SVC")),
            keyring.hashes().api_key("key").to_string(),
        ]
    };
    for (one, two) in all(&one.keyring).iter().zip(&all(&two.keyring)) {
        assert_ne!(one, two);
    }
}

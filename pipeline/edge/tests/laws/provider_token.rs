//! The provider token: its form, its life, and the rules about renewing it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use edge::Clock;
use edge::token::{Credential, ProviderToken, ProviderTokenConfig, ProviderTokens, TokenError};
use http::HeaderValue;
use rcgen::KeyPair;

const MINUTE_MS: i64 = 60_000;
const START_MS: i64 = 1_700_000_000_500;

pub struct Hand(Arc<AtomicI64>);

impl Hand {
    pub fn new(at_ms: i64) -> (Self, Clock) {
        let now = Arc::new(AtomicI64::new(at_ms));
        let clock = now.clone();
        (Self(now), Arc::new(move || clock.load(Ordering::SeqCst)))
    }

    pub fn advance(&self, by_ms: i64) {
        self.0.fetch_add(by_ms, Ordering::SeqCst);
    }
}

fn config(key: &KeyPair) -> ProviderTokenConfig {
    ProviderTokenConfig {
        team_id: "TEAM567890".into(),
        key_id: "KEY4567890".into(),
        key_pem: key.serialize_pem().into_bytes(),
    }
}

fn signer(random: f64) -> (ProviderToken, Hand, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let (hand, clock) = Hand::new(START_MS);
    let token = ProviderToken::new(config(&key), clock, Arc::new(move || random)).unwrap();
    (token, hand, key)
}

fn parts(header: &HeaderValue) -> Vec<String> {
    let token = header.to_str().unwrap().strip_prefix("bearer ").expect("scheme in lower case");
    token.split('.').map(str::to_owned).collect()
}

fn json(part: &str) -> serde_json::Value {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[test]
fn the_token_says_algorithm_key_team_and_second_and_nothing_else() {
    let (token, _, _) = signer(0.0);
    let parts = parts(&token.header().unwrap());
    assert_eq!(parts.len(), 3);
    assert_eq!(json(&parts[0]), serde_json::json!({"alg": "ES256", "kid": "KEY4567890"}));
    assert_eq!(json(&parts[1]), serde_json::json!({"iss": "TEAM567890", "iat": 1_700_000_000}));
}

#[test]
fn the_signature_is_r_and_s_and_verifies_with_the_public_key() {
    let (token, _, key) = signer(0.0);
    let parts = parts(&token.header().unwrap());
    let signature = BASE64_URL_SAFE_NO_PAD.decode(&parts[2]).unwrap();
    assert_eq!(signature.len(), 64);
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_key_raw());
    let signed = format!("{}.{}", parts[0], parts[1]);
    public.verify(signed.as_bytes(), &signature).unwrap();
    assert!(public.verify(format!("{signed}x").as_bytes(), &signature).is_err());
}

#[test]
fn the_header_is_built_once_marked_sensitive_and_never_printed() {
    let (token, hand, key) = signer(0.0);
    let first = token.header().unwrap();
    hand.advance(44 * MINUTE_MS);
    assert_eq!(token.header().unwrap(), first);
    assert!(first.is_sensitive());
    let shown = format!("{token:?} {first:?} {:?}", config(&key));
    assert!(!shown.contains(&parts(&first)[2]) && !shown.contains("PRIVATE KEY"), "{shown}");
}

#[test]
fn it_is_replaced_between_45_and_50_minutes() {
    for (random, minutes) in [(0.0, 45), (0.5, 47), (0.999_999, 49)] {
        let (token, hand, _) = signer(random);
        let first = token.header().unwrap();
        hand.advance(minutes * MINUTE_MS - 1);
        assert_eq!(token.header().unwrap(), first, "not before {minutes} min");
        hand.advance(MINUTE_MS);
        assert_ne!(token.header().unwrap(), first, "before {} min", minutes + 1);
        assert_eq!(token.age_ms(), 0);
    }
}

#[tokio::test]
async fn a_refused_token_is_renewed_only_when_it_is_older_than_the_rule_allows() {
    let (token, hand, _) = signer(0.0);
    let first = token.header().unwrap();
    hand.advance(20 * MINUTE_MS);
    assert!(!token.renew(&first).await);
    assert_eq!(token.header().unwrap(), first);
    hand.advance(MINUTE_MS);
    assert!(token.renew(&first).await);
    assert_ne!(token.header().unwrap(), first);
}

#[tokio::test]
async fn many_refusals_of_one_token_renew_it_once() {
    let (token, hand, _) = signer(0.0);
    let first = token.header().unwrap();
    hand.advance(30 * MINUTE_MS);
    assert!(token.renew(&first).await);
    let second = token.header().unwrap();
    for _ in 0..100 {
        assert!(token.renew(&first).await);
    }
    assert_eq!(token.header().unwrap(), second);
}

#[test]
fn a_clock_set_back_does_not_leave_a_token_from_the_future() {
    let (token, hand, _) = signer(0.0);
    hand.advance(-10 * MINUTE_MS);
    token.header().unwrap();
    assert_eq!(token.age_ms(), 0);
}

#[test]
fn one_signer_serves_all_edges_of_a_team_and_key() {
    let (_hand, clock) = Hand::new(START_MS);
    let signers = ProviderTokens::new(clock, Arc::new(|| 0.0));
    let key = KeyPair::generate().unwrap();
    let one = signers.signer(config(&key)).unwrap();
    let same = signers.signer(config(&key)).unwrap();
    let other = signers.signer(ProviderTokenConfig { key_id: "KEY0000000".into(), ..config(&key) });
    assert!(Arc::ptr_eq(&one, &same));
    assert!(!Arc::ptr_eq(&one, &other.unwrap()));
}

#[test]
fn a_wrong_key_file_says_what_is_wrong_with_it() {
    let (_hand, clock) = Hand::new(START_MS);
    let check = |pem: &[u8], expected| {
        let config = ProviderTokenConfig {
            team_id: "TEAM567890".into(),
            key_id: "KEY4567890".into(),
            key_pem: pem.to_vec(),
        };
        let made = ProviderToken::new(config, clock.clone(), Arc::new(|| 0.0));
        assert_eq!(made.err(), Some(expected));
    };
    check(b"", TokenError::NotPkcs8Pem);
    let rsa = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap().serialize_pem();
    check(rsa.as_bytes(), TokenError::NotP256);
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap().serialize_pem();
    check(p384.as_bytes(), TokenError::NotP256);
}

//! What an app sends, read as the doors read it, for crate `fuzz`.

use std::sync::OnceLock;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderValue};
use runtime::world::World;
use schemas::codec::{Codec, Record};
use schemas::ids::{Generation, Pseudonym, ServiceId, Timestamp};
use serde::de::DeserializeOwned;

use super::config::{KeySource, LoginConfig};
use super::login::Login;
use super::rules::{self, Mailbox};
use super::shape;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
/// An ES256, an RS256 and an EdDSA key whose other halves nobody has.
const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/citizens/fuzzing_keys.json");

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}

/// As a first profile, then as an update of what that became.
pub fn profile(bytes: &[u8]) {
    let Some(mut body) = read::<shape::Profile>(bytes) else { return };
    let (citizen, generation) = (Pseudonym([1; 16]), Generation([2; 16]));
    body.version = Some(0);
    let Ok(first) = rules::create(citizen, generation, &body, Mailbox::default(), NOW) else {
        return;
    };
    body.version = Some(first.profile.version);
    let updated = rules::update(&first.profile, &body, Mailbox::default(), NOW);
    for told in [Some(first), updated.ok()].into_iter().flatten() {
        written(&told.profile);
        told.migrated.iter().for_each(written);
    }
}

/// As a preference of a profile that has just been made.
pub fn preference(bytes: &[u8]) {
    let Some(body) = read::<shape::ServicePreference>(bytes) else { return };
    let auto: shape::Profile = serde_json::from_value(serde_json::json!({
        "accepted_tos_version": 1.0, "service_preferences_settings": {"mode": "AUTO"},
    }))
    .unwrap_or_default();
    let (citizen, generation) = (Pseudonym([1; 16]), Generation([2; 16]));
    let made = rules::create(citizen, generation, &auto, Mailbox::default(), NOW);
    let Ok(made) = made else { return };
    let service = ServiceId::from("01SERVICE");
    for special in [false, true] {
        if let Ok(told) = rules::prefer(&made.profile, &service, body, special, None, NOW) {
            written(&told);
        }
    }
}

/// As a device.
pub fn device(bytes: &[u8]) {
    let _ = read::<super::installations::Installation>(bytes);
}

fn written<R: Record>(record: &R) {
    let bytes = Codec::default().encode(record);
    assert!(Codec::default().decode::<R>(&bytes).is_ok(), "{} reads", R::SUBJECT);
}

/// Whether the bytes behind `Bearer ` open the door.
///
/// # Panics
/// The keys beside this file cannot be read.
pub async fn is_let_in(token: &[u8]) -> bool {
    static LOGIN: OnceLock<Login> = OnceLock::new();
    let login = match LOGIN.get() {
        Some(login) => login,
        None => {
            let opened = open().await;
            LOGIN.get_or_init(|| opened)
        }
    };
    let mut headers = HeaderMap::new();
    let Ok(value) = HeaderValue::from_bytes(&[b"Bearer ", token].concat()) else { return false };
    headers.insert(AUTHORIZATION, value);
    login.who(&headers).await.is_ok()
}

async fn open() -> Login {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let config = LoginConfig {
        issuer: "https://identity.example".to_owned(),
        audience: "staffetta".to_owned(),
        keys: KeySource::File(KEYS.into()),
        claim: "fiscal_code".to_owned(),
        email: None,
        leeway: Duration::from_secs(5),
    };
    let world = World::real(tokio::runtime::Handle::current(), Codec::default(), 1.0);
    let login = Login::open(config, reqwest::Client::new(), world).await;
    login.expect("keys that can be read")
}

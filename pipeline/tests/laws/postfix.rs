//! Mail of a whole installation through a real Postfix, judged by a verifier that is not ours.
//! `STAFFETTA_TEST_SMTP` says where: `address;CA file;folder into which it delivers, one file a mail`.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PKCS_ED25519, PKCS_RSA_SHA256, PublicKeyData as _};

use crate::canary::onboarded;
use crate::installation::{Installation, until};
use crate::planted::Planted;
use crate::traffic::Traffic;

const DOMAIN: &str = "staffetta.example";
const VERIFIER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../xtask/readers/dkim_verify.py");

fn given(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run `cargo xtask test`, which starts what this law needs")
    })
}

/// The first mail in `folder` that holds one of `texts`.
fn delivered(folder: &Path, texts: &[String]) -> Option<PathBuf> {
    let mails = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    mails.into_iter().find(|mail| {
        let mail = std::fs::read_to_string(mail).unwrap_or_default();
        texts.iter().any(|text| mail.contains(text))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_verifier_accepts_what_postfix_received() {
    let place = given("STAFFETTA_TEST_SMTP");
    let parts: Vec<&str> = place.split(';').collect();
    let [address, ca, folder] = parts[..] else { panic!("STAFFETTA_TEST_SMTP has three parts") };
    let keys = tempfile::tempdir().unwrap();
    let (rsa, ed25519) = (
        KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap(),
        KeyPair::generate_for(&PKCS_ED25519).unwrap(),
    );
    let file = |name: &str, pair: &KeyPair| {
        let file = keys.path().join(name);
        std::fs::write(&file, pair.serialize_pem()).unwrap();
        file.display().to_string()
    };
    let (rsa_file, ed25519_file) = (file("rsa", &rsa), file("ed25519", &ed25519));
    let mut installation = Installation::prepare(&[
        ("EMAIL__PORT", address.rsplit_once(':').unwrap().1),
        ("EMAIL__CA_FILE", ca),
        ("EMAIL__DKIM__DOMAIN", DOMAIN),
        ("EMAIL__DKIM__SELECTOR", "rsa"),
        ("EMAIL__DKIM__KEY_FILE", &rsa_file),
        ("EMAIL__DKIM_SECOND__DOMAIN", DOMAIN),
        ("EMAIL__DKIM_SECOND__SELECTOR", "ed25519"),
        ("EMAIL__DKIM_SECOND__KEY_FILE", &ed25519_file),
    ])
    .await;
    let planted = Planted::sample(60);
    let doors = onboarded(&mut installation, &planted).await;
    Traffic::new(&installation, &doors).send(&planted).await;
    let mailboxes: Vec<String> =
        planted.of("an e-mail address").map(|needle| needle.text.clone()).collect();
    until("a mail has arrived", async || delivered(Path::new(folder), &mailboxes).is_some()).await;
    let mail = delivered(Path::new(folder), &mailboxes).unwrap();
    // RFC 6376 §3.6.1 wants the whole structure of an RSA key, RFC 8463 §4 the bare Ed25519 key.
    let record = |name: &str, kind: &str, key: &[u8]| {
        format!("{name}._domainkey.{DOMAIN}=v=DKIM1; k={kind}; p={}", STANDARD.encode(key))
    };
    let verdict = Command::new(given("STAFFETTA_TEST_PYTHON"))
        .arg("-B")
        .arg(VERIFIER)
        .arg(mail)
        .arg(record("rsa", "rsa", &rsa.subject_public_key_info()))
        .arg(record("ed25519", "ed25519", ed25519.public_key_raw()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[verdict.stdout, verdict.stderr].concat()).into_owned();
    assert!(verdict.status.success(), "{said}");
    installation.end();
}

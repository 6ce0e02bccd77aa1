//! Email against a real Postfix. `STAFFETTA_TEST_SMTP` says where: `address;CA file;folder into which it
//! delivers, one file a mail` (`cargo xtask postfix up` prints all three).

use std::path::Path;
use std::time::Duration;

use consumers::channel::{Letter, Port, Words};
use consumers::email::{EmailConfig, EmailPort};
use policy::outcome::AttemptOutcome;
use schemas::ids::MessageId;

use crate::dkim::SigningKeys;
use crate::rig::{keyring, letter, sender, world};

/// The first file of `folder` that holds `text`.
async fn delivered(folder: &Path, text: &str) -> Option<String> {
    let mut looks = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..400 {
        looks.tick().await;
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let mail = std::fs::read(entry.path()).unwrap_or_default();
            let mail = String::from_utf8_lossy(&mail).into_owned();
            if mail.contains(text) {
                return Some(mail);
            }
        }
    }
    None
}

#[tokio::test]
async fn mail_reaches_postfix_over_starttls() {
    let Ok(place) = std::env::var("STAFFETTA_TEST_SMTP") else {
        let full = std::env::var_os("STAFFETTA_TEST_KAFKA").is_some();
        assert!(
            !full,
            "this law needs a Postfix: run `cargo xtask test`, or start one with `cargo xtask postfix \
             up` and set STAFFETTA_TEST_SMTP to address;CA file;mailbox folder"
        );
        eprintln!("skipped: STAFFETTA_TEST_SMTP names no Postfix");
        return;
    };
    let parts: Vec<_> = place.split(';').collect();
    let [address, ca, folder] = parts[..] else { panic!("STAFFETTA_TEST_SMTP has three parts") };
    let (host, port) = address.rsplit_once(':').unwrap();
    let config = EmailConfig {
        host: host.into(),
        port: port.parse().unwrap(),
        ca_file: ca.into(),
        accept_within_ms: 20_000,
        reply_within_ms: 20_000,
        ..sender()
    };
    let keys = SigningKeys::make();
    let config = keys.in_config(config);
    let (world, keyring) = (world(), keyring());
    let port = EmailPort::open(&config, keyring.clone(), &world).unwrap();
    let now = world.now();
    for (n, words) in [Words::Anonymous, letter("").words].into_iter().enumerate() {
        let message_id = MessageId::from_parts(now.0.unsigned_abs(), n as u128);
        let mail = Letter {
            message_id,
            installation: String::new(),
            words,
            ..letter("anna@mail.example")
        };
        let start_by = world.now().plus(Duration::from_secs(60));
        let answer = port.send(&mail, start_by).await.unwrap();
        assert_eq!(answer.outcome, AttemptOutcome::Accepted, "{:?}", answer.reason);
        let arrived = delivered(Path::new(folder), &port.send_id(&mail)).await.unwrap();
        let bounce = keyring.tokens().bounce(message_id);
        assert!(arrived.contains(&format!("b+{bounce}@bounce.staffetta.example")));
        assert!(arrived.contains("using TLSv1."), "Postfix says how it came");
        // The folder keeps lines as this system does.
        let text = arrived.replace("\r\n", "\n").replace('\n', "\r\n");
        assert_eq!(keys.verify(&text), Ok(()));
    }
}

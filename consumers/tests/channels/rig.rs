//! Doubles, ports to them, letters.

use std::sync::Arc;

use consumers::apns::{ApnsConfig, ApnsPort};
use consumers::channel::{Letter, Port, Words};
use consumers::email::{EmailConfig, EmailPort};
use consumers::fcm::{FcmConfig, FcmPort};
use consumers::gate::{GateConfig, PoolSettings};
use policy::outcome::Answer;
use runtime::world::World;
use schemas::codec::Codec;
use schemas::content::Notice;
use schemas::ids::{MessageId, Pseudonym, Timestamp};
use schemas::records::{OutcomeKind, Reason};
use sealing::{Keyring, SeededEntropy};
use simulators::{Config, Simulators};
use tempfile::TempDir;

pub struct Rig {
    pub doubles: Simulators,
    pub world: World,
    pub keyring: Arc<Keyring>,
    _folder: TempDir,
}

/// Doubles on which scripted seconds take milliseconds.
pub async fn rig(change: impl FnOnce(&mut Config)) -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let mut config =
        Config { folder: folder.path().to_owned(), time_scale: 1_000.0, ..Config::default() };
    change(&mut config);
    let doubles = simulators::start(config).await.unwrap();
    Rig { doubles, world: world(), keyring: keyring(), _folder: folder }
}

pub fn world() -> World {
    World::real(tokio::runtime::Handle::current(), Codec::default(), 1.0)
}

pub fn keyring() -> Arc<Keyring> {
    Arc::new(Keyring::generate(&SeededEntropy::new(1), Timestamp(0)))
}

/// Fast to give up, and with a breaker that a table of refusals does not open.
pub fn patient() -> GateConfig {
    GateConfig { breaker_min_count: 1_000, guard_min_count: 1_000, ..GateConfig::default() }
}

fn pool() -> PoolSettings {
    PoolSettings {
        connections: 2,
        open_spacing_ms: 1,
        answer_within_ms: 1_000,
        ..PoolSettings::default()
    }
}

impl Rig {
    pub fn apns_config(&self) -> ApnsConfig {
        let apns = &self.doubles.apns;
        ApnsConfig {
            url: format!("https://{}", apns.address),
            ca_file: apns.ca.clone(),
            key_file: apns.key.clone(),
            key_id: apns.key_id.clone(),
            team_id: apns.team_id.clone(),
            topic: apns.topic.clone(),
            pool: pool(),
            gate: patient(),
        }
    }

    pub fn apns(&self, config: &ApnsConfig) -> ApnsPort {
        ApnsPort::open(config, self.keyring.clone(), &self.world).unwrap()
    }

    pub fn fcm_config(&self) -> FcmConfig {
        let fcm = &self.doubles.fcm;
        FcmConfig {
            url: format!("https://{}", fcm.address),
            ca_file: fcm.ca.clone(),
            account_file: fcm.service_account.clone(),
            pool: pool(),
            gate: patient(),
            ..FcmConfig::default()
        }
    }

    pub fn fcm(&self, config: &FcmConfig) -> FcmPort {
        FcmPort::open(config, self.keyring.clone(), &self.world).unwrap()
    }

    pub fn email_config(&self) -> EmailConfig {
        let smtp = &self.doubles.smtp;
        EmailConfig {
            host: smtp.address.ip().to_string(),
            port: smtp.address.port(),
            ca_file: smtp.ca.clone(),
            ..sender()
        }
    }

    pub fn email(&self, config: &EmailConfig) -> EmailPort {
        EmailPort::open(config, self.keyring.clone(), &self.world).unwrap()
    }

    /// With a minute's time to start.
    pub async fn send(&self, port: &dyn Port, letter: &Letter) -> Answer {
        port.send(letter, self.in_a_minute()).await.unwrap()
    }

    pub fn in_a_minute(&self) -> Timestamp {
        self.world.now().plus(std::time::Duration::from_secs(60))
    }
}

/// A sender without a relay.
pub fn sender() -> EmailConfig {
    EmailConfig {
        from: "Staffetta <avvisi@staffetta.example>".into(),
        link: "https://app.staffetta.example/inbox".into(),
        unsubscribe_url: "https://app.staffetta.example/api/v1/unsubscribe".into(),
        bounce_domain: "bounce.staffetta.example".into(),
        reply_within_ms: 2_000,
        accept_within_ms: 2_000,
        gate: patient(),
        ..EmailConfig::default()
    }
}

pub fn letter(address: &str) -> Letter {
    Letter {
        message_id: MessageId::from_parts(1_700_000_000_000, 42),
        service_id: "01ARZ3NDEKTSV4RRFFQ69G5FAV".into(),
        citizen: Pseudonym([1; 16]),
        installation: "installation-1".into(),
        address: address.into(),
        language: "it_IT".into(),
        words: Words::Full(Notice {
            organisation: "Comune di Laricheto".into(),
            service: "Anagrafe".into(),
            subject: "La tua carta è pronta".into(),
        }),
        deadline: world().now().plus(std::time::Duration::from_secs(3_600)),
    }
}

/// Class and reason, as counters have them.
pub fn kind(answer: &Answer) -> (OutcomeKind, Reason) {
    (answer.outcome.kind(), answer.reason)
}

//! The port of email: the relay, the stationery, the gate.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use edge::pool::Snapshot;
use policy::outcome::{Answer, AttemptOutcome};
use runtime::world::World;
use rustls::pki_types::ServerName;
use schemas::ids::Timestamp;
use schemas::records::Reason;
use schemas::topics::Channel;
use sealing::Keyring;
use tokio_rustls::TlsConnector;

use super::classify::{classify, lost};
use super::config::EmailConfig;
use super::dialogue::{Ended, Login, Way};
use super::letter::{BadAddress, Mail, Stationery};
use super::relay::Relay;
use super::reply::{Enhanced, Phase, Reply};
use super::validation::ValidationLetter;
use crate::channel::{Letter, NotStarted};
use crate::gate::{EdgeError, Gate, Gated, Keys, Provider};

/// One relay, one sender.
pub struct Email {
    relay: Relay,
    stationery: Stationery,
    keyring: Arc<Keyring>,
    answer_within: Duration,
}

/// The port of email.
pub type EmailPort = Gated<Email>;

impl EmailPort {
    /// Checks the configuration; connections are opened when they are needed. Needs a tokio runtime.
    ///
    /// # Errors
    /// The key of section `email` that is wrong, and why.
    pub fn open(
        config: &EmailConfig,
        keyring: Arc<Keyring>,
        world: &World,
    ) -> Result<Self, EdgeError> {
        let keys = Keys("email");
        keys.check(&config.gate)?;
        let counts = [
            ("connections", config.connections as u64),
            ("messages_per_connection", config.messages_per_connection),
            ("open_within_ms", config.open_within_ms),
            ("reply_within_ms", config.reply_within_ms),
            ("accept_within_ms", config.accept_within_ms),
        ];
        if let Some((key, _)) = counts.iter().find(|(_, value)| *value == 0) {
            return Err(keys.bad(key, "0 is below 1"));
        }
        let stationery = Stationery::open(config, keys)?;
        if !stationery.is_signed() {
            tracing::warn!(
                "email.dkim is empty: mails leave unsigned, and one-click needs a signature"
            );
        }
        let idle = Duration::from_millis(config.idle_ms);
        let (connections, messages) = (config.connections, config.messages_per_connection);
        let relay = Relay::new(way(config, keys)?, connections, idle, messages);
        let answer_within = longest(config);
        let email = Email { relay, stationery, keyring, answer_within };
        Ok(Self::new(email, Gate::new(&config.gate, keys, world)))
    }

    /// Whether it is configured where a validation's link leads.
    #[must_use]
    pub fn mails_validations(&self) -> bool {
        self.provider.stationery.writes_validations()
    }

    /// Mails the link that validates an address, as [`Port::send`](crate::channel::Port::send) mails a
    /// letter.
    ///
    /// # Errors
    /// [`NotStarted`], where it could not start by `start_by`.
    pub async fn validate(
        &self,
        letter: &ValidationLetter,
        start_by: Timestamp,
    ) -> Result<Answer, NotStarted> {
        self.gate.enter(start_by).await?;
        let (email, tokens) = (&self.provider, self.provider.keyring.tokens());
        let id = email.stationery.message_id(letter.id, &letter.address, tokens);
        let mail = email.stationery.validation(letter, tokens, self.gate.now());
        Ok(self.gate.note(email.mail(mail, id, self.gate.patience(start_by)).await?))
    }
}

impl Email {
    async fn mail(
        &self,
        mail: Result<Mail, BadAddress>,
        id: String,
        patience: Duration,
    ) -> Result<Answer, NotStarted> {
        let Ok(mail) = mail else {
            let gone = AttemptOutcome::AddressGone { since: None };
            return Ok(Answer::new(gone, Reason::NoSuchMailbox));
        };
        let Some(ended) = self.relay.deliver(&mail.envelope, &mail.text, patience).await else {
            return Err(NotStarted::Late);
        };
        let misconfigured = |why| Answer::new(AttemptOutcome::Misconfigured, why);
        Ok(match ended {
            Ok(()) => {
                let taken =
                    Reply { code: 250, enhanced: Some(Enhanced(2, 0, 0)), names_a_rate: false };
                let mut answer = classify(Phase::Dot, taken);
                answer.provider_id = Some(id);
                answer
            }
            Err(Ended::Refused(phase, reply)) => {
                let answer = classify(phase, reply);
                if answer.reason == Reason::UnknownAnswer {
                    tracing::warn!(?phase, ?reply, "the relay gave a reply that nobody knows");
                }
                answer
            }
            Err(Ended::Lost(phase)) => lost(phase),
            Err(Ended::NoStartTls) => misconfigured(Reason::NoEncryption),
            Err(Ended::NoLogin) => misconfigured(Reason::Credential),
        })
    }
}

/// The slowest dialogue: opened anew, each reply as late as it may be, the text and its taking too.
fn longest(config: &EmailConfig) -> Duration {
    let replies = config.reply_within_ms.saturating_mul(5);
    let takes = config.accept_within_ms.saturating_mul(2);
    Duration::from_millis(config.open_within_ms.saturating_add(replies).saturating_add(takes))
}

fn way(config: &EmailConfig, keys: Keys) -> Result<Way, EdgeError> {
    let host = config.host.clone();
    let server_name = ServerName::try_from(host.clone())
        .map_err(|_| keys.bad("host", format!("{host:?} is neither a name nor an address")))?;
    let hello_name = match config.hello_name.as_str() {
        "" => config.bounce_domain.clone(),
        name => name.to_owned(),
    };
    if !hello_name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(keys.bad("hello_name", format!("{hello_name:?} is not a name")));
    }
    Ok(Way {
        host,
        port: config.port,
        encryption: config.encryption,
        tls: TlsConnector::from(Arc::new(keys.tls(&config.ca_file)?)),
        server_name,
        hello_name,
        login: login(config, keys)?,
        open_within: Duration::from_millis(config.open_within_ms),
        reply_within: Duration::from_millis(config.reply_within_ms),
        accept_within: Duration::from_millis(config.accept_within_ms),
    })
}

fn login(config: &EmailConfig, keys: Keys) -> Result<Option<Login>, EdgeError> {
    if config.user.is_empty() {
        return Ok(None);
    }
    let password = String::from_utf8(keys.read("password_file", &config.password_file)?)
        .map_err(|_| keys.bad("password_file", "is not a text file"))?;
    let password = password.trim_end_matches(['\r', '\n']).to_owned();
    Ok(Some(Login { user: config.user.clone(), password }))
}

#[async_trait]
impl Provider for Email {
    const CHANNEL: Channel = Channel::Email;

    async fn ask(
        &self,
        letter: &Letter,
        gate: &Gate,
        start_by: Timestamp,
    ) -> Result<Answer, NotStarted> {
        let mail = self.stationery.mail(letter, self.keyring.tokens(), gate.now());
        self.mail(mail, self.send_id(letter), gate.patience(start_by)).await
    }

    fn answer_within(&self) -> Duration {
        self.answer_within
    }

    /// The `Message-ID`.
    fn send_id(&self, letter: &Letter) -> String {
        let tokens = self.keyring.tokens();
        self.stationery.message_id(letter.message_id, &letter.address, tokens)
    }

    fn vitals(&self, _: Timestamp) -> (Snapshot, Option<i64>) {
        (self.relay.snapshot(), None)
    }

    async fn close(&self) {
        self.relay.close().await;
    }
}

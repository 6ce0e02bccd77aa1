//! The port of APNs: the pool, a signed provider token, the gate.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use edge::pool::{PlainPool, Push, Reply, Request, Snapshot, Wiring};
use edge::token::{ProviderToken, ProviderTokenConfig};
use http::HeaderValue;
use policy::outcome::{Answer, AttemptOutcome};
use runtime::world::World;
use schemas::ids::Timestamp;
use schemas::records::Reason;
use schemas::topics::Channel;
use sealing::Keyring;

use super::classify::{classify, is_expired, word};
use super::config::ApnsConfig;
use super::payload;
use crate::channel::{Letter, NotStarted};
use crate::gate::{EdgeError, Gate, Gated, Keys, Provider, asked_wait, without_answer};

/// Apple's words in GOAWAY, counted by name.
const GOAWAY_REASONS: &[&str] = &[
    "Shutdown",
    "IdleTimeout",
    "BadCertificate",
    "BadCertificateEnvironment",
    "ExpiredProviderToken",
    "InternalServerError",
    "ServiceUnavailable",
];

/// One app at APNs.
pub struct Apns {
    pool: PlainPool,
    token: Arc<ProviderToken>,
    keyring: Arc<Keyring>,
    topic: HeaderValue,
    answer_within: Duration,
}

/// The port of APNs.
pub type ApnsPort = Gated<Apns>;

impl ApnsPort {
    /// Checks the configuration and begins to open connections. Needs a tokio runtime.
    ///
    /// # Errors
    /// The key of section `apns` that is wrong, and why.
    pub fn open(
        config: &ApnsConfig,
        keyring: Arc<Keyring>,
        world: &World,
    ) -> Result<Self, EdgeError> {
        let keys = Keys("apns");
        keys.check(&config.gate)?;
        let (host, port) = keys.endpoint("url", &config.url)?;
        for (key, value) in
            [("key_id", &config.key_id), ("team_id", &config.team_id), ("topic", &config.topic)]
        {
            if value.is_empty() {
                return Err(keys.bad(key, "is empty; see your account at Apple"));
            }
        }
        let topic = HeaderValue::try_from(&config.topic)
            .map_err(|_| keys.bad("topic", "is not a bundle id"))?;
        let signer = ProviderTokenConfig {
            team_id: config.team_id.clone(),
            key_id: config.key_id.clone(),
            key_pem: keys.read("key_file", &config.key_file)?,
        };
        let (clock, random) = (keys.clock(world), keys.random(world));
        let token = ProviderToken::new(signer, clock, random.clone())
            .map_err(|e| keys.bad("key_file", e))?;
        let token = Arc::new(token);
        let wiring = Wiring {
            tls: Arc::new(keys.tls(&config.ca_file)?),
            credential: Some(token.clone()),
            is_expired,
            random,
        };
        let mut pool = config.pool.pool(host, port);
        // Apple allows one stream until the first provider token is accepted.
        pool.initial_streams = 1;
        pool.goaway_reasons = GOAWAY_REASONS;
        let pool = PlainPool::open(pool, wiring).map_err(|e| keys.bad("pool", e))?;
        let answer_within = Duration::from_millis(config.pool.answer_within_ms);
        let apns = Apns { pool, token, keyring, topic, answer_within };
        Ok(Self::new(apns, Gate::new(&config.gate, keys, world)))
    }
}

#[async_trait]
impl Provider for Apns {
    const CHANNEL: Channel = Channel::Apns;

    async fn ask(
        &self,
        letter: &Letter,
        gate: &Gate,
        start_by: Timestamp,
    ) -> Result<Answer, NotStarted> {
        let (tokens, now) = (self.keyring.tokens(), gate.now());
        let Some(request) = payload::request(letter, &self.topic, tokens, now) else {
            return Ok(Answer::new(AttemptOutcome::AddressGone { since: None }, Reason::BadToken));
        };
        let request = Request { stream_within: gate.patience(start_by), ..request };
        let reply = self.pool.send(request).await;
        let now = gate.now();
        let Reply::Answer { status, headers, body } = &reply else {
            return without_answer(&reply, now).unwrap_or(Err(NotStarted::Late));
        };
        let mut answer = classify(*status, body, now);
        if answer.reason == Reason::UnknownAnswer {
            tracing::warn!(status, reason = word(body), "apns gave an answer that nobody knows");
        }
        if answer.outcome == AttemptOutcome::Accepted {
            // It goes into an event, and from there to senders: only what is as short as a UUID.
            let id =
                headers.get("apns-id").and_then(|id| id.to_str().ok()).filter(|it| it.len() <= 36);
            answer.provider_id = Some(id.map_or_else(|| self.send_id(letter), str::to_owned));
        }
        answer.wait_at_least(asked_wait(headers, now));
        Ok(answer)
    }

    fn answer_within(&self) -> Duration {
        self.answer_within
    }

    fn send_id(&self, letter: &Letter) -> String {
        self.keyring.tokens().apns_id(letter.message_id, &letter.installation)
    }

    fn vitals(&self, _: Timestamp) -> (Snapshot, Option<i64>) {
        (self.pool.snapshot(), Some(self.token.age_ms()))
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

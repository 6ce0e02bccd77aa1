//! The port of APNs: the pool, a signed provider token, the gate.

use std::sync::Arc;

use async_trait::async_trait;
use edge::pool::{PlainPool, Push, Reply, Snapshot, Wiring};
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
use crate::channel::{Letter, Port};
use crate::gate::{EdgeError, Gate, Keys, without_answer};

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
pub struct ApnsPort {
    pool: PlainPool,
    token: Arc<ProviderToken>,
    gate: Gate,
    keyring: Arc<Keyring>,
    topic: HeaderValue,
}

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
        Ok(Self { pool, token, gate: Gate::new(&config.gate, keys, world), keyring, topic })
    }

    /// Lets what is under way finish, then closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// For metrics.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.pool.snapshot()
    }

    /// For metrics: beyond an hour, or negative, this machine's clock is wrong.
    #[must_use]
    pub fn token_age_ms(&self) -> i64 {
        self.token.age_ms()
    }

    /// The gate, for metrics.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    async fn ask(&self, letter: &Letter, now: Timestamp) -> Answer {
        let tokens = self.keyring.tokens();
        let Some(mut request) = payload::request(letter, &self.topic, tokens, now) else {
            return Answer::new(AttemptOutcome::AddressGone { since: None }, Reason::BadToken);
        };
        request.stream_within = self.gate.patience(now);
        let reply = self.pool.send(request).await;
        let Reply::Answer { status, headers, body } = &reply else {
            return without_answer(&reply).unwrap_or_else(|| crate::gate::unsent(None));
        };
        let mut answer = classify(*status, body, now);
        if answer.reason == Reason::UnknownAnswer {
            tracing::warn!(status, reason = word(body), "apns gave an answer that nobody knows");
        }
        if answer.outcome == AttemptOutcome::Accepted {
            let id = headers.get("apns-id").and_then(|id| id.to_str().ok());
            answer.provider_id = Some(id.map_or_else(|| self.send_id(letter), str::to_owned));
        }
        answer
    }
}

#[async_trait]
impl Port for ApnsPort {
    fn channel(&self) -> Channel {
        Channel::Apns
    }

    fn down_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.gate.down_until(now)
    }

    async fn send(&self, letter: &Letter, now: Timestamp) -> Answer {
        if let Err(held) = self.gate.enter(now).await {
            return held;
        }
        self.gate.note(self.ask(letter, now).await)
    }

    fn send_id(&self, letter: &Letter) -> String {
        self.keyring.tokens().apns_id(letter.message_id, &letter.installation)
    }

    fn believes_gone(&self, gone: bool, now: Timestamp) -> bool {
        self.gate.believes_gone(gone, now)
    }
}

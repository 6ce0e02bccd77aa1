//! The port of FCM: the pool, an access token, the gate.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use edge::pool::{PlainPool, Push, Reply, Request, Snapshot, Unsent, Wiring};
use edge::token::{AccessToken, FetchError, ServiceAccount, TokenHealth, token_client};
use http::uri::PathAndQuery;
use http::{HeaderValue, header};
use policy::outcome::{Answer, AttemptOutcome};
use runtime::world::World;
use schemas::ids::Timestamp;
use schemas::records::Reason;
use schemas::topics::Channel;
use sealing::Keyring;

use super::classify::{classify, is_expired, word};
use super::config::FcmConfig;
use super::payload;
use crate::channel::{Letter, NotStarted};
use crate::gate::{EdgeError, Gate, Gated, Keys, Provider, asked_wait, without_answer};

const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
/// The one word known to come with a GOAWAY of Google's (firebase-admin-node#2488).
const GOAWAY_REASONS: &[&str] = &["exceeded_max_concurrent_streams"];

/// One project at FCM.
pub struct Fcm {
    pool: PlainPool,
    token: Arc<AccessToken>,
    keyring: Arc<Keyring>,
    config: FcmConfig,
    path: PathAndQuery,
}

/// The port of FCM.
pub type FcmPort = Gated<Fcm>;

impl FcmPort {
    /// Checks the configuration, begins to open connections and asks for an access token. Needs a
    /// tokio runtime.
    ///
    /// # Errors
    /// The key of section `fcm` that is wrong, and why.
    pub fn open(
        config: &FcmConfig,
        keyring: Arc<Keyring>,
        world: &World,
    ) -> Result<Self, EdgeError> {
        let keys = Keys("fcm");
        keys.check(&config.gate)?;
        let (host, port) = keys.endpoint("url", &config.url)?;
        let account = keys.read("account_file", &config.account_file)?;
        let account =
            ServiceAccount::from_json(&account).map_err(|e| keys.bad("account_file", e))?;
        let path = format!("/v1/projects/{}/messages:send", account.project_id());
        let path = PathAndQuery::try_from(path)
            .map_err(|_| keys.bad("account_file", "its project_id is not one"))?;
        let tls = keys.tls(&config.ca_file)?;
        let client = token_client(tls.clone()).map_err(|e| keys.bad("ca_file", e))?;
        let (clock, random) = (keys.clock(world), keys.random(world));
        let token = AccessToken::start(account, SCOPE, client, clock, random.clone());
        let token = Arc::new(token);
        let wiring =
            Wiring { tls: Arc::new(tls), credential: Some(token.clone()), is_expired, random };
        let mut pool = config.pool.pool(host, port);
        pool.initial_streams = config.pool.streams;
        pool.goaway_reasons = GOAWAY_REASONS;
        let pool = PlainPool::open(pool, wiring).map_err(|e| keys.bad("pool", e))?;
        let fcm = Fcm { pool, token, keyring, config: config.clone(), path };
        Ok(Self::new(fcm, Gate::new(&config.gate, keys, world)))
    }

    /// How the access token does.
    #[must_use]
    pub fn token_health(&self) -> TokenHealth {
        self.provider.token.health()
    }

    /// Waits for the first access token.
    pub async fn ready(&self) {
        self.provider.token.ready().await;
    }
}

impl Fcm {
    /// The server of access tokens knows us and says no: key, account or clock.
    fn is_account_refused(&self) -> bool {
        match self.token.health().last_failure {
            Some(FetchError::Refused { status, .. }) => {
                (400..500).contains(&status) && status != 429
            }
            Some(FetchError::Signing) => true,
            Some(FetchError::Unreachable | FetchError::Unusable) | None => false,
        }
    }
}

#[async_trait]
impl Provider for Fcm {
    const CHANNEL: Channel = Channel::Fcm;

    async fn ask(
        &self,
        letter: &Letter,
        gate: &Gate,
        start_by: Timestamp,
    ) -> Result<Answer, NotStarted> {
        let tokens = self.keyring.tokens();
        let Some(body) = payload::body(letter, &self.config, tokens, gate.now()) else {
            return Ok(Answer::new(AttemptOutcome::Refused, Reason::TooLarge));
        };
        let json = HeaderValue::from_static("application/json");
        let headers = vec![(header::CONTENT_TYPE, json)];
        let stream_within = gate.patience(start_by);
        let request = Request { path: self.path.clone(), headers, body, stream_within };
        let reply = self.pool.send(request).await;
        match &reply {
            Reply::Answer { status, headers, body } => {
                let answer = classify(*status, body, asked_wait(headers, gate.now()));
                if answer.reason == Reason::UnknownAnswer {
                    let code = word(body);
                    tracing::warn!(status, code, "fcm gave an answer that nobody knows");
                }
                Ok(answer)
            }
            Reply::Unsent { why: Unsent::NoCredential } if self.is_account_refused() => {
                Ok(Answer::new(AttemptOutcome::Misconfigured, Reason::Credential))
            }
            Reply::Unsent { .. } | Reply::NoAnswer { .. } => {
                without_answer(&reply, gate.now()).unwrap_or(Err(NotStarted::Late))
            }
        }
    }

    fn answer_within(&self) -> Duration {
        Duration::from_millis(self.config.pool.answer_within_ms)
    }

    /// FCM takes no id of ours; the tag and the installation stand for it.
    fn send_id(&self, letter: &Letter) -> String {
        self.keyring.tokens().apns_id(letter.message_id, &letter.installation)
    }

    fn vitals(&self, now: Timestamp) -> (Snapshot, Option<i64>) {
        let fetched = self.token.health().fetched_ms;
        (self.pool.snapshot(), fetched.map(|fetched| now.0 - fetched))
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

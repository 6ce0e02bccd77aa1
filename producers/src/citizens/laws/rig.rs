//! The whole API over an embedded log, with a view that follows the log whenever it is waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use hyper::{Request, StatusCode};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use parking_lot::Mutex;
use runtime::embedded::EmbeddedLog;
use runtime::log::{Incoming, Log, Outgoing, Position, Reader, Start};
use runtime::world::{Sources, Task, World};
use schemas::codec::Codec;
use schemas::content::Content;
use schemas::ids::{MessageId, Pseudonym, ServiceId, Timestamp};
use schemas::records::{MailboxValidation, MessageStored, Sealed};
use schemas::topics::Topic;
use sealing::{Keyring, SeededEntropy};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::mirror::Mirror;
use crate::citizens::{
    CitizenApi, CitizenMetrics, Citizens, CitizensConfig, Contents, Desk, Dossier, EmailClaim,
    KeySource, Login, LoginConfig, NotReady, Rates, Services, router,
};

pub const CODE: &str = "AAAAAA00A00A000A";
pub const ISSUER: &str = "https://login.example.org";
pub const AUDIENCE: &str = "staffetta";
pub const PLAIN: &str = "01PLAIN";
pub const SPECIAL: &str = "01SPECIAL";
pub const ADDRESS: &str = "nessuno@example.com";

/// A clock that stands still until somebody waits on it.
pub struct Clock(AtomicI64);

impl Sources for Clock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
    fn spawn(&self, task: Task) {
        tokio::spawn(task);
    }
    fn sleep_until(&self, until: Timestamp) -> Task {
        self.0.fetch_max(until.0, Ordering::Relaxed);
        Box::pin(std::future::ready(()))
    }
}

/// The view behind the port: follows the log when it is waited for, unless it is stuck.
pub struct View {
    pub mirror: Mutex<Mirror>,
    reader: Mutex<Box<dyn Reader>>,
    pub stuck: AtomicBool,
    /// Whoever holds it lets nobody see the view come forward.
    pub shut: tokio::sync::RwLock<()>,
    world: World,
    /// When each wait ended.
    pub seen_at: Mutex<Vec<Timestamp>>,
}

impl View {
    fn of(log: &EmbeddedLog, world: &World) -> Arc<Self> {
        let topics: Vec<_> = Topic::DIRECTORY.into_iter().chain([Topic::Stored]).collect();
        Arc::new(Self {
            mirror: Mutex::default(),
            reader: Mutex::new(log.reader(&topics, &Start::Beginning).expect("a reader")),
            stuck: AtomicBool::new(false),
            shut: tokio::sync::RwLock::default(),
            world: world.clone(),
            seen_at: Mutex::default(),
        })
    }

    pub fn follow(&self) {
        let read = self.reader.lock().poll(10_000, Duration::ZERO).expect("memory answers");
        let mut mirror = self.mirror.lock();
        read.records.iter().for_each(|record| mirror.apply(record));
    }
}

#[async_trait]
impl Citizens for View {
    async fn dossier(&self, citizen: Pseudonym) -> Result<Dossier, NotReady> {
        Ok(self.mirror.lock().people.get(&citizen).cloned().unwrap_or_default())
    }
    async fn inbox(
        &self,
        citizen: Pseudonym,
        before: Option<MessageId>,
        max: usize,
    ) -> Result<Vec<MessageStored>, NotReady> {
        let mirror = self.mirror.lock();
        let older = |id: MessageId| before.is_none_or(|before| id < before);
        let mine = mirror.stored.values().rev();
        let mine = mine.filter(|it| it.citizen == citizen && older(it.message_id));
        Ok(mine.take(max).cloned().collect())
    }
    async fn stored(
        &self,
        citizen: Pseudonym,
        message: MessageId,
    ) -> Result<Option<MessageStored>, NotReady> {
        let mirror = self.mirror.lock();
        Ok(mirror.stored.get(&message).filter(|it| it.citizen == citizen).cloned())
    }
    async fn wait_applied(&self, _: Pseudonym, positions: &[Position], _: Timestamp) -> bool {
        assert!(!positions.is_empty(), "a barrier waits for something");
        let _open = self.shut.read().await;
        if self.stuck.load(Ordering::Relaxed) {
            return false;
        }
        self.follow();
        self.seen_at.lock().push(self.world.now());
        true
    }
}

struct Plain;

#[async_trait]
impl Contents for Plain {
    async fn open(&self, stored: &MessageStored) -> Result<Option<Content>, NotReady> {
        Ok(Some(Content {
            fiscal_code: CODE.into(),
            created_at: "2026-01-01T00:00:00.000Z".into(),
            time_to_live: 3_600,
            feature_level_type: "STANDARD".into(),
            content: json!({"subject": format!("of {}", stored.message_id)}),
            fallback_email: None,
            organisation: "Comune di Laricheto".into(),
            service: "Anagrafe".into(),
        }))
    }
}

struct Two;

impl Services for Two {
    fn is_special(&self, service: &ServiceId) -> Option<bool> {
        match service.as_str() {
            PLAIN => Some(false),
            SPECIAL => Some(true),
            _ => None,
        }
    }
}

/// One process that serves the API, and what it shares with others.
pub struct Rig {
    pub router: Router,
    pub log: EmbeddedLog,
    pub view: Arc<View>,
    pub metrics: CitizenMetrics,
    pub world: World,
    pub keyring: Arc<Keyring>,
    pub signer: EncodingKey,
    pub keys: Arc<tempfile::NamedTempFile>,
}

/// A signing key and its public half as a key set, under `kid`.
pub fn identity(kid: &str) -> (EncodingKey, Value) {
    use base64::Engine as _;
    let pair = rcgen::KeyPair::generate().expect("a key");
    let point = pair.public_key_raw();
    let text = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    let key = json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid,
        "x": text(&point[1..33]), "y": text(&point[33..])});
    let signer = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).expect("a key");
    (signer, json!({"keys": [key]}))
}

/// What processes have in common.
struct Shared {
    log: EmbeddedLog,
    view: Arc<View>,
    world: World,
    keyring: Arc<Keyring>,
    signer: EncodingKey,
    keys: Arc<tempfile::NamedTempFile>,
}

pub fn login(keys: std::path::PathBuf) -> LoginConfig {
    let verified = Some("email_verified".to_owned());
    LoginConfig {
        issuer: ISSUER.into(),
        audience: AUDIENCE.into(),
        keys: KeySource::File(keys),
        claim: "fiscal_code".into(),
        email: Some(EmailClaim { address: "email".into(), verified }),
        leeway: Duration::from_secs(5),
    }
}

impl Rig {
    pub async fn new() -> Self {
        Self::with(CitizensConfig::default()).await
    }

    pub async fn with(config: CitizensConfig) -> Self {
        let clock = Arc::new(Clock(AtomicI64::new(1_800_000_000_000)));
        let world = World::new(clock, Codec::default(), 1.0);
        let log = EmbeddedLog::in_memory(world.clone(), 3);
        let keyring = Arc::new(Keyring::generate(&SeededEntropy::new(3), world.now()));
        let (signer, set) = identity("one");
        let keys = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(keys.path(), set.to_string()).expect("written");
        let view = View::of(&log, &world);
        let shared = Shared { log, view, world, keyring, signer, keys: Arc::new(keys) };
        Self::process(shared, config, 3).await
    }

    /// Another process beside this one, which asks the same view.
    pub async fn beside(&self) -> Self {
        self.another(self.view.clone()).await
    }

    /// Another process with a view of its own.
    pub async fn apart(&self) -> Self {
        self.another(View::of(&self.log, &self.world)).await
    }

    async fn another(&self, view: Arc<View>) -> Self {
        let shared = Shared {
            log: self.log.clone(),
            view,
            world: self.world.clone(),
            keyring: self.keyring.clone(),
            signer: self.signer.clone(),
            keys: self.keys.clone(),
        };
        Self::process(shared, CitizensConfig::default(), 4).await
    }

    async fn process(shared: Shared, config: CitizensConfig, seed: u64) -> Self {
        let Shared { log, view, world, keyring, signer, keys } = shared;
        let login = login(keys.path().to_owned());
        // Key sets come from a file here; no client is asked.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let login = Login::open(login, reqwest::Client::new(), world.clone()).await.expect("keys");
        let metrics = CitizenMetrics::new(&prometheus::Registry::new());
        let (desk, _) = Desk::open(
            Arc::new(log.clone()),
            view.clone(),
            world.clone(),
            config.clone(),
            metrics.clone(),
        )
        .expect("up");
        let router = router(Arc::new(CitizenApi {
            world: world.clone(),
            rates: Rates::new(config.rates),
            config,
            keyring: keyring.clone(),
            entropy: Arc::new(SeededEntropy::new(seed)),
            login,
            metrics: metrics.clone(),
            desk,
            citizens: view.clone(),
            contents: Arc::new(Plain),
            services: Arc::new(Two),
        }));
        Self { router, log, view, metrics, world, keyring, signer, keys }
    }

    pub fn claims(code: &str) -> Value {
        let now = jsonwebtoken::get_current_timestamp();
        json!({"iss": ISSUER, "aud": AUDIENCE, "nbf": now - 60, "exp": now + 600,
            "fiscal_code": format!("TINIT-{code}")})
    }

    pub fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some("one".into()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, claims, &self.signer).expect("signed")
    }

    pub fn token(&self) -> String {
        self.sign(&Self::claims(CODE))
    }

    pub fn me(&self) -> Pseudonym {
        self.keyring.pepper().pseudonym(&CODE.parse().expect("a code"))
    }

    pub fn dossier(&self) -> Dossier {
        self.view.mirror.lock().people.get(&self.me()).cloned().unwrap_or_default()
    }

    /// My devices, by what stands for their ids.
    pub fn devices(&self) -> Vec<String> {
        self.dossier().devices.into_keys().collect()
    }

    /// What stands for the id that an app chose.
    pub fn installation(&self, id: &str) -> String {
        self.keyring.hashes().installation(self.me(), id)
    }

    /// The mails that were asked for, oldest first.
    pub fn asked(&self) -> Vec<MailboxValidation> {
        let mut reader = self.log.reader(&[Topic::Validation], &Start::Beginning).expect("one");
        let records = reader.poll(100_000, Duration::ZERO).expect("memory answers").records;
        let mut asked: Vec<MailboxValidation> = records
            .iter()
            .map(|it| Codec::default().decode(it.value.as_deref().expect("work")).expect("one"))
            .collect();
        asked.sort_by_key(|it| (it.asked_at, it.id));
        asked
    }

    /// The address and the link's token that the stage behind `asked` mails.
    pub fn mailed(&self, asked: &MailboxValidation) -> (String, String) {
        let key = &self.dossier().keys[&asked.generation];
        let masters = self.keyring.masters();
        let key = masters.unwrap_citizen(key.citizen, key.generation, &key.wrapped.0);
        let field = sealing::Field::EmailAddress;
        let address = key.expect("a key").open_field(field, &asked.email.0).expect("an address");
        let until = asked.asked_at.plus(Duration::from_secs(86_400));
        let tokens = self.keyring.tokens();
        let token = tokens.mailbox(asked.citizen, asked.generation, &address, until);
        (address, token)
    }

    /// A request with a token; the answer's status and JSON (null where it is none).
    pub async fn ask_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {token}"))
            .body(body.map_or_else(Body::empty, |it| Body::from(it.to_string())))
            .expect("a request");
        let answer = self.router.clone().oneshot(request).await.expect("infallible");
        let status = answer.status();
        let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    pub async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        self.ask_as(&self.token(), method, &format!("/api/v1{path}"), body).await
    }

    /// Asks, and demands a status.
    pub async fn must(&self, method: &str, path: &str, body: Option<Value>, status: u16) -> Value {
        let (found, answer) = self.ask(method, path, body).await;
        assert_eq!(found.as_u16(), status, "{method} {path}: {answer}");
        answer
    }

    /// A first profile of the given mode; gives its version.
    pub async fn register(&self, mode: &str) -> i64 {
        let body = json!({"is_inbox_enabled": true, "is_webhook_enabled": true, "email": ADDRESS,
            "is_email_enabled": true, "accepted_tos_version": 1, "version": 0,
            "service_preferences_settings": {"mode": mode},
            "push_notifications_content_type": "FULL", "preferred_languages": ["it_IT"]});
        let profile = self.must("PUT", "/profile", Some(body), 200).await;
        profile["version"].as_i64().expect("a version")
    }

    /// Everything on the log, in order within each partition.
    pub fn everything(&self) -> Vec<Incoming> {
        let mut reader = self.log.reader(&Topic::all(), &Start::Beginning).expect("a reader");
        reader.poll(100_000, Duration::ZERO).expect("memory answers").records
    }

    /// Puts a stored message into the view, as the vault would.
    pub fn store(&self, message: MessageId, kept_until: i64) {
        let generation = self.dossier().generation().expect("on board");
        let stored = MessageStored {
            message_id: message,
            citizen: self.me(),
            generation,
            service_id: PLAIN.into(),
            object: "o".into(),
            offset: 0,
            length: 1,
            wrapped_key: Sealed(vec![1]),
            accepted_at: Timestamp(5),
            kept_until: Timestamp(kept_until),
        };
        let record = Outgoing {
            topic: Topic::Stored,
            key: message.to_string().into_bytes(),
            partition_by: self.me().to_string().into_bytes(),
            value: Some(Codec::default().encode(&stored)),
            headers: schemas::headers::Headers::default(),
        };
        self.log.writer("vault").expect("a writer").write(vec![record]).expect("written");
        self.view.follow();
    }
}

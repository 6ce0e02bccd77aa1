//! A whole installation in this process, on a real disk, whose clock can be put forward.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use runtime::log::{Incoming, Outgoing};
use runtime::world::{Sources, Task as Future, World};
use schemas::codec::Codec;
use schemas::headers::Headers;
use schemas::ids::{Pseudonym, Timestamp};
use schemas::topics::Topic;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::commands::services;
use crate::config;
use crate::plant::{self, Plant};

const ISSUER: &str = "https://identity.example";
const AUDIENCE: &str = "staffetta";
const API_KEY: &str = "a-key-of-a-law";

/// The machine's clock, and how far it was put forward.
struct Ahead {
    by: AtomicI64,
    runtime: Handle,
}

impl Sources for Ahead {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = i64::try_from(since.expect("after 1970").as_millis()).expect("before the end");
        Timestamp(now + self.by.load(Ordering::SeqCst))
    }
    fn fill(&self, bytes: &mut [u8]) {
        rand::RngCore::fill_bytes(&mut rand::rng(), bytes);
    }
    fn spawn(&self, task: Future) {
        self.runtime.spawn(task);
    }
    fn sleep_until(&self, until: Timestamp) -> Future {
        Box::pin(tokio::time::sleep(until.since(self.now())))
    }
}

/// A running installation; edges are off, so every message waits for its push.
pub struct Town {
    pub folder: tempfile::TempDir,
    pub plant: Plant,
    clock: Arc<Ahead>,
    client: reqwest::Client,
    identity: EncodingKey,
}

impl Town {
    pub async fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a folder");
        let (identity, keys) = identity();
        std::fs::write(folder.path().join("jwks.json"), keys.to_string()).expect("written");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let set = [
            ("LOG__FOLDER", path("data/log")),
            ("LOG__PARTITIONS", "2".to_owned()),
            ("LOG__SYNC", "false".to_owned()),
            ("KEYRING__FILE", path("keyring.json")),
            ("KEYRING__CREATE", "true".to_owned()),
            ("STORE__FOLDER", path("data/objects")),
            ("SENDER_API__LISTEN", "127.0.0.1:0".to_owned()),
            ("CITIZEN_API__LISTEN", "127.0.0.1:0".to_owned()),
            ("OPERATIONS__LISTEN", "127.0.0.1:0".to_owned()),
            ("CITIZEN_API__ISSUER", ISSUER.to_owned()),
            ("CITIZEN_API__AUDIENCE", AUDIENCE.to_owned()),
            ("CITIZEN_API__JWKS", path("jwks.json")),
        ];
        let set = set.map(|(key, value)| (format!("STAFFETTA_{key}"), value));
        let settings = config::load(None, set.into_iter()).expect("a configuration");
        let clock = Arc::new(Ahead { by: AtomicI64::new(0), runtime: Handle::current() });
        let world = World::new(clock.clone(), Codec::default(), 1.0);
        let plant = plant::start_in(world, settings, &[]).await.expect("started");
        let site = &plant.site;
        let services = json!({"services": [service()]}).to_string();
        services::publish(&services, site.log.as_ref(), &site.keys.keyring, &site.world)
            .expect("published");
        Self { folder, plant, clock, client: reqwest::Client::new(), identity }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Puts the clock forward to a moment that lies ahead.
    pub fn travel_to(&self, moment: Timestamp) {
        let by = moment.0 - self.now().0;
        assert!(by >= 0, "that moment has passed");
        self.clock.by.fetch_add(by, Ordering::SeqCst);
    }

    pub fn pseudonym(&self, code: &str) -> Pseudonym {
        self.plant.site.keys.keyring.pepper().pseudonym(&code.parse().expect("a code"))
    }

    /// A request of the citizen; it must end with `status`.
    pub async fn as_citizen(
        &self,
        code: &str,
        method: reqwest::Method,
        path: &str,
        body: Value,
        status: u16,
    ) -> Value {
        let now = jsonwebtoken::get_current_timestamp();
        let claims = json!({"iss": ISSUER, "aud": AUDIENCE, "nbf": now - 60, "exp": now + 3_600,
            "fiscal_code": format!("TINIT-{code}")});
        let header = Header { kid: Some("law".to_owned()), ..Header::new(Algorithm::ES256) };
        let token = jsonwebtoken::encode(&header, &claims, &self.identity).expect("signed");
        let door = self.plant.addresses.citizen_api.expect("a citizen API");
        let url = format!("http://{door}/api/v1{path}");
        let answer = self.client.request(method, url).bearer_auth(token).json(&body).send();
        let answer = answer.await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{path}");
        serde_json::from_slice(&answer.bytes().await.expect("a body")).unwrap_or(Value::Null)
    }

    /// On board with an address and a telephone.
    pub async fn register(&self, code: &str, address: &str, token: &str) {
        let profile = json!({"is_inbox_enabled": true, "is_webhook_enabled": true,
            "is_email_enabled": true, "email": address, "accepted_tos_version": 1, "version": 0,
            "service_preferences_settings": {"mode": "AUTO"},
            "push_notifications_content_type": "FULL", "preferred_languages": ["it_IT"]});
        self.as_citizen(code, reqwest::Method::PUT, "/profile", profile, 200).await;
        let phone = json!({"platform": "apns", "pushChannel": token});
        self.as_citizen(code, reqwest::Method::PUT, "/installations/phone", phone, 200).await;
    }

    /// A message to a citizen on board, until it is in the inbox.
    pub async fn send(&self, code: &str, subject: &str) -> String {
        let door = self.plant.addresses.sender_api.expect("a sender API");
        let body = json!({"fiscal_code": code, "content": {"subject": subject,
            "markdown": format!("{subject}: {}", "a body of at least eighty characters. ".repeat(3))}});
        let request = || {
            let request = self.client.post(format!("http://{door}/api/v1/messages"));
            request.header("Ocp-Apim-Subscription-Key", API_KEY).json(&body).send()
        };
        // The service is known as soon as the follower has read it.
        let mut answer = request().await.expect("an answer");
        until("the service is known", async || {
            if answer.status() != 201 {
                answer = request().await.expect("an answer");
            }
            answer.status() == 201
        })
        .await;
        let answer: Value = answer.json().await.expect("json");
        let id = answer["id"].as_str().expect("an id").to_owned();
        until("it is in the inbox", async || self.inbox(code).await.contains(&id)).await;
        id
    }

    pub async fn inbox(&self, code: &str) -> Vec<String> {
        let get = reqwest::Method::GET;
        let page = self.as_citizen(code, get, "/inbox", Value::Null, 200).await;
        let ids = page["items"].as_array().expect("items").iter();
        ids.map(|it| it["id"].as_str().expect("an id").to_owned()).collect()
    }

    pub fn read(&self, topic: Topic) -> Vec<Incoming> {
        super::read(self.plant.site.log.as_ref(), topic)
    }

    /// Writes a record once more, as it lay there.
    pub fn repeat(&self, record: &Incoming, citizen: Pseudonym) {
        let again = Outgoing {
            topic: record.position.at.topic,
            key: record.key.clone(),
            partition_by: citizen.to_string().into_bytes(),
            value: record.value.clone(),
            headers: Headers::from_raw(&record.headers),
        };
        let mut writer = self.plant.site.log.writer("again").expect("a writer");
        writer.write(vec![again]).expect("written");
    }
}

/// Waits until it holds, for at most a minute.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..3_000 {
        looks.tick().await;
        if holds().await {
            return;
        }
    }
    panic!("not within a minute: {what}");
}

fn service() -> Value {
    json!({"service_id": "01LAWLAWLAWLAWLAWLAWLAWLAW", "catalogue_key": "law", "name": "Anagrafe",
        "description": "A service of a law.",
        "organisation": {"name": "Comune di Laricheto", "fiscal_code": "80001017773",
            "department": "Anagrafe"},
        "account": {"account_id": "01ACCOUNT", "email": "nessuno@example.com"},
        "groups": ["ApiMessageRead", "ApiMessageWrite", "ApiNoRateLimit"],
        "category": "STANDARD", "require_secure_channels": false,
        "max_allowed_payment_amount": 0, "authorized_cidrs": ["0.0.0.0/0"],
        "authorized_recipients": [], "remote_content_configurations": [],
        "api_keys": {"primary": API_KEY, "secondary": "another-key-of-a-law"},
        "metadata": {"scope": "LOCAL"}})
}

/// A signing key, and the key set in which it is published.
fn identity() -> (EncodingKey, Value) {
    use base64::Engine as _;
    let pair = rcgen::KeyPair::generate().expect("a key");
    let point = pair.public_key_raw();
    let text = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    let keys = json!({"keys": [{
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "law",
        "x": text(&point[1..33]), "y": text(&point[33..]),
    }]});
    (EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).expect("a key"), keys)
}

//! A sender API on a port of its own, with the sample services.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use policy::admit::service::Service;
use policy::admit::service_file::{self, Entry};
use producers::batch::{BatchConfig, Batches};
use producers::http::{ServeLimits, serve};
use producers::ingest::{
    Ingest, IngestConfig, IngestMetrics, Limiter, Registry, Sealer, TrustedProxy, router,
};
use reqwest::{Client, RequestBuilder, Response};
use runtime::embedded::EmbeddedLog;
use runtime::log::Log as _;
use runtime::world::World;
use schemas::codec::Codec;
use schemas::ids::{MessageId, Timestamp};
use schemas::records::ServiceRecord;
use sealing::{KeySchedule, KeySchedules, Keyring, SystemEntropy, TransitKeys};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::fakes::{ClaimStore, Clock, Log, Mood, View};

pub const SERVICES: &str = include_str!("../../../../pipeline/data/services.json");
pub const SANDBOX: &str = "AAAAAA00A00A000A";
/// All write rights but the special ones, no rate limit.
pub const PLAIN: &str = "01JNDKQJM0THQ3F7T59F27VNZ4";
/// One of several services of an account under the default limit.
pub const LIMITED_RATE: &str = "01JNDKSD70G35RR3WGHD540DWH";
pub const SAME_ACCOUNT: &str = "01JNDKX2D06R6MWM12V1P3T45W";
pub const READ_ONLY: &str = "01JNDMK1H0ZFP8FVD2B9D0EADY";
pub const ADVANCED: &str = "01JNDMFCB0W3NQA7FZ6KP3M3NV";
pub const SPECIAL: &str = "01JNDM4CS0M7ETHPMW6XQZPTCB";

pub struct Setup {
    pub config: IngestConfig,
    pub limits: ServeLimits,
    pub tls: Option<Arc<rustls::ServerConfig>>,
    pub change: fn(&mut Service),
}

impl Default for Setup {
    fn default() -> Self {
        let config = IngestConfig {
            trusted_proxies: vec![TrustedProxy::try_from("127.0.0.0/8".to_owned()).unwrap()],
            status_wait_ms: 30_000,
            ..IngestConfig::default()
        };
        let limits = ServeLimits { grace: Duration::from_secs(30), ..ServeLimits::default() };
        Self { config, limits, tls: None, change: |_| {} }
    }
}

pub struct Api {
    pub address: SocketAddr,
    pub client: Client,
    pub log: Arc<Log>,
    pub view: Arc<View>,
    pub claims: Arc<ClaimStore>,
    pub clock: Arc<Clock>,
    pub keyring: Arc<Keyring>,
    pub registry: Arc<Registry>,
    pub keys: HashMap<String, [String; 2]>,
    pub stop: oneshot::Sender<()>,
    pub served: tokio::task::JoinHandle<()>,
}

pub fn client() -> reqwest::ClientBuilder {
    // The second call finds it installed.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Client::builder()
}

impl Api {
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn with(setup: Setup) -> Self {
        super::privacy::capture();
        let now = Timestamp(1_795_420_800_000);
        let clock = Clock::at(now);
        let world = World::new(clock.clone(), schemas::codec::Codec::default(), 1.0);
        let keyring = Arc::new(Keyring::generate(&SystemEntropy, now));
        let transit = Arc::new(RwLock::new(transit(&keyring, now)));
        let sealer = Sealer { keyring: keyring.clone(), transit: transit.clone() };
        let (registry, keys) = registry(&sealer, setup.change);
        let view = Arc::new(View::default());
        let log = Arc::new(Log {
            mood: Mutex::new(Mood::Takes),
            records: Mutex::default(),
            claims: Mutex::default(),
            view: view.clone(),
            transit,
        });
        let claims = Arc::new(ClaimStore::default());
        let ingest = Ingest {
            world,
            limiter: Arc::new(Limiter::new(setup.config.limits())),
            config: setup.config,
            registry: registry.clone(),
            sealer,
            metrics: IngestMetrics::new(&prometheus::Registry::new()),
            accept: log.clone(),
            statuses: view.clone(),
            contents: log.clone(),
            profiles: view.clone(),
            claims: claims.clone(),
            batches: Arc::new(no_batches()),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let app = router(Arc::new(ingest));
        let served = tokio::spawn(serve(listener, app, setup.tls, setup.limits, shutdown));
        let client = client().build().unwrap();
        Self { address, client, log, view, claims, clock, keyring, registry, keys, stop, served }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}/api/v1{path}", self.address)
    }

    pub fn key(&self, service: &str) -> &str {
        &self.keys[service][0]
    }

    pub fn get(&self, service: &str, path: &str) -> RequestBuilder {
        self.client.get(self.url(path)).header("Ocp-Apim-Subscription-Key", self.key(service))
    }

    pub fn post(&self, service: &str, path: &str) -> RequestBuilder {
        self.client.post(self.url(path)).header("Ocp-Apim-Subscription-Key", self.key(service))
    }

    pub async fn submit(&self, service: &str, body: &Value) -> Response {
        self.post(service, "/messages").json(body).send().await.unwrap()
    }

    /// Submits a good message and gives its id.
    pub async fn accepted(&self, service: &str) -> MessageId {
        let response = self.submit(service, &a_body()).await;
        assert_eq!(response.status(), 201);
        id_of(response).await
    }
}

pub async fn id_of(response: Response) -> MessageId {
    response.json::<Value>().await.unwrap()["id"].as_str().unwrap().parse().unwrap()
}

pub fn a_body() -> Value {
    json!({
        "fiscal_code": SANDBOX,
        "content": { "subject": "Comunicazione di prova", "markdown": "a".repeat(80) }
    })
}

/// Nobody owns batches here; their laws are in a folder of their own.
fn no_batches() -> Batches {
    let world = World::real(tokio::runtime::Handle::current(), Codec::default(), 1.0);
    let log = EmbeddedLog::in_memory(world, 1);
    let store = Arc::new(crate::batch::bed::Chunks::default());
    Batches::new(BatchConfig::default(), Arc::default(), log.appender().unwrap(), store)
}

pub fn transit(keyring: &Keyring, now: Timestamp) -> TransitKeys {
    let daily = KeySchedule::daily(Duration::from_secs(86_400));
    let schedules = KeySchedules { wire: daily, dead_letter: daily, batch_rows: daily };
    let mut keys = TransitKeys::default();
    let due = keys.due_records(&SystemEntropy, keyring.masters(), now, &schedules).unwrap();
    due.iter().for_each(|record| keys.apply(keyring.masters(), record).unwrap());
    keys
}

pub type Keys = HashMap<String, [String; 2]>;

pub fn registry(sealer: &Sealer, change: fn(&mut Service)) -> (Arc<Registry>, Keys) {
    let registry = Registry::default();
    let mut keys = HashMap::new();
    let pseudonym_of = |code: &_| sealer.pseudonym_of(code);
    for mut entry in service_file::read(SERVICES, &pseudonym_of).unwrap() {
        change(&mut entry.service);
        let id = entry.service.service_id.clone();
        let (primary, secondary) = (entry.keys.primary.clone(), entry.keys.secondary.clone());
        keys.insert(id.to_string(), [primary, secondary]);
        registry.apply(&record(sealer, entry)).unwrap();
    }
    (Arc::new(registry), keys)
}

fn record(sealer: &Sealer, entry: Entry) -> ServiceRecord {
    let hashes = sealer.keyring.hashes();
    let document = entry.into_document(&|key| hashes.api_key(key).to_string());
    ServiceRecord {
        service_id: document.service.service_id.clone(),
        document: serde_json::to_string(&document).unwrap(),
        updated_at: Timestamp(0),
    }
}

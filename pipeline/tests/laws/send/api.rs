//! The sender API's real router on a port of its own, before doubles that behave.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use policy::admit::projection::{ChannelStatus, Standing};
use policy::admit::service_file;
use policy::claim::{Claimed, Held, judge};
use policy::consent::Citizen;
use producers::batch::{BatchConfig, Batches, ChunkStore, StoreDown};
use producers::http::{ServeLimits, serve};
use producers::ingest::ports::{
    Accept, Appended, Claims, Contents, Known, NotReady, Profiles, Statuses,
};
use producers::ingest::{
    Ingest, IngestConfig, IngestMetrics, Limiter, Registry, Sealer, TrustedProxy, router,
};
use runtime::embedded::EmbeddedLog;
use runtime::log::{Log as _, Position, TopicPartition};
use runtime::world::World;
use schemas::codec::Codec;
use schemas::content::Content;
use schemas::headers::Claim;
use schemas::ids::{MessageId, Pseudonym, ServiceId};
use schemas::records::{MessageAccepted, ServiceRecord, Status};
use schemas::topics::{Lane, Topic};
use sealing::{KeySchedule, KeySchedules, Keyring, SystemEntropy, TransitKeys};
use tokio::sync::{oneshot, watch};

const SERVICES: &str = include_str!("../../../data/services.json");
/// All write rights but the special ones, no rate limit.
pub const PLAIN: &str = "01JNDKQJM0THQ3F7T59F27VNZ4";
/// Of an account under the default limit.
pub const LIMITED_RATE: &str = "01JNDKSD70G35RR3WGHD540DWH";

/// What becomes of the next appends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Takes,
    /// Takes, and loses every other acknowledgement.
    Forgets,
    /// Takes so many, then neither takes nor answers until the mood changes.
    StopsAfter(usize),
}

/// Records, claims and statuses.
pub struct Behind {
    mood: watch::Sender<Mood>,
    /// Message ids in the order of their appends.
    appended: Mutex<Vec<MessageId>>,
    known: Mutex<BTreeMap<MessageId, Known>>,
    claims: Mutex<HashMap<[u8; 32], Held>>,
    /// Those whose append was acknowledged.
    seen: Mutex<HashSet<MessageId>>,
    /// How many appends there were, for who waits for some.
    count: watch::Sender<usize>,
}

impl Behind {
    pub fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// Different messages, and appends in all.
    pub fn messages(&self) -> (usize, usize) {
        let appended = self.appended.lock();
        let different: std::collections::BTreeSet<_> = appended.iter().collect();
        (different.len(), appended.len())
    }

    pub async fn reached(&self, count: usize) {
        let mut reached = self.count.subscribe();
        reached.wait_for(|now| *now >= count).await.unwrap();
    }
}

#[async_trait]
impl Accept for Behind {
    async fn append(&self, message: MessageAccepted, _: Option<Claim>) -> Appended {
        let mut mood = self.mood.subscribe();
        let room = |mood: &Mood| match mood {
            Mood::Takes | Mood::Forgets => true,
            Mood::StopsAfter(most) => self.appended.lock().len() < *most,
        };
        let mood = *mood.wait_for(room).await.unwrap();
        let id = message.message_id;
        let place = Position {
            at: TopicPartition { topic: Topic::Accepted(Lane::Live), partition: 0 },
            offset: 0,
        };
        let (citizen, service_id) = (message.citizen, message.service_id);
        let standing = Standing::default();
        self.known.lock().insert(id, Known { citizen, service_id, standing, place });
        let nth = {
            let mut appended = self.appended.lock();
            appended.push(id);
            appended.len()
        };
        self.count.send_replace(nth);
        if mood == Mood::Forgets && nth % 2 == 1 {
            return Appended::Unknown;
        }
        self.seen.lock().insert(id);
        Appended::Acked
    }
}

#[async_trait]
impl Claims for Behind {
    async fn claim(&self, claim: &Claim, offered: MessageId) -> Result<Claimed, NotReady> {
        let mut claims = self.claims.lock();
        let held = claims.get(&claim.name).copied();
        claims.entry(claim.name).or_insert(Held {
            request: claim.request,
            id: offered,
            is_in_log: false,
        });
        let held = held.map(|held| Held { is_in_log: self.seen.lock().contains(&held.id), ..held });
        Ok(judge(claim, held))
    }
}

#[async_trait]
impl Statuses for Behind {
    /// Every message is on a phone by the time it is asked for.
    async fn standing(&self, id: MessageId, _: Duration) -> Result<Option<Known>, NotReady> {
        let mut known = self.known.lock().get(&id).cloned();
        if let Some(known) = &mut known {
            let push = Some(ChannelStatus::Sent);
            known.standing = Standing { status: Status::Notified, stored: true, push, email: None };
        }
        Ok(known)
    }
}

#[async_trait]
impl Contents for Behind {
    async fn open(&self, _: &Known, _: MessageId) -> Result<Option<Content>, NotReady> {
        Ok(None)
    }
}

#[async_trait]
impl Profiles for Behind {
    async fn citizen(&self, _: Pseudonym, _: &ServiceId) -> Result<Citizen, NotReady> {
        Err(NotReady)
    }
}

/// The running API.
pub struct Api {
    pub address: SocketAddr,
    pub behind: Arc<Behind>,
    pub metrics: prometheus::Registry,
    keys: HashMap<String, String>,
    _stop: oneshot::Sender<()>,
}

impl Api {
    /// `calls` a second for accounts under the default limit.
    pub async fn start(calls: u32) -> Self {
        let world = World::real(tokio::runtime::Handle::current(), Codec::default(), 1.0);
        let now = world.now();
        let keyring = Arc::new(Keyring::generate(&SystemEntropy, now));
        let daily = KeySchedule::daily(Duration::from_secs(86_400));
        let schedules = KeySchedules { wire: daily, dead_letter: daily, batch_rows: daily };
        let mut transit = TransitKeys::default();
        let masters = keyring.masters();
        let due = transit.due_records(&SystemEntropy, masters, now, &schedules).unwrap();
        due.iter().for_each(|record| transit.apply(masters, record).unwrap());
        let sealer = Sealer { keyring, transit: Arc::new(RwLock::new(transit)) };
        let (registry, keys) = registry(&sealer, now);
        let mut config = IngestConfig {
            trusted_proxies: vec![TrustedProxy::try_from("127.0.0.0/8".to_owned()).unwrap()],
            client_address_headers: vec!["x-client-ip".to_owned()],
            ..IngestConfig::default()
        };
        (config.rate.window_ms, config.rate.default_calls) = (1_000, calls);
        let behind = Arc::new(Behind {
            mood: watch::Sender::new(Mood::Takes),
            appended: Mutex::default(),
            known: Mutex::default(),
            claims: Mutex::default(),
            seen: Mutex::default(),
            count: watch::Sender::new(0),
        });
        let metrics = prometheus::Registry::new();
        let ingest = Ingest {
            world,
            limiter: Arc::new(Limiter::new(config.limits())),
            config,
            registry: Arc::new(registry),
            sealer,
            metrics: IngestMetrics::new(&metrics),
            accept: behind.clone(),
            statuses: behind.clone(),
            contents: behind.clone(),
            profiles: behind.clone(),
            claims: behind.clone(),
            batches: Arc::new(no_batches()),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let app = router(Arc::new(ingest));
        tokio::spawn(serve(listener, app, None, ServeLimits::default(), shutdown));
        Self { address, behind, metrics, keys, _stop: stop }
    }

    pub fn key(&self, service: &str) -> &str {
        &self.keys[service]
    }

    /// Requests answered by `status` so far.
    pub fn answered(&self, status: &str) -> f64 {
        let families = self.metrics.gather();
        let all = families.iter().filter(|family| family.name() == "ingest_requests_total");
        let metrics = all.flat_map(|family| family.get_metric());
        let ours = metrics.filter(|it| it.get_label().iter().any(|label| label.value() == status));
        ours.map(|metric| metric.get_counter().get_value()).sum()
    }
}

/// Every sample service, open to every address, and its primary key.
fn registry(sealer: &Sealer, now: schemas::ids::Timestamp) -> (Registry, HashMap<String, String>) {
    let (registry, mut keys) = (Registry::default(), HashMap::new());
    let pseudonym_of = |code: &_| sealer.pseudonym_of(code);
    for mut entry in service_file::read(SERVICES, &pseudonym_of).unwrap() {
        entry.service.authorized_cidrs = Vec::new();
        let id = entry.service.service_id.clone();
        keys.insert(id.to_string(), entry.keys.primary.clone());
        let hashes = sealer.keyring.hashes();
        let document = entry.into_document(&|key| hashes.api_key(key).to_string());
        let document = serde_json::to_string(&document).unwrap();
        registry.apply(&ServiceRecord { service_id: id, document, updated_at: now }).unwrap();
    }
    (registry, keys)
}

struct NoChunks;

#[async_trait]
impl ChunkStore for NoChunks {
    async fn put(&self, _: &str, _: Vec<u8>) -> Result<(), StoreDown> {
        Err(StoreDown)
    }

    async fn get(&self, _: &str, _: u64) -> Result<Option<Vec<u8>>, StoreDown> {
        Err(StoreDown)
    }
}

/// `send` makes single calls: nobody owns batches here.
fn no_batches() -> Batches {
    let world = World::real(tokio::runtime::Handle::current(), Codec::default(), 1.0);
    let log = EmbeddedLog::in_memory(world, 1);
    let orders = log.appender().unwrap();
    Batches::new(BatchConfig::default(), Arc::default(), orders, Arc::new(NoChunks))
}

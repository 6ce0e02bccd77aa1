//! A sender API with owners of batches over an embedded log, and hands to play the rest of the pipeline.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use policy::admit::service::Service;
use producers::batch::{
    BatchConfig, BatchMetrics, BatchView, Batches, ChunkStore, Owner, OwnerParts, StoreDown, follow,
};
use producers::http::{ServeLimits, serve};
use producers::ingest::{Ingest, IngestConfig, IngestMetrics, Limiter, Registry, Sealer, router};
use reqwest::{RequestBuilder, Response};
use runtime::dead::status_record;
use runtime::embedded::{EmbeddedLog, Settings};
use runtime::log::{Incoming, Log, LogError, Outgoing, Seat, Start, TopicPartition, read_to_end};
use runtime::world::World;
use schemas::codec::Codec;
use schemas::headers::Headers;
use schemas::records::{BatchCommand, BatchOrder, MessageAccepted, MessageStatus, Reason, Status};
use schemas::topics::{Lane, Topic};
use sealing::{Keyring, Part, SystemEntropy, TransitKeys};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::ingest::fakes::{ClaimStore, Log as Accepts, Mood, View};
use crate::ingest::support::{Keys, PLAIN, SANDBOX, client, registry, transit};

const PARTITIONS: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(60);

/// Chunks in memory.
#[derive(Default)]
pub struct Chunks {
    pub down: AtomicBool,
    held: Mutex<HashMap<String, Vec<u8>>>,
}

#[async_trait]
impl ChunkStore for Chunks {
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreDown> {
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreDown);
        }
        self.held.lock().insert(name.to_owned(), bytes);
        Ok(())
    }

    async fn get(&self, name: &str, length: u64) -> Result<Option<Vec<u8>>, StoreDown> {
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreDown);
        }
        let held = self.held.lock().get(name).cloned();
        Ok(held.filter(|bytes| bytes.len() as u64 == length))
    }
}

impl Chunks {
    pub fn lose_all(&self) {
        self.held.lock().clear();
    }
}

/// What a law sets before it begins.
#[derive(Clone)]
pub struct Setup {
    pub config: BatchConfig,
    pub change: fn(&mut Service),
    /// In memory where absent.
    pub folder: Option<PathBuf>,
    /// Groups whose backlog holds the release back.
    pub lane: Vec<Seat>,
}

impl Default for Setup {
    fn default() -> Self {
        let config = BatchConfig { chunk_rows: 10, ..BatchConfig::default() };
        let free = |service: &mut Service| service.authorized_cidrs.clear();
        Self { config, change: free, folder: None, lane: Vec::new() }
    }
}

pub struct Bed {
    pub world: World,
    pub log: EmbeddedLog,
    pub chunks: Arc<Chunks>,
    pub registry: Arc<Registry>,
    pub keys: Keys,
    pub transit: Arc<RwLock<TransitKeys>>,
    pub keyring: Arc<Keyring>,
    batch_metrics: BatchMetrics,
    url: String,
    client: reqwest::Client,
    setup: Setup,
    stop: Arc<AtomicBool>,
    follower: Option<JoinHandle<()>>,
}

/// The seat of owners.
pub fn seat(ordinal: u32) -> Seat {
    Seat { group: "batch.bulk".into(), topics: vec![Topic::BatchCommand], ordinal }
}

/// The group that takes what is released.
pub fn lane() -> Seat {
    Seat { group: "consent.bulk".into(), topics: vec![Topic::Accepted(Lane::Bulk)], ordinal: 0 }
}

impl Bed {
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn with(setup: Setup) -> Self {
        let world = World::real(tokio::runtime::Handle::current(), Codec::default(), 1.0);
        let log = match &setup.folder {
            None => EmbeddedLog::in_memory(world.clone(), PARTITIONS),
            Some(folder) => {
                let settings = Settings { partitions: PARTITIONS, ..Settings::default() };
                EmbeddedLog::open(folder, world.clone(), settings).unwrap()
            }
        };
        log.apply(&[], PARTITIONS, &[seat(0), lane()]).unwrap();
        let keyring = Arc::new(Keyring::generate(&SystemEntropy, world.now()));
        let transit = Arc::new(RwLock::new(transit(&keyring, world.now())));
        let sealer = Sealer { keyring: keyring.clone(), transit: transit.clone() };
        let (registry, keys) = registry(&sealer, setup.change);
        let metrics = prometheus::Registry::new();
        let stop = Arc::new(AtomicBool::new(false));
        let (view, chunks) = (Arc::new(BatchView::default()), Arc::new(Chunks::default()));
        let follower = {
            let (view, log, world) = (view.clone(), log.clone(), world.clone());
            let stop = stop.clone();
            std::thread::spawn(move || follow(&view, &log, &world, &stop).unwrap())
        };
        let orders = log.appender().unwrap();
        let batches = Batches::new(setup.config.clone(), view, orders, chunks.clone());
        let ingest = ingest(&world, &registry, sealer, batches, transit.clone(), &metrics);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/v1", listener.local_addr().unwrap());
        let limits = ServeLimits::default();
        tokio::spawn(serve(listener, router(ingest), None, limits, std::future::pending()));
        let (batch_metrics, client) = (BatchMetrics::new(&metrics), client().build().unwrap());
        let follower = Some(follower);
        Self {
            world,
            log,
            chunks,
            registry,
            keys,
            transit,
            keyring,
            batch_metrics,
            url,
            client,
            setup,
            stop,
            follower,
        }
    }

    pub fn owner(&self) -> Owner {
        self.owner_as(0)
    }

    fn owner_as(&self, ordinal: u32) -> Owner {
        let parts = OwnerParts {
            config: self.setup.config.clone(),
            world: self.world.clone(),
            log: Arc::new(self.log.clone()),
            sealer: Sealer { keyring: self.keyring.clone(), transit: self.transit.clone() },
            registry: self.registry.clone(),
            store: self.chunks.clone(),
            metrics: self.batch_metrics.clone(),
            seal: Arc::new(|_, plain| Ok((Vec::new(), plain.to_vec()))),
            lane: self.setup.lane.clone(),
            runtime: tokio::runtime::Handle::current(),
        };
        Owner::new(parts, self.log.join(&seat(ordinal)).unwrap())
    }

    /// An owner that works until it is let go.
    pub fn own(&self) -> Owning {
        self.own_as(0)
    }

    pub fn own_as(&self, ordinal: u32) -> Owning {
        let mut owner = self.owner_as(ordinal);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let work = move || {
            while !stopped.load(Ordering::SeqCst) {
                match owner.step() {
                    Ok(_) | Err(LogError::Unavailable(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        };
        Owning { stop, thread: Some(std::thread::spawn(work)) }
    }

    pub fn request(&self, method: &str, service: &str, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.url);
        self.client
            .request(method.parse().unwrap(), url)
            .header("Ocp-Apim-Subscription-Key", &self.keys[service][0])
    }

    pub async fn create(&self, request: &Value) -> Response {
        self.request("POST", PLAIN, "/batches").json(request).send().await.unwrap()
    }

    /// A batch by its id.
    pub async fn made(&self, request: &Value) -> String {
        let response = self.create(request).await;
        assert_eq!(response.status(), 201);
        response.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
    }

    pub async fn put(&self, batch: &str, query: &str, body: impl Into<reqwest::Body>) -> Response {
        let path = format!("/batches/{batch}/rows{query}");
        self.request("PUT", PLAIN, &path).body(body).send().await.unwrap()
    }

    pub async fn order(&self, batch: &str, order: &str) -> Response {
        self.request("POST", PLAIN, &format!("/batches/{batch}/{order}")).send().await.unwrap()
    }

    /// The batch; its counters add up whenever it is looked at.
    pub async fn look(&self, batch: &str) -> Value {
        let response =
            self.request("GET", PLAIN, &format!("/batches/{batch}")).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let shown: Value = response.json().await.unwrap();
        let counters = shown["counters"].as_object().unwrap();
        let places = counters.iter().filter(|(name, _)| *name != "rows" && *name != "repeated");
        let sum: i64 = places.map(|(_, count)| count.as_i64().unwrap()).sum();
        assert_eq!(counters["rows"].as_i64(), Some(sum), "{shown}");
        shown
    }

    /// An order past the doors.
    pub async fn order_by_hand(&self, batch: &str, order: BatchOrder) {
        let order = BatchCommand {
            batch_id: batch.to_owned(),
            service_id: PLAIN.to_owned().into(),
            at: self.world.now(),
            order,
            plan: None,
            chunk: None,
        };
        let key = batch.as_bytes().to_vec();
        let record = Outgoing {
            topic: Topic::BatchCommand,
            partition_by: key.clone(),
            key,
            value: Some(Codec::default().encode(&order)),
            headers: Headers::default(),
        };
        self.log.appender().unwrap().append(record).await.unwrap();
    }

    pub async fn complete_by_hand(&self, batch: &str) {
        self.order_by_hand(batch, BatchOrder::Complete).await;
    }

    /// So many events, once there are as many.
    pub async fn told(&self, count: usize) -> Vec<MessageStatus> {
        let until = Instant::now() + PATIENCE;
        loop {
            let records = self.read(Topic::Status);
            if records.len() >= count {
                let decoded = records.into_iter().map(|record| record.value.unwrap());
                return decoded.map(|value| Codec::default().decode(&value).unwrap()).collect();
            }
            assert!(Instant::now() < until, "{} events in vain", records.len());
            tokio::task::yield_now().await;
        }
    }

    /// Looks until `wanted` is met.
    pub async fn look_until(&self, batch: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let shown = self.look(batch).await;
            if wanted(&shown) {
                return shown;
            }
            assert!(Instant::now() < until, "waited in vain: {shown}");
            tokio::task::yield_now().await;
        }
    }

    pub async fn results(&self, batch: &str) -> Vec<Value> {
        let path = format!("/batches/{batch}/results");
        let response = self.request("GET", PLAIN, &path).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let text = response.text().await.unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Every record of a topic by now.
    pub fn read(&self, topic: Topic) -> Vec<Incoming> {
        let mut records = Vec::new();
        let mut reader = self.log.reader(&[topic], &Start::Beginning).unwrap();
        read_to_end(reader.as_mut(), PARTITIONS, |record| records.push(record)).unwrap();
        records
    }

    /// Messages in the bulk lane, by their row.
    pub fn released(&self) -> BTreeMap<(String, i64), MessageAccepted> {
        let records = self.read(Topic::Accepted(Lane::Bulk));
        let count = records.len();
        let decoded = records.into_iter().map(|record| {
            let message: MessageAccepted = Codec::default().decode(&record.value.unwrap()).unwrap();
            let row = message.batch.clone().unwrap();
            ((row.batch_id, row.row), message)
        });
        let by_row: BTreeMap<_, _> = decoded.collect();
        assert_eq!(by_row.len(), count, "a row was released twice");
        by_row
    }

    pub fn subject(&self, message: &MessageAccepted) -> String {
        let key = self.transit.read().unwrap(message.message_id, &message.sealed.wrapped_key.0);
        let content = &message.sealed.content.0;
        let plain = key.unwrap().open(Part::Content, message.message_id, content).unwrap();
        let content: Value = serde_json::from_slice(&plain).unwrap();
        content["content"]["subject"].as_str().unwrap().to_owned()
    }

    /// Plays the rest of the pipeline: what became of a message.
    pub async fn tell(&self, message: &MessageAccepted, sequence: i32, status: Status) {
        let event = MessageStatus {
            message_id: message.message_id,
            service_id: message.service_id.clone(),
            batch: message.batch.clone(),
            epoch: 0,
            sequence,
            status,
            reason: Reason::None,
            channel: None,
            outcome: None,
            provider_id: None,
            attempt: 0,
            at: self.world.now(),
        };
        let record = status_record(&event, &Headers::default(), &Codec::default());
        self.log.appender().unwrap().append(record).await.unwrap();
    }

    /// Plays the lane's consumer: takes everything that was released by now.
    pub fn take_all(&self) {
        let mut member = self.log.join(&lane()).unwrap();
        let mut offsets: BTreeMap<TopicPartition, u64> = BTreeMap::new();
        loop {
            let polled = member.poll(10_000, Duration::ZERO).unwrap();
            if polled.records.is_empty() && polled.assigned.is_empty() {
                break;
            }
            for record in polled.records {
                offsets.insert(record.position.at, record.position.offset + 1);
            }
        }
        let offsets = offsets.into_iter().collect();
        member.commit(runtime::log::Transaction { outputs: Vec::new(), offsets }).unwrap();
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(follower) = self.follower.take() {
            let _ = follower.join();
        }
    }
}

/// An owner at work.
pub struct Owning {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Owning {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the owner panicked");
        }
    }
}

fn ingest(
    world: &World,
    registry: &Arc<Registry>,
    sealer: Sealer,
    batches: Batches,
    transit: Arc<RwLock<TransitKeys>>,
    metrics: &prometheus::Registry,
) -> Arc<Ingest> {
    let config = IngestConfig::default();
    let view = Arc::new(View::default());
    let accepts = Arc::new(Accepts {
        mood: Mutex::new(Mood::Takes),
        records: Mutex::default(),
        claims: Mutex::default(),
        view: view.clone(),
        transit,
    });
    Arc::new(Ingest {
        world: world.clone(),
        limiter: Arc::new(Limiter::new(config.limits())),
        config,
        registry: registry.clone(),
        sealer,
        metrics: IngestMetrics::new(metrics),
        accept: accepts.clone(),
        statuses: view.clone(),
        contents: accepts,
        profiles: view,
        claims: Arc::new(ClaimStore::default()),
        batches: Arc::new(batches),
    })
}

/// A good row with that subject's number.
pub fn row(n: usize) -> Value {
    json!({
        "fiscal_code": SANDBOX,
        "content": { "subject": format!("Comunicazione {n}"), "markdown": "a".repeat(80) }
    })
}

/// Good rows, one a line.
pub fn rows(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|n| format!("{}\n", row(n))).collect()
}

//! What housekeeping takes away, what it leaves, and that an erasure is final.

mod attack;
mod erasure;
mod keys;
mod objects;
mod time;
mod town;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use consumers::keys::Keys;
use consumers::vault::{Store, StoreConfig};
use parking_lot::RwLock;
use runtime::embedded::EmbeddedLog;
use runtime::log::{Incoming, Log, Outgoing, Start};
use runtime::world::{Sources, Task as Future, World};
use schemas::codec::{Codec, Record};
use schemas::headers::Headers;
use schemas::ids::Timestamp;
use schemas::topics::Topic;
use sealing::{Keyring, SystemEntropy, TransitKeys};

use super::{Housekeeping, HousekeepingMetrics, Pace};

const START: Timestamp = Timestamp(1_800_000_000_000);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// A clock that stands until it is set.
struct Clock(AtomicI64);

impl Clock {
    fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).expect("a while");
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Sources for Clock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
    fn spawn(&self, task: Future) {
        futures::executor::block_on(task);
    }
    fn sleep_until(&self, _: Timestamp) -> Future {
        Box::pin(std::future::ready(()))
    }
}

/// A house over a log in memory and a folder of objects.
struct House {
    house: Housekeeping,
    clock: Arc<Clock>,
    objects: Store,
    runtime: tokio::runtime::Runtime,
    folder: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let clock = Arc::new(Clock(AtomicI64::new(START.0)));
        let world = World::new(clock.clone(), Codec::default(), 1.0);
        let log = EmbeddedLog::in_memory(world.clone(), 3);
        let folder = tempfile::tempdir().expect("a folder");
        let config =
            StoreConfig { folder: folder.path().join("objects"), ..StoreConfig::default() };
        let objects = Store::open(&config).expect("a store");
        let keys = Keys {
            keyring: Arc::new(Keyring::generate(&SystemEntropy, START)),
            transit: Arc::new(RwLock::new(TransitKeys::default())),
            entropy: Arc::new(SystemEntropy),
        };
        let house = Housekeeping {
            log: Arc::new(log.clone()),
            embedded: Some(log),
            objects: Some(objects.clone()),
            keys,
            world,
            pace: Pace { sweep: HOUR, compact: 12 * HOUR, days: 6 * HOUR, margin: DAY },
            metrics: HousekeepingMetrics::new(&prometheus::Registry::new()),
            stop: Arc::new(AtomicBool::new(false)),
            next: BTreeMap::new(),
        };
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        Self { house, clock, objects, runtime, folder }
    }

    fn write(&self, records: Vec<Outgoing>) {
        self.house.log.writer("laws").expect("a writer").write(records).expect("memory takes all");
    }

    fn turn(&mut self) {
        self.house.turn(self.runtime.handle());
    }

    fn read(&self, topic: Topic) -> Vec<Incoming> {
        read(self.house.log.as_ref(), topic)
    }
}

/// All that a topic holds.
fn read(log: &dyn Log, topic: Topic) -> Vec<Incoming> {
    let mut reader = log.reader(&[topic], &Start::Beginning).expect("a reader");
    let (mut records, mut ended) = (Vec::new(), BTreeSet::new());
    while ended.len() < log.partitions(topic).expect("the topic is there") as usize {
        let read = reader.poll(10_000, Duration::ZERO).expect("the log holds");
        records.extend(read.records);
        ended.extend(read.ended.into_iter().map(|(at, _)| at));
    }
    records
}

fn record<R: Record>(topic: Topic, key: String, partition_by: String, value: &R) -> Outgoing {
    Outgoing {
        topic,
        key: key.into_bytes(),
        partition_by: partition_by.into_bytes(),
        value: Some(Codec::default().encode(value)),
        headers: Headers::default(),
    }
}

//! A log, a projector and a view, and records that came under a key.

use std::sync::Arc;
use std::time::Duration;

use runtime::embedded::EmbeddedLog;
use runtime::log::{Log, Outgoing, Position, TopicPartition, Writer};
use runtime::world::World;
use schemas::codec::Codec;
use schemas::headers::{Claim, Headers};
use schemas::ids::MessageId;
use schemas::topics::{Lane, Topic};

use crate::claims::{ClaimView, EmbeddedClaims, RedisClaims, Sighting, topics};
use crate::view::test_redis::{name, shared};
use crate::view::{Pace, Projection, Projector, RedisServer, Stepped};

/// Everything that an implementation of the claims is.
pub trait Whole: ClaimView + Projection {}
impl<T: ClaimView + Projection> Whole for T {}

pub struct Rig {
    log: EmbeddedLog,
    writer: Box<dyn Writer>,
    pub claims: Arc<dyn Whole>,
    pub projector: Projector,
    pub world: World,
}

/// Short enough to be waited for, long enough for a test to look first.
pub const KEPT: Duration = Duration::from_millis(1_500);

pub fn world() -> World {
    World::real(tokio::runtime::Handle::current(), Codec::default(), 1.0)
}

impl Rig {
    pub fn embedded() -> Self {
        let world = world();
        Self::over(world.clone(), Arc::new(EmbeddedClaims::new(world, KEPT)))
    }

    pub fn redis() -> Self {
        let world = world();
        let server = Arc::new(RedisServer::new(&shared(), None).expect("an address"));
        let claims = RedisClaims::new(server, &name(), world.clone(), KEPT);
        Self::over(world, Arc::new(claims))
    }

    pub fn over<L: Whole + 'static>(world: World, claims: Arc<L>) -> Self {
        let log = EmbeddedLog::in_memory(world.clone(), 1);
        let writer = log.writer("test").expect("a writer");
        let projector = projector(&log, claims.clone());
        Self { log, writer, claims, projector, world }
    }

    /// Everything is forgotten, and read again by another process.
    pub async fn lose(&mut self) {
        self.claims.restart().await.expect("a server");
        self.projector = projector(&self.log, self.claims.clone());
    }

    pub fn write(&mut self, records: Vec<Outgoing>) {
        self.writer.write(records).expect("memory takes all");
    }

    pub async fn settle(&mut self) {
        for _ in 0..1_000 {
            match self.projector.step().await.expect("the log holds") {
                Stepped::Idle => return,
                Stepped::Applied(_) | Stepped::Lost => {}
                Stepped::Waiting(why) => panic!("waiting: {why}"),
            }
        }
        panic!("the projector never came to rest");
    }

    pub async fn tell(&mut self, records: Vec<Outgoing>) {
        self.write(records);
        self.settle().await;
    }
}

fn projector(log: &EmbeddedLog, claims: Arc<dyn Projection>) -> Projector {
    let pace = Pace { batch: 7, wait: Duration::ZERO, ..Pace::default() };
    Projector::new("claims", Arc::new(log.clone()), topics(), claims, pace)
}

pub fn message(n: u64) -> MessageId {
    MessageId::from_parts(n, u128::from(n))
}

/// Under key `name`, by request `request`.
pub fn claim(name: u8, request: u8) -> Claim {
    Claim { name: [name; 32], request: [request; 32] }
}

pub fn at(offset: u64) -> Position {
    Position { at: TopicPartition { topic: Topic::Accepted(Lane::Live), partition: 0 }, offset }
}

pub fn sighting(name: u8, id: u64, offset: u64) -> Sighting {
    Sighting { claim: claim(name, 1), id: message(id), position: at(offset) }
}

/// A record as ingest appends it; its value is nothing that a view looks at.
pub fn accepted(id: u64, claim: Option<Claim>) -> Outgoing {
    Outgoing {
        topic: Topic::Accepted(Lane::Live),
        key: b"citizen".to_vec(),
        partition_by: b"citizen".to_vec(),
        value: Some(b"sealed".to_vec()),
        headers: Headers { message_id: Some(message(id)), claim, ..Headers::default() },
    }
}

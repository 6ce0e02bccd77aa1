//! A log, a projector and a status view, and builders of their records.

use std::sync::Arc;
use std::time::Duration;

use runtime::embedded::EmbeddedLog;
use runtime::log::{Log, Outgoing, Writer};
use runtime::world::World;
use schemas::codec::Codec;
use schemas::headers::Headers;
use schemas::ids::{MessageId, Pseudonym, ServiceId, Timestamp};
use schemas::records::{
    MessageAccepted, MessageStatus, OutcomeKind, Reason, Sealed, SealedContent, Status,
};
use schemas::topics::{Channel, Lane, Topic};

use crate::status::{EmbeddedStatus, Entry, RedisStatus, Retention, StatusView, topics};
use crate::view::test_redis::{name, shared};
use crate::view::{Pace, Projection, Projector, RedisServer, Stepped};

/// Everything that an implementation of the status view is.
pub trait Whole: StatusView + Projection {}
impl<T: StatusView + Projection> Whole for T {}

pub struct Rig {
    pub writer: Box<dyn Writer>,
    pub view: Arc<dyn Whole>,
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
        let retention = Retention { kept: KEPT, most: 100 };
        Self::over(world.clone(), Arc::new(EmbeddedStatus::new(world, retention)))
    }

    pub fn redis() -> Self {
        let world = world();
        let server = Arc::new(RedisServer::new(&shared(), None).expect("an address"));
        let retention = Retention { kept: KEPT, most: 100 };
        let view = RedisStatus::new(server, &name(), world.clone(), retention);
        Self::over(world, Arc::new(view))
    }

    pub fn over<V: Whole + 'static>(world: World, view: Arc<V>) -> Self {
        let log = EmbeddedLog::in_memory(world.clone(), 3);
        let writer = log.writer("test").expect("a writer");
        let pace = Pace { batch: 7, wait: Duration::ZERO, ..Pace::default() };
        let projector = Projector::new("status", Arc::new(log), topics(), view.clone(), pace);
        Self { writer, view, projector, world }
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

    pub async fn entry(&self, message: MessageId) -> Option<Entry> {
        self.view.latest(message).await.expect("ready")
    }
}

pub fn message(n: u64) -> MessageId {
    MessageId::from_parts(n, u128::from(n))
}

pub fn accepted(message: MessageId) -> Outgoing {
    let citizen = Pseudonym([4; 16]);
    let record = MessageAccepted {
        message_id: message,
        service_id: ServiceId::from("01SERVICE"),
        citizen,
        lane: Lane::Live,
        batch: None,
        accepted_at: Timestamp(10),
        expires_at: Timestamp(20),
        special: false,
        secure_channels: false,
        full_notice: true,
        fallback_email: false,
        sealed: SealedContent { wrapped_key: Sealed(vec![1]), content: Sealed(vec![2; 50]) },
        notice: Sealed(vec![3]),
    };
    outgoing(Topic::Accepted(Lane::Live), &citizen.to_string(), Codec::default().encode(&record))
}

pub fn event(message: MessageId, sequence: i32, status: Status) -> MessageStatus {
    MessageStatus {
        message_id: message,
        service_id: ServiceId::from("01SERVICE"),
        batch: None,
        epoch: 0,
        sequence,
        status,
        reason: Reason::None,
        channel: None,
        outcome: None,
        provider_id: None,
        attempt: 0,
        at: Timestamp(i64::from(sequence)),
    }
}

pub fn tried(
    message: MessageId,
    sequence: i32,
    channel: Channel,
    outcome: OutcomeKind,
) -> MessageStatus {
    MessageStatus {
        channel: Some(channel),
        outcome: Some(outcome),
        ..event(message, sequence, Status::Attempt)
    }
}

pub fn told(event: &MessageStatus) -> Outgoing {
    outgoing(Topic::Status, &event.message_id.to_string(), Codec::default().encode(event))
}

fn outgoing(topic: Topic, key: &str, value: Vec<u8>) -> Outgoing {
    let key = key.as_bytes().to_vec();
    let partition_by = key.clone();
    Outgoing { topic, key, partition_by, value: Some(value), headers: Headers::default() }
}

//! The apns stage and its worker before the APNs double, over real sockets and in real time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use consumers::channel::{ChannelSettings, ChannelStage, Edges, attempt_record};
use consumers::delay::DelayStage;
use consumers::directory::{Directory, EmbeddedDirectory};
use consumers::keys::Keys;
use consumers::view::Projection;
use parking_lot::RwLock;
use runtime::embedded::EmbeddedLog;
use runtime::log::{Incoming, Log, Outgoing, Position, Read, Seat, Start, TopicPartition};
use runtime::metrics::Metrics;
use runtime::stage::Stage;
use runtime::worker::{Limits, Worker};
use runtime::world::World;
use schemas::codec::{Codec, Record};
use schemas::headers::Headers;
use schemas::ids::{Generation, MessageId, Pseudonym, Timestamp};
use schemas::records::{
    CitizenKeyRecord, CitizenProfile, Device, MessageStatus, Mode, NoticeType, OutcomeKind,
    Platform, Sealed, Status, Story, StoryTarget, TargetState, Version64,
};
use schemas::topics::{Channel, DelayClass, Lane, Topic};
use sealing::{
    CitizenKey, Field, KeySchedule, KeySchedules, KeyUse, MessageKey, Part, SeededEntropy,
    TransitKeys,
};

use crate::rig::{Rig, rig};

/// A send is handed over after this, and waited for three seconds in all.
const HAND_OVER: Duration = Duration::from_millis(200);
const GENERATION: Generation = Generation([6; 16]);

/// The apns stage and the delay stage on a log of one partition.
pub struct Bench {
    pub rig: Rig,
    world: World,
    pub log: EmbeddedLog,
    view: Arc<EmbeddedDirectory>,
    keys: Keys,
    apns: Worker<ChannelStage>,
    delay: Worker<DelayStage>,
    pub metrics: Metrics,
    pub edges: Edges,
    told: u64,
}

impl Bench {
    pub async fn new() -> Self {
        // What is slow takes half a second; the waits of stories pass a hundred times as fast.
        let rig = rig(|config| config.time_scale = 4.0).await;
        let world = World::real(tokio::runtime::Handle::current(), Codec::default(), 100.0);
        let log = EmbeddedLog::in_memory(world.clone(), 1);
        let view = Arc::new(EmbeddedDirectory::new(world.clone()));
        let keys = keys(&rig, &world);
        let metrics = Metrics::new(prometheus::Registry::new());
        let directory: Arc<dyn Directory> = view.clone();
        let settings = ChannelSettings {
            hand_over: HAND_OVER,
            // This machine may be busy, and what is tested is not how young facts are.
            consent_max_age: Duration::from_secs(60),
            ..ChannelSettings::default()
        };
        let mut config = rig.apns_config();
        config.pool.answer_within_ms = 3_000;
        let port = Arc::new(rig.apns(&config));
        let edges = Edges::default();
        edges.add(port.clone());
        let (k, m) = (keys.clone(), metrics.clone());
        let stage = ChannelStage::new(port, edges.clone(), directory, k, m, settings);
        let apns =
            worker(&log, &world, &metrics, vec![Topic::Attempt(Channel::Apns, Lane::Live)], stage);
        let delays = DelayClass::ALL.map(|class| Topic::Delay(class, Lane::Live)).to_vec();
        let delay = worker(&log, &world, &metrics, delays, DelayStage);
        view.mark_ready().await.unwrap();
        Self { rig, world, log, view, keys, apns, delay, metrics, edges, told: 0 }
    }

    async fn tell<R: Record>(&mut self, topic: Topic, key: String, record: &R) {
        let at = TopicPartition { topic, partition: 0 };
        let record = Incoming {
            position: Position { at, offset: self.told },
            appended_at: Timestamp(0),
            key: key.into_bytes(),
            value: Some(Codec::default().encode(record)),
            headers: Vec::new(),
        };
        self.told += 1;
        self.view.apply(&Read { records: vec![record], ended: Vec::new() }).await.unwrap();
    }

    /// A citizen with one phone, whose token begins with `prefix`, and a message to them.
    pub async fn message(&mut self, n: u8, prefix: &str) -> Outgoing {
        let citizen = Pseudonym([n; 16]);
        let entropy = Arc::clone(&self.keys.entropy);
        let key = CitizenKey::draw(entropy.as_ref(), citizen, GENERATION);
        let wrapped = self.keys.keyring.masters().wrap_citizen(entropy.as_ref(), &key).unwrap();
        let wrapped = Sealed(wrapped.to_vec());
        let created_at = self.world.now();
        let record = CitizenKeyRecord { citizen, generation: GENERATION, wrapped, created_at };
        self.tell(Topic::CitizenKey, format!("{citizen}+{GENERATION}"), &record).await;
        self.tell(Topic::Profile, citizen.to_string(), &profile(citizen)).await;
        let installation = format!("phone-{n}");
        let field = Field::DeviceToken { installation: &installation };
        let token = key.seal_field(entropy.as_ref(), field, &token(prefix, n)).unwrap();
        let device = Device {
            citizen,
            generation: GENERATION,
            token: Sealed(token),
            installation: installation.clone(),
            platform: Platform::Apns,
            registered_at: Timestamp(0),
        };
        self.tell(Topic::Device, format!("{citizen}+{installation}"), &device).await;
        let story = self.story(n, installation);
        attempt_record(&story, Channel::Apns, &Headers::default(), &self.world)
    }

    fn story(&self, n: u8, installation: String) -> Story {
        let (now, entropy) = (self.world.now(), self.keys.entropy.as_ref());
        let message_id = MessageId::from_parts(1_700_000_000_000, u128::from(n));
        let key = MessageKey::draw(entropy);
        let wrapped =
            self.keys.transit.read().wrap(entropy, KeyUse::Wire, now, message_id, &key).unwrap();
        let notice = key.seal(entropy, Part::Notice, message_id, b"{}").unwrap();
        Story {
            message_id,
            service_id: "01SERVICE".into(),
            citizen: Pseudonym([n; 16]),
            generation: Some(GENERATION),
            lane: Lane::Live,
            batch: None,
            accepted_at: now,
            deadline: now.plus(Duration::from_secs(3_600)),
            fallback_at: now.plus(Duration::from_secs(900)),
            special: false,
            secure_channels: false,
            full_notice: false,
            language: "it_IT".into(),
            notice_type: NoticeType::Anonymous,
            targets: vec![StoryTarget {
                channel: Channel::Apns,
                installation,
                state: TargetState::Untried,
                tries: 0,
                retry_at: Timestamp(0),
            }],
            attempts: Vec::new(),
            tries: 0,
            epoch: 0,
            next_sequence: 0,
            finished: false,
            wrapped_key: Sealed(wrapped.to_vec()),
            notice: Sealed(notice),
            content: None,
        }
    }

    /// Works until `over` holds of what is committed.
    pub async fn until(&mut self, over: impl Fn(&Events) -> bool) -> Events {
        loop {
            let events = self.events();
            if over(&events) {
                return events;
            }
            self.apns.step(Duration::ZERO).unwrap();
            self.delay.step(Duration::ZERO).unwrap();
            tokio::task::yield_now().await;
        }
    }

    /// By message: status and class of each event.
    fn events(&self) -> Events {
        let mut events = Events::new();
        for event in self.read::<MessageStatus>(Topic::Status) {
            let n = event.message_id.to_bytes()[15];
            events.entry(n).or_default().push((event.status, event.outcome));
        }
        events
    }

    pub fn read<R: Record>(&self, topic: Topic) -> Vec<R> {
        let mut reader = self.log.reader(&[topic], &Start::Beginning).unwrap();
        let mut records = Vec::new();
        loop {
            let read = reader.poll(1_000, Duration::ZERO).unwrap();
            records.extend(read.records.into_iter().filter_map(|record| record.value));
            if !read.ended.is_empty() {
                return records.iter().map(|it| Codec::default().decode(it).unwrap()).collect();
            }
        }
    }

    /// How often the provider was asked for the phone of message `n` and said yes.
    pub fn taken(&self, prefix: &str, n: u8) -> usize {
        let received = self.rig.doubles.apns.received();
        received.iter().filter(|push| push.token.as_deref() == Some(&*token(prefix, n))).count()
    }
}

pub type Events = BTreeMap<u8, Vec<(Status, Option<OutcomeKind>)>>;

fn token(prefix: &str, n: u8) -> String {
    format!("{prefix:0<62}{n:02x}")
}

fn worker<S: Stage>(
    log: &EmbeddedLog,
    world: &World,
    metrics: &Metrics,
    topics: Vec<Topic>,
    stage: S,
) -> Worker<S> {
    let seat = Seat { group: format!("{}.live", stage.name()), topics, ordinal: 0 };
    log.apply(&Topic::all(), 1, std::slice::from_ref(&seat)).unwrap();
    let member = log.join(&seat).unwrap();
    let (seal, limits) =
        (Arc::new(|_: &str, plain: &[u8]| Ok((Vec::new(), plain.to_vec()))), Limits::default());
    Worker::new(Arc::new(stage), "live", member, world.clone(), limits, seal, metrics.clone())
}

fn keys(rig: &Rig, world: &World) -> Keys {
    let entropy = Arc::new(SeededEntropy::new(3));
    let daily = KeySchedule::daily(Duration::from_secs(86_400));
    let schedules = KeySchedules { wire: daily, dead_letter: daily, batch_rows: daily };
    let mut transit = TransitKeys::default();
    let masters = rig.keyring.masters();
    for record in transit.due_records(entropy.as_ref(), masters, world.now(), &schedules).unwrap() {
        transit.apply(masters, &record).unwrap();
    }
    Keys { keyring: rig.keyring.clone(), transit: Arc::new(RwLock::new(transit)), entropy }
}

fn profile(citizen: Pseudonym) -> CitizenProfile {
    CitizenProfile {
        citizen,
        generation: GENERATION,
        version: 1,
        inbox_enabled: true,
        push_enabled: true,
        email_enabled: false,
        email_validated: false,
        email: None,
        mode: Mode::Auto,
        settings_version: 0,
        blocked: BTreeMap::new(),
        notice_type: NoticeType::Anonymous,
        languages: vec!["it_IT".into()],
        reminders: false,
        accepted_tos_version: Version64(1.0),
        last_app_version: "1".into(),
        updated_at: Timestamp(0),
    }
}

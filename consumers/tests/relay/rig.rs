//! All stages of one lane over a log in memory, driven by one seed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use consumers::channel::{ChannelSettings, ChannelStage, Edges, Port};
use consumers::claims::{EmbeddedClaims, KEPT};
use consumers::consent::ConsentStage;
use consumers::delay::DelayStage;
use consumers::directory::{Directory, EmbeddedDirectory, topics};
use consumers::keys::Keys;
use consumers::vault::VaultStage;
use consumers::view::{Pace, Projection, Projector, Stepped};
use futures::FutureExt;
use parking_lot::RwLock;
use runtime::dead::SealBytes;
use runtime::embedded::EmbeddedLog;
use runtime::log::{Incoming, Log, LogError, Outgoing, Seat, Start, read_to_end};
use runtime::metrics::Metrics;
use runtime::stage::Stage;
use runtime::worker::{Limits, Step, Worker};
use runtime::world::World;
use schemas::codec::Codec;
use schemas::content::{Content, Notice};
use schemas::headers::Headers;
use schemas::ids::{MessageId, ServiceId};
use schemas::records::{
    MessageAccepted, MessageStatus, Reason, Sealed, SealedContent, Status, TransitKeyRecord,
};
use schemas::topics::{Channel, DelayClass, Lane, Topic};
use sealing::{
    KeySchedule, KeySchedules, KeyUse, Keyring, MessageKey, Part, SeededEntropy, TransitKeys,
};

use crate::doubles::{FakePort, MemoryStore};
use crate::people::{PEOPLE, Person};
use crate::rights::{Watched, Written};
use crate::seeded::{START, Seeded};

const PARTITIONS: u32 = 3;

/// A worker, whatever its stage.
trait Steps {
    fn step(&mut self) -> Result<Step, LogError>;
}

impl<S: Stage> Steps for Worker<S> {
    fn step(&mut self) -> Result<Step, LogError> {
        Worker::step(self, Duration::ZERO)
    }
}

const STAGES: [&str; 6] = ["consent", "vault", "delay", "apns", "fcm", "email"];

pub struct Rig {
    pub log: EmbeddedLog,
    pub seeded: Seeded,
    world: World,
    pub keys: Keys,
    pub ports: BTreeMap<Channel, Arc<FakePort>>,
    pub store: Arc<MemoryStore>,
    metrics: Metrics,
    workers: Vec<Box<dyn Steps>>,
    projector: Projector,
    /// Whether the directory's view is being built.
    pub projecting: bool,
    /// In one round of so many the next commit is made to fail; in none at 0.
    pub faults: u64,
    /// What each stage wrote to.
    pub written: Written,
}

/// Events of every message, by the order of their sequence numbers.
pub type Events = BTreeMap<MessageId, Vec<MessageStatus>>;

impl Rig {
    pub fn new(seed: u64) -> Self {
        let seeded = Seeded::new(seed);
        let world = World::new(Arc::new(seeded.clone()), Codec::default(), 1.0);
        let log = EmbeddedLog::in_memory(world.clone(), PARTITIONS);
        let view = Arc::new(EmbeddedDirectory::new(world.clone()));
        let keys = keys(seed);
        let port = |channel| (channel, Arc::new(FakePort::new(channel, world.clone())));
        let ports: BTreeMap<_, _> = Channel::ALL.map(port).into();
        let store = Arc::new(MemoryStore::default());
        let metrics = Metrics::new(prometheus::Registry::new());
        let written = Written::default();
        let crew = Crew {
            log: &log,
            world: &world,
            keys: &keys,
            view: view.clone(),
            metrics: &metrics,
            written: &written,
        };
        let workers = crew.workers(&ports, &store);
        let pace = Pace { batch: 7, wait: Duration::ZERO, ..Pace::default() };
        let projection: Arc<dyn Projection> = view;
        let projector =
            Projector::new("directory", Arc::new(log.clone()), topics(), projection, pace);
        let mut rig = Self {
            log,
            seeded,
            world,
            keys,
            ports,
            store,
            metrics,
            workers,
            projector,
            projecting: true,
            faults: 0,
            written,
        };
        let people = PEOPLE.into_iter().flat_map(|person| person.records(&rig.keys));
        rig.write(people.collect());
        rig
    }

    pub fn write(&mut self, records: Vec<Outgoing>) {
        let mut writer = self.log.writer("outside").expect("a writer");
        writer.write(records).expect("memory takes all");
    }

    /// Everybody takes a turn, in a drawn order; where nobody had anything to do, time passes.
    pub fn round(&mut self) {
        if self.faults > 0 && self.seeded.draw(self.faults) == 0 {
            use runtime::embedded::Fault;
            let faults = [Fault::RefuseBefore, Fault::AppliedButUnknown, Fault::NotAppliedUnknown];
            let drawn = usize::try_from(self.seeded.draw(3)).expect("small");
            self.log.inject(faults[drawn]);
        }
        let mut turns: Vec<usize> = (0..self.workers.len() + 2).collect();
        self.seeded.shuffle(&mut turns);
        let mut worked = false;
        for turn in turns {
            worked |= match turn.checked_sub(self.workers.len()) {
                None => self.workers[turn].step().expect("the log holds") == Step::Worked,
                Some(0) => self.seeded.poll_some(),
                Some(_) => self.project(),
            };
        }
        let wait = if worked { 1 } else { 20 + self.seeded.draw(2_000) };
        self.seeded.advance(Duration::from_millis(wait));
    }

    fn project(&mut self) -> bool {
        if !self.projecting {
            return false;
        }
        let stepped = self.projector.step().now_or_never().expect("memory waits for nothing");
        match stepped.expect("the log holds") {
            Stepped::Applied(_) | Stepped::Lost => true,
            Stepped::Idle => false,
            Stepped::Waiting(why) => panic!("waiting: {why}"),
        }
    }

    /// Rounds until so much time has passed since the start.
    pub fn run_for(&mut self, since_start: Duration) {
        while self.seeded.now() < START.plus(since_start) {
            self.round();
        }
    }

    /// Message `n` to `person`, as ingest would have accepted it now.
    pub fn message(&self, n: u64, person: Person, time_to_live: Duration) -> Outgoing {
        let now = self.seeded.now();
        let id = MessageId::from_parts(START.0.unsigned_abs() + n, n.into());
        let entropy = self.keys.entropy.as_ref();
        let key = MessageKey::draw(entropy);
        let seal = |part, plain: Vec<u8>| {
            Sealed(key.seal(entropy, part, id, &plain).expect("a short text"))
        };
        let json = |value: &Content| serde_json::to_vec(value).expect("plain data");
        let wrapped = self.keys.transit.read().wrap(entropy, KeyUse::Wire, now, id, &key);
        let accepted = MessageAccepted {
            message_id: id,
            service_id: ServiceId::from("01SERVICE"),
            citizen: person.id,
            lane: Lane::Live,
            batch: None,
            accepted_at: now,
            expires_at: now.plus(time_to_live),
            special: false,
            secure_channels: false,
            full_notice: n.is_multiple_of(2),
            fallback_email: !n.is_multiple_of(3),
            sealed: SealedContent {
                wrapped_key: Sealed(wrapped.expect("a transit key").to_vec()),
                content: seal(Part::Content, json(&content())),
            },
            notice: seal(Part::Notice, notice()),
        };
        let citizen = person.id.to_string().into_bytes();
        Outgoing {
            topic: Topic::Accepted(Lane::Live),
            key: citizen.clone(),
            partition_by: citizen,
            value: Some(self.world.codec.encode(&accepted)),
            headers: Headers {
                message_id: Some(id),
                service_id: Some(accepted.service_id.clone()),
                epoch: Some(0),
                next_sequence: Some(0),
                accepted_at: Some(now),
                ..Headers::default()
            },
        }
    }

    /// All that a topic holds, partition by partition.
    pub fn read(&self, topic: Topic) -> Vec<Incoming> {
        let mut reader = self.log.reader(&[topic], &Start::Beginning).expect("a reader");
        let mut records = Vec::new();
        let taken = read_to_end(reader.as_mut(), PARTITIONS, |record| records.push(record));
        taken.expect("the log holds");
        records.sort_by_key(|record| record.position);
        records
    }

    pub fn events(&self) -> Events {
        let mut events = Events::new();
        for record in self.read(Topic::Status) {
            let event: MessageStatus =
                Codec::default().decode(&record.value.expect("no tombstone")).expect("a status");
            events.entry(event.message_id).or_default().push(event);
        }
        events.values_mut().for_each(|of_one| of_one.sort_by_key(|event| event.sequence));
        events
    }

    /// Transit keys as another process would publish them now.
    pub fn transit(&self) -> Vec<TransitKeyRecord> {
        let (entropy, masters) = (self.keys.entropy.as_ref(), self.keys.keyring.masters());
        TransitKeys::default().due_records(entropy, masters, START, &schedules()).expect("made")
    }

    pub fn apply(&self, ring: &mut TransitKeys, keys: &[TransitKeyRecord]) {
        keys.iter().for_each(|key| ring.apply(self.keys.keyring.masters(), key).expect("ours"));
    }

    /// Records of a stage that were held back for this.
    pub fn faults_of(&self, stage: &str, why: Reason) -> u64 {
        self.metrics.faults.with_label_values(&[stage, "live", why.name()]).get()
    }

    /// Commits that went back, over all stages.
    pub fn rewinds(&self) -> u64 {
        let of_one = |stage| self.metrics.rewinds.with_label_values(&[stage, "live"]).get();
        STAGES.into_iter().map(of_one).sum()
    }

    /// Events of this status that the stages have counted.
    pub fn told(&self, status: Status) -> u64 {
        let labels = |stage| [stage, "live", status.name()];
        let of_one = |stage| self.metrics.statuses.with_label_values(&labels(stage)).get();
        STAGES.into_iter().map(of_one).sum()
    }

    /// Sends over all channels.
    pub fn sends(&self) -> usize {
        self.ports.values().map(|port| port.sent.lock().len()).sum()
    }
}

fn content() -> Content {
    Content {
        fiscal_code: "AAAAAA00A00A000A".into(),
        created_at: "2023-11-14T22:13:20.000Z".into(),
        time_to_live: 3_600,
        feature_level_type: "STANDARD".into(),
        content: serde_json::json!({"subject": "A subject of words", "markdown": "Some text."}),
        fallback_email: Some("nobody@example.org".into()),
        organisation: "Comune".into(),
        service: "Anagrafe".into(),
    }
}

fn notice() -> Vec<u8> {
    let [organisation, service, subject] =
        ["Comune", "Anagrafe", "A subject of words"].map(str::to_owned);
    serde_json::to_vec(&Notice { organisation, service, subject }).expect("plain data")
}

fn schedules() -> KeySchedules {
    let daily = KeySchedule::daily(Duration::from_secs(86_400));
    KeySchedules { wire: daily, dead_letter: daily, batch_rows: daily }
}

fn keys(seed: u64) -> Keys {
    let entropy = Arc::new(SeededEntropy::new(seed));
    let keyring = Arc::new(Keyring::generate(entropy.as_ref(), START));
    let mut transit = TransitKeys::default();
    let due = transit.due_records(entropy.as_ref(), keyring.masters(), START, &schedules());
    for record in due.expect("keys can be made") {
        transit.apply(keyring.masters(), &record).expect("its own record");
    }
    Keys { keyring, transit: Arc::new(RwLock::new(transit)), entropy }
}

/// What every worker is made of.
struct Crew<'a> {
    log: &'a EmbeddedLog,
    world: &'a World,
    keys: &'a Keys,
    view: Arc<EmbeddedDirectory>,
    metrics: &'a Metrics,
    written: &'a Written,
}

impl Crew<'_> {
    fn workers(
        &self,
        ports: &BTreeMap<Channel, Arc<FakePort>>,
        store: &Arc<MemoryStore>,
    ) -> Vec<Box<dyn Steps>> {
        let wait = Duration::from_millis(250);
        let directory: Arc<dyn Directory> = self.view.clone();
        // Nobody here gives an `Idempotency-Key`, so nobody asks it.
        let claims = Arc::new(EmbeddedClaims::new(self.world.clone(), KEPT));
        let consent = ConsentStage { directory: directory.clone(), claims, view_wait: wait };
        let vault = VaultStage {
            directory: directory.clone(),
            store: store.clone(),
            keys: self.keys.clone(),
            retention: Duration::from_secs(86_400),
            wait,
        };
        let lane = Lane::Live;
        let delays = DelayClass::ALL.map(|class| Topic::Delay(class, lane)).to_vec();
        let mut workers = vec![
            self.worker(vec![Topic::Accepted(lane)], consent),
            self.worker(vec![Topic::Permitted(lane)], vault),
            self.worker(delays, DelayStage),
        ];
        let edges = Edges::default();
        for (channel, port) in ports {
            let port: Arc<dyn Port> = port.clone();
            edges.add(port.clone());
            let settings = ChannelSettings { in_flight: 3, ..ChannelSettings::default() };
            let stage = ChannelStage::new(
                port,
                edges.clone(),
                directory.clone(),
                self.keys.clone(),
                self.metrics.clone(),
                settings,
            );
            workers.push(self.worker(vec![Topic::Attempt(*channel, lane)], stage));
        }
        workers
    }

    fn worker<S: Stage>(&self, topics: Vec<Topic>, stage: S) -> Box<dyn Steps> {
        let seat = Seat { group: format!("{}.live", stage.name()), topics, ordinal: 0 };
        self.log.apply(&[], PARTITIONS, std::slice::from_ref(&seat)).expect("first offsets");
        let member = self.log.join(&seat).expect("a free seat");
        let member = Watched { member, stage: stage.name(), written: self.written.clone() };
        let member = Box::new(member);
        let limits = Limits { batch: 8, batches: 3, ..Limits::default() };
        let world = self.world.clone();
        let metrics = self.metrics.clone();
        Box::new(Worker::new(Arc::new(stage), "live", member, world, limits, seal(), metrics))
    }
}

/// Dead letters' bytes are looked at by nobody here.
fn seal() -> SealBytes {
    Arc::new(|_, plain| Ok((Vec::new(), plain.to_vec())))
}

//! A log, a projector and a directory, and builders of citizens' records.

use std::sync::Arc;

use runtime::embedded::EmbeddedLog;
use runtime::log::{Log, Outgoing, Position, Writer};
use runtime::world::World;
use schemas::codec::{Codec, Record};
use schemas::headers::Headers;
use schemas::ids::{Generation, MessageId, Pseudonym, ServiceId, Timestamp};
use schemas::records::{
    CitizenErased, CitizenKeyRecord, CitizenProfile, Device, DeviceDeath, MessageStored, Mode,
    NoticeType, Platform, Preference, Sealed, Unsubscribe, Version64,
};
use schemas::topics::Topic;

use crate::directory::{Directory, EmbeddedDirectory, Found, Register, topics};
use crate::view::{Pace, Projection, Projector, Stepped};

/// Everything that an implementation of the directory is.
pub trait Whole: Directory + Register + Projection {}
impl<T: Directory + Register + Projection> Whole for T {}

pub struct Rig {
    pub log: EmbeddedLog,
    pub writer: Box<dyn Writer>,
    pub directory: Arc<dyn Whole>,
    pub projector: Projector,
    pub world: World,
}

pub const ME: Pseudonym = Pseudonym([0x31; 16]);
pub const FIRST: Generation = Generation([1; 16]);
pub const SECOND: Generation = Generation([2; 16]);

pub fn service() -> ServiceId {
    ServiceId::from("01SERVICE")
}

pub fn world() -> World {
    World::real(tokio::runtime::Handle::current(), Codec::default(), 1.0)
}

pub fn projector_of(log: &EmbeddedLog, view: Arc<dyn Projection>) -> Projector {
    let pace = Pace { batch: 7, wait: std::time::Duration::ZERO, ..Pace::default() };
    Projector::new("directory", Arc::new(log.clone()), topics(), view, pace)
}

impl Rig {
    pub fn embedded() -> Self {
        let world = world();
        Self::over(world.clone(), Arc::new(EmbeddedDirectory::new(world)))
    }

    pub fn over<D: Whole + 'static>(world: World, directory: Arc<D>) -> Self {
        let log = EmbeddedLog::in_memory(world.clone(), 3);
        let writer = log.writer("citizens").expect("a writer");
        let projector = projector_of(&log, directory.clone());
        Self { log, writer, directory, projector, world }
    }

    /// Writes records in one transaction.
    pub fn write(&mut self, records: Vec<Outgoing>) -> Vec<Position> {
        self.writer.write(records).expect("memory takes all")
    }

    /// Steps until nothing is left to apply.
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

    /// Writes and settles.
    pub async fn tell(&mut self, records: Vec<Outgoing>) -> Vec<Position> {
        let positions = self.write(records);
        self.settle().await;
        positions
    }

    pub async fn find(&self, service: &ServiceId) -> Found {
        let (mut found, _) =
            self.directory.read(&[(ME, service.clone())]).await.expect("the view is ready");
        found.pop().expect("one answer for one ask")
    }
}

/// What is found of me: generation of the profile, has a key, has a preference, installations of
/// living devices, held.
pub async fn check_found(rig: &Rig, expected: (Option<Generation>, bool, bool, &[&str], bool)) {
    let found = rig.find(&service()).await;
    let living: Vec<_> = found.tokens.iter().map(|it| it.installation.as_str()).collect();
    let citizen = &found.citizen;
    let by_ref: Vec<_> =
        citizen.devices.iter().filter(|it| !it.dead).map(|it| it.installation.as_str()).collect();
    assert_eq!(living, by_ref, "tokens and references name the same living devices");
    let seen = (
        citizen.profile.as_ref().map(|it| it.generation),
        found.key.is_some(),
        citizen.preference.is_some(),
        living.as_slice(),
        citizen.held,
    );
    assert_eq!(seen, expected);
}

fn outgoing(topic: Topic, key: String, value: Option<Vec<u8>>) -> Outgoing {
    let partition_by = ME.to_string().into_bytes();
    Outgoing { topic, key: key.into_bytes(), partition_by, value, headers: Headers::default() }
}

fn record<R: Record>(topic: Topic, rest: &str, record: &R) -> Outgoing {
    outgoing(topic, key(rest), Some(Codec::default().encode(record)))
}

fn key(rest: &str) -> String {
    if rest.is_empty() { ME.to_string() } else { format!("{ME}+{rest}") }
}

pub fn tombstone(topic: Topic, rest: &str) -> Outgoing {
    outgoing(topic, key(rest), None)
}

pub fn rubbish(topic: Topic, rest: &str) -> Outgoing {
    outgoing(topic, key(rest), Some(b"rubbish".to_vec()))
}

pub fn profile(generation: Generation, version: i64) -> Outgoing {
    let profile = CitizenProfile {
        citizen: ME,
        generation,
        version,
        inbox_enabled: true,
        push_enabled: true,
        email_enabled: true,
        email_validated: true,
        email: Some(Sealed(vec![7])),
        mode: Mode::Auto,
        settings_version: 0,
        blocked: std::collections::BTreeMap::new(),
        notice_type: NoticeType::Full,
        languages: vec!["it_IT".into()],
        reminders: false,
        accepted_tos_version: Version64(1.0),
        last_app_version: "1.0".into(),
        updated_at: Timestamp(1),
    };
    record(Topic::Profile, "", &profile)
}

pub fn citizen_key(generation: Generation) -> Outgoing {
    let wrapped = Sealed(vec![9; 68]);
    let key = CitizenKeyRecord { citizen: ME, generation, wrapped, created_at: Timestamp(1) };
    record(Topic::CitizenKey, &generation.to_string(), &key)
}

pub fn preference(generation: Generation, service: &ServiceId) -> Outgoing {
    let preference = Preference {
        citizen: ME,
        generation,
        service_id: service.clone(),
        settings_version: 0,
        inbox_enabled: false,
        email_enabled: true,
        push_enabled: true,
        read_access: "UNKNOWN".into(),
        updated_at: Timestamp(1),
    };
    record(Topic::Preference, service.as_str(), &preference)
}

pub fn unsubscribe(service: &ServiceId) -> Outgoing {
    let it = Unsubscribe { citizen: ME, service_id: service.clone(), at: Timestamp(1) };
    record(Topic::Unsubscribe, service.as_str(), &it)
}

pub fn device(generation: Generation, installation: &str, registered_at: i64) -> Outgoing {
    let device = Device {
        citizen: ME,
        generation,
        installation: installation.into(),
        platform: Platform::Apns,
        token: Sealed(vec![5; 40]),
        registered_at: Timestamp(registered_at),
    };
    record(Topic::Device, installation, &device)
}

pub fn death(installation: &str, since: i64) -> Outgoing {
    let death = DeviceDeath {
        citizen: ME,
        installation: installation.into(),
        since: Timestamp(since),
        reported_at: Timestamp(since),
    };
    record(Topic::DeviceDeath, installation, &death)
}

pub fn erased(generation: Generation) -> Outgoing {
    let erased = CitizenErased { citizen: ME, generation, at: Timestamp(2) };
    record(Topic::Erased, &generation.to_string(), &erased)
}

pub fn message(n: u64) -> MessageId {
    MessageId::from_parts(n, 0)
}

pub fn stored(generation: Generation, message: MessageId) -> Outgoing {
    let stored = MessageStored {
        message_id: message,
        citizen: ME,
        generation,
        service_id: service(),
        object: "day/object".into(),
        offset: 0,
        length: 10,
        wrapped_key: Sealed(vec![3; 60]),
        accepted_at: Timestamp(1),
        kept_until: Timestamp(i64::MAX),
    };
    let value = Codec::default().encode(&stored);
    outgoing(Topic::Stored, message.to_string(), Some(value))
}

pub fn unstored(message: MessageId) -> Outgoing {
    outgoing(Topic::Stored, message.to_string(), None)
}

//! Invented citizens and the records that make them known.

use consumers::directory::Dossier;
use consumers::keys::Keys;
use runtime::log::Outgoing;
use schemas::codec::{Codec, Record};
use schemas::headers::Headers;
use schemas::ids::{Generation, MessageId, Pseudonym, ServiceId, Timestamp};
use schemas::records::{
    CitizenErased, CitizenKeyRecord, CitizenProfile, Device, Mode, NoticeType, Platform,
    Preference, Sealed, Unsubscribe, Version64,
};
use schemas::topics::{Channel, Topic};
use sealing::{CitizenKey, Field, SeededEntropy};

use crate::stand::Stand;

/// Who sends: two services, so that a choice about one leaves the other alone.
pub const SERVICES: [&str; 2] = ["01ANAGRAFE", "01TRIBUTI"];

/// How a citizen can be reached; nobody of them has the same.
#[derive(Debug, Clone, Copy)]
pub struct Person {
    pub id: Pseudonym,
    pub devices: &'static [Platform],
    pub mailbox: bool,
    pub on_board: bool,
    pub mode: Mode,
}

const fn person(
    id: u8,
    devices: &'static [Platform],
    mailbox: bool,
    on_board: bool,
    mode: Mode,
) -> Person {
    Person { id: Pseudonym([id; 16]), devices, mailbox, on_board, mode }
}

pub const PEOPLE: [Person; 6] = [
    person(1, &[Platform::Apns, Platform::Fcm], true, true, Mode::Auto),
    person(2, &[Platform::Apns], false, true, Mode::Auto),
    person(3, &[Platform::Fcm, Platform::Fcm], true, true, Mode::Manual),
    person(4, &[], true, true, Mode::Auto),
    person(5, &[], false, false, Mode::Auto),
    person(6, &[Platform::Apns, Platform::Apns, Platform::Fcm], true, true, Mode::Manual),
];

/// The registrations' generations, told apart at a glance.
#[must_use]
pub fn generation(person: Pseudonym, registration: u32) -> Generation {
    let mut bytes = person.0.map(|byte| byte | 0x80);
    bytes[12..].copy_from_slice(&registration.to_be_bytes());
    Generation(bytes)
}

/// Where the sender believes to find somebody who is not on board.
#[must_use]
pub fn fallback_address(person: Pseudonym) -> String {
    format!("fallback-{}@example.org", person.0[0])
}

/// What a citizen's application writes in one registration.
pub struct Pen {
    person: Person,
    registration: u32,
    keys: Keys,
    key: CitizenKey,
    now: Timestamp,
}

impl Pen {
    /// The citizen's key follows from who and which registration, so that every pen of one has the same.
    #[must_use]
    pub fn new(person: Person, registration: u32, keys: &Keys, now: Timestamp) -> Self {
        let seed = u64::from(person.id.0[0]) << 32 | u64::from(registration);
        let generation = generation(person.id, registration);
        let key = CitizenKey::draw(&SeededEntropy::new(seed), person.id, generation);
        Self { person, registration, keys: keys.clone(), key, now }
    }

    fn generation(&self) -> Generation {
        generation(self.person.id, self.registration)
    }

    /// How somebody stands who has just registered, everything switched on.
    #[must_use]
    pub fn first_stand(&self) -> Stand {
        let mut stand = Stand {
            registration: Some(self.registration),
            inbox: true,
            push: true,
            email: true,
            ..Stand::default()
        };
        for (n, platform) in self.person.devices.iter().enumerate() {
            let channel = channel_of(*platform);
            let installation = format!("device-{n}");
            let address = format!("{installation}-of-{}-{}-0", self.person.id, self.registration);
            stand.addresses.insert((channel, installation), address);
        }
        if self.person.mailbox {
            let address = format!("{}-{}@example.org", self.person.id, self.registration);
            stand.addresses.insert((Channel::Email, String::new()), address);
        }
        stand
    }

    /// Key and profile, as one transaction would write them.
    #[must_use]
    pub fn registers(&self, stand: &Stand) -> Vec<Outgoing> {
        let entropy = self.keys.entropy.as_ref();
        let masters = self.keys.keyring.masters();
        let wrapped = masters.wrap_citizen(entropy, &self.key).expect("a master key");
        let key = CitizenKeyRecord {
            citizen: self.person.id,
            generation: self.generation(),
            wrapped: Sealed(wrapped.to_vec()),
            created_at: self.now,
        };
        let name = self.generation().to_string();
        vec![put(Topic::CitizenKey, self.person.id, &name, &key), self.profile(stand, 1)]
    }

    /// The profile that says what `stand` says; `version` rises at each change.
    #[must_use]
    pub fn profile(&self, stand: &Stand, version: i64) -> Outgoing {
        let mailbox = stand.addresses.get(&(Channel::Email, String::new()));
        let profile = CitizenProfile {
            citizen: self.person.id,
            generation: self.generation(),
            version,
            inbox_enabled: stand.inbox,
            push_enabled: stand.push,
            email_enabled: stand.email,
            email_validated: true,
            email: mailbox.map(|address| self.seal(Field::EmailAddress, address)),
            mode: self.person.mode,
            settings_version: 0,
            blocked: std::collections::BTreeMap::new(),
            notice_type: NoticeType::Full,
            languages: vec!["it_IT".into()],
            reminders: false,
            accepted_tos_version: Version64(1.0),
            last_app_version: "1.0".into(),
            updated_at: self.now,
        };
        put(Topic::Profile, self.person.id, "", &profile)
    }

    /// The devices of `stand`.
    #[must_use]
    pub fn devices(&self, stand: &Stand) -> Vec<Outgoing> {
        let devices = stand.addresses.iter().filter(|((_, name), _)| !name.is_empty());
        devices
            .map(|((channel, installation), address)| {
                let device = Device {
                    citizen: self.person.id,
                    generation: self.generation(),
                    token: self.seal(Field::DeviceToken { installation }, address),
                    installation: installation.clone(),
                    platform: platform_of(*channel),
                    registered_at: self.now,
                };
                put(Topic::Device, self.person.id, installation, &device)
            })
            .collect()
    }

    /// Whether `service` may write.
    #[must_use]
    pub fn preference(&self, service: &str, may: bool) -> Outgoing {
        let preference = Preference {
            citizen: self.person.id,
            generation: self.generation(),
            service_id: ServiceId::from(service),
            settings_version: 0,
            inbox_enabled: may,
            email_enabled: may,
            push_enabled: may,
            read_access: "UNKNOWN".into(),
            updated_at: self.now,
        };
        put(Topic::Preference, self.person.id, service, &preference)
    }

    fn seal(&self, field: Field<'_>, plain: &str) -> Sealed {
        let entropy = self.keys.entropy.as_ref();
        Sealed(self.key.seal_field(entropy, field, plain).expect("a short text"))
    }
}

/// "No more mail from this service", whoever says it.
#[must_use]
pub fn unsubscribes(citizen: Pseudonym, service: &str, at: Timestamp) -> Outgoing {
    let record = Unsubscribe { citizen, service_id: ServiceId::from(service), at };
    put(Topic::Unsubscribe, citizen, service, &record)
}

/// The first of leaving's two transactions: from here on nobody is on board.
#[must_use]
pub fn leaves(citizen: Pseudonym) -> Outgoing {
    tombstone(Topic::Profile, citizen, "")
}

/// The second: all of the registration ends, key first, with what the view holds of it.
#[must_use]
pub fn ends(
    citizen: Pseudonym,
    registration: u32,
    known: &Dossier,
    stored: &[MessageId],
    at: Timestamp,
) -> Vec<Outgoing> {
    let generation = generation(citizen, registration);
    let erased = CitizenErased { citizen, generation, at };
    let name = generation.to_string();
    let mut records = vec![
        tombstone(Topic::CitizenKey, citizen, &name),
        put(Topic::Erased, citizen, &name, &erased),
        tombstone(Topic::Profile, citizen, ""),
    ];
    let of = |topic, rest: &str| tombstone(topic, citizen, rest);
    records.extend(known.preferences.keys().map(|it| of(Topic::Preference, it.as_str())));
    records.extend(known.devices.keys().map(|it| of(Topic::Device, it)));
    records.extend(known.deaths.keys().map(|it| of(Topic::DeviceDeath, it)));
    records.extend(stored.iter().map(|message| Outgoing {
        key: message.to_string().into_bytes(),
        ..of(Topic::Stored, "")
    }));
    records
}

fn channel_of(platform: Platform) -> Channel {
    match platform {
        Platform::Apns => Channel::Apns,
        Platform::Fcm => Channel::Fcm,
    }
}

fn platform_of(channel: Channel) -> Platform {
    match channel {
        Channel::Apns => Platform::Apns,
        Channel::Fcm | Channel::Email => Platform::Fcm,
    }
}

fn put<R: Record>(topic: Topic, citizen: Pseudonym, rest: &str, record: &R) -> Outgoing {
    let value = Some(Codec::default().encode(record));
    Outgoing { value, ..tombstone(topic, citizen, rest) }
}

fn tombstone(topic: Topic, citizen: Pseudonym, rest: &str) -> Outgoing {
    let id = citizen.to_string();
    let key = if rest.is_empty() { id.clone() } else { format!("{id}+{rest}") };
    Outgoing {
        topic,
        key: key.into_bytes(),
        partition_by: id.into_bytes(),
        value: None,
        headers: Headers::default(),
    }
}

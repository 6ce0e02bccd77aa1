//! Five invented citizens and the records that make them known.

use consumers::keys::Keys;
use runtime::log::Outgoing;
use schemas::codec::{Codec, Record};
use schemas::headers::Headers;
use schemas::ids::{Generation, Pseudonym};
use schemas::records::{
    CitizenKeyRecord, CitizenProfile, Device, Mode, NoticeType, Platform, Sealed,
};
use schemas::topics::Topic;
use sealing::{CitizenKey, Field};

use crate::seeded::START;

/// How a citizen can be reached; nobody of them has the same.
#[derive(Clone, Copy)]
pub struct Person {
    pub id: Pseudonym,
    devices: &'static [Platform],
    mailbox: bool,
    pub on_board: bool,
}

const fn person(id: u8, devices: &'static [Platform], mailbox: bool, on_board: bool) -> Person {
    Person { id: Pseudonym([id; 16]), devices, mailbox, on_board }
}

pub const PEOPLE: [Person; 5] = [
    person(1, &[Platform::Apns, Platform::Fcm], true, true),
    person(2, &[Platform::Apns], false, true),
    person(3, &[Platform::Fcm, Platform::Fcm], true, true),
    person(4, &[], true, true),
    person(5, &[], false, false),
];

impl Person {
    fn generation(self) -> Generation {
        Generation(self.id.0.map(|byte| byte | 0x80))
    }

    /// Profile, key and devices.
    pub fn records(self, keys: &Keys) -> Vec<Outgoing> {
        if !self.on_board {
            return Vec::new();
        }
        let entropy = keys.entropy.as_ref();
        let key = CitizenKey::draw(entropy, self.id, self.generation());
        let seal = |field: Field<'_>, plain: &str| {
            Sealed(key.seal_field(entropy, field, plain).expect("a short text"))
        };
        let wrapped = keys.keyring.masters().wrap_citizen(entropy, &key).expect("a master key");
        let email = self.mailbox.then(|| seal(Field::EmailAddress, "someone@example.org"));
        let mut records = vec![
            self.record(Topic::Profile, "", &self.profile(1, email)),
            self.record(
                Topic::CitizenKey,
                &self.generation().to_string(),
                &CitizenKeyRecord {
                    citizen: self.id,
                    generation: self.generation(),
                    wrapped: Sealed(wrapped.to_vec()),
                    created_at: START,
                },
            ),
        ];
        for (n, platform) in self.devices.iter().enumerate() {
            let installation = format!("device-{n}");
            let field = Field::DeviceToken { installation: &installation };
            let device = Device {
                citizen: self.id,
                generation: self.generation(),
                token: seal(field, "a token"),
                installation: installation.clone(),
                platform: *platform,
                registered_at: START,
            };
            records.push(self.record(Topic::Device, &installation, &device));
        }
        records
    }

    /// The profile that says no to everything.
    pub fn opt_out(self) -> Outgoing {
        let profile = CitizenProfile { inbox_enabled: false, ..self.profile(2, None) };
        self.record(Topic::Profile, "", &profile)
    }

    /// A preference that nobody can decode: whose it is its key says.
    pub fn spoilt(self) -> Outgoing {
        Outgoing { value: Some(b"rubbish".to_vec()), ..self.mended() }
    }

    /// The end of that preference.
    pub fn mended(self) -> Outgoing {
        let citizen = self.id.to_string();
        Outgoing {
            topic: Topic::Preference,
            key: format!("{citizen}+01OTHER").into_bytes(),
            partition_by: citizen.into_bytes(),
            value: None,
            headers: Headers::default(),
        }
    }

    fn profile(self, version: i64, email: Option<Sealed>) -> CitizenProfile {
        CitizenProfile {
            citizen: self.id,
            generation: self.generation(),
            version,
            inbox_enabled: true,
            push_enabled: true,
            email_enabled: true,
            email_validated: true,
            email,
            mode: Mode::Auto,
            settings_version: 0,
            blocked: std::collections::BTreeMap::new(),
            notice_type: NoticeType::Full,
            languages: vec!["it_IT".into()],
            reminders: false,
            accepted_tos_version: serde_json::from_str("1.0").expect("a number"),
            last_app_version: "1.0".into(),
            updated_at: START,
        }
    }

    fn record<R: Record>(self, topic: Topic, rest: &str, record: &R) -> Outgoing {
        let id = self.id.to_string();
        let key = if rest.is_empty() { id.clone() } else { format!("{id}+{rest}") };
        Outgoing {
            topic,
            key: key.into_bytes(),
            partition_by: id.into_bytes(),
            value: Some(Codec::default().encode(record)),
            headers: Headers::default(),
        }
    }
}

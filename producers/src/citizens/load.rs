//! Bringing many citizens on board at once: demos, migrations, tests.

use std::collections::BTreeMap;
use std::io::BufRead;

use runtime::log::{AppendError, Outgoing, TopicPartition, Writer};
use schemas::codec::Codec;
use schemas::ids::{Generation, Pseudonym, ServiceId, Timestamp};
use schemas::records::{
    Activation, ActivationState, CitizenKeyRecord, CitizenProfile, Device, Mode, NoticeType,
    Platform, Preference, Sealed, Version64,
};
use sealing::{CitizenKey, Entropy, Field, FiscalCode, Keyring, SealError, draw};
use serde::Deserialize;

use super::records::put;
use super::shape::{Profile, Reminder, ServicePreference};

/// Records of one transaction, about.
const TRANSACTION: usize = 2_000;

/// Everything that turning a person into records takes.
#[derive(Clone, Copy)]
pub struct Onboarding<'a> {
    pub keyring: &'a Keyring,
    pub entropy: &'a dyn Entropy,
    pub codec: &'a Codec,
    pub now: Timestamp,
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Onboarded {
    pub citizens: usize,
    /// Persons without a profile: not on board, nothing written.
    pub skipped: usize,
    pub records: usize,
    /// The offset of the last record in each partition: a view that has applied these knows them all.
    pub last: BTreeMap<TopicPartition, u64>,
}

/// Why not all were written. Says which line, never what stands in it.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("line {line}: {why}")]
    Line { line: usize, why: &'static str },
    #[error("line {line} cannot be read: {error}")]
    Unreadable { line: usize, error: std::io::Error },
    #[error("line {line} cannot be sealed: {error}")]
    Seal { line: usize, error: SealError },
    #[error("after {} citizens: {error}", done.citizens)]
    Append { done: Onboarded, error: AppendError },
}

/// Writes one person a line (NDJSON: `fiscal_code`, `profile`, `preferences`, `activations`,
/// `devices`; other members are ignored) in transactions of some hundred persons, none of them split.
/// Each gets a fresh generation and key, so a second load begins everybody's registration anew: messages
/// stored before it are lost to them. For empty systems.
///
/// # Errors
/// [`LoadError`]; whole transactions before it stay written.
pub fn onboard(
    lines: impl BufRead,
    with: Onboarding<'_>,
    writer: &mut dyn Writer,
) -> Result<Onboarded, LoadError> {
    let mut done = Onboarded::default();
    let mut records = Vec::new();
    let mut citizens = 0;
    for (at, text) in lines.lines().enumerate() {
        let line = at + 1;
        let text = text.map_err(|error| LoadError::Unreadable { line, error })?;
        if text.trim().is_empty() {
            continue;
        }
        let person: Person = serde_json::from_str(&text)
            .map_err(|_| LoadError::Line { line, why: "not a person of the sample's shape" })?;
        match person.records(with) {
            Ok(Some(of_person)) => {
                citizens += 1;
                records.extend(of_person);
            }
            Ok(None) => done.skipped += 1,
            Err(Unfit::Shape(why)) => return Err(LoadError::Line { line, why }),
            Err(Unfit::Seal(error)) => return Err(LoadError::Seal { line, error }),
        }
        if records.len() >= TRANSACTION {
            flush(&mut records, &mut citizens, writer, &mut done)?;
        }
    }
    flush(&mut records, &mut citizens, writer, &mut done)?;
    Ok(done)
}

fn flush(
    records: &mut Vec<Outgoing>,
    citizens: &mut usize,
    writer: &mut dyn Writer,
    done: &mut Onboarded,
) -> Result<(), LoadError> {
    if records.is_empty() {
        return Ok(());
    }
    let positions = writer
        .write(std::mem::take(records))
        .map_err(|error| LoadError::Append { done: done.clone(), error })?;
    done.citizens += std::mem::take(citizens);
    done.records += positions.len();
    for position in positions {
        let last = done.last.entry(position.at).or_default();
        *last = position.offset.max(*last);
    }
    Ok(())
}

enum Unfit {
    Shape(&'static str),
    Seal(SealError),
}

impl From<SealError> for Unfit {
    fn from(error: SealError) -> Self {
        Self::Seal(error)
    }
}

#[derive(Deserialize)]
struct Person {
    fiscal_code: String,
    profile: Option<Profile>,
    #[serde(default)]
    preferences: Vec<LoadedPreference>,
    #[serde(default)]
    activations: Vec<LoadedActivation>,
    #[serde(default)]
    devices: Vec<LoadedDevice>,
}

#[derive(Deserialize)]
struct LoadedPreference {
    service_id: ServiceId,
    #[serde(flatten)]
    choice: ServicePreference,
}

#[derive(Deserialize)]
struct LoadedActivation {
    service_id: ServiceId,
    status: ActivationState,
    #[serde(default)]
    version: i64,
    updated_at: String,
}

#[derive(Deserialize)]
struct LoadedDevice {
    installation_id: String,
    platform: Platform,
    token: String,
    registered_at: String,
}

/// One registration being written.
struct Registration<'a> {
    citizen: Pseudonym,
    generation: Generation,
    key: CitizenKey,
    with: Onboarding<'a>,
}

impl Person {
    /// The person's records, key first; `None` without a profile.
    fn records(&self, with: Onboarding<'_>) -> Result<Option<Vec<Outgoing>>, Unfit> {
        let Some(profile) = &self.profile else { return Ok(None) };
        let code: FiscalCode =
            self.fiscal_code.parse().map_err(|_| Unfit::Shape("`fiscal_code` is not one"))?;
        let citizen = with.keyring.pepper().pseudonym(&code);
        let generation = Generation(draw(with.entropy));
        let key = CitizenKey::draw(with.entropy, citizen, generation);
        let registration = Registration { citizen, generation, key, with };
        let codec = with.codec;
        let mut records = vec![
            put(codec, &registration.key_record()?),
            put(codec, &registration.profile(profile)?),
        ];
        let preferences = self.preferences.iter().map(|it| registration.preference(it));
        records.extend(preferences.map(|it| put(codec, &it)));
        for it in &self.activations {
            records.push(put(codec, &registration.activation(it)?));
        }
        for it in &self.devices {
            records.push(put(codec, &registration.device(it)?));
        }
        Ok(Some(records))
    }
}

impl Registration<'_> {
    fn key_record(&self) -> Result<CitizenKeyRecord, SealError> {
        let wrapped = self.with.keyring.masters().wrap_citizen(self.with.entropy, &self.key)?;
        Ok(CitizenKeyRecord {
            citizen: self.citizen,
            generation: self.generation,
            wrapped: Sealed(wrapped.to_vec()),
            created_at: self.with.now,
        })
    }

    fn seal(&self, field: Field<'_>, plain: &str) -> Result<Sealed, SealError> {
        self.key.seal_field(self.with.entropy, field, plain).map(Sealed)
    }

    /// Absent email flags mean true, as in IO's old profiles; an absent content type means anonymous.
    fn profile(&self, it: &Profile) -> Result<CitizenProfile, Unfit> {
        let email = it.email.as_deref().map(|text| self.seal(Field::EmailAddress, text));
        let settings = it.service_preferences_settings;
        let blocked = it.blocked_inbox_or_channels.iter().flatten();
        Ok(CitizenProfile {
            citizen: self.citizen,
            generation: self.generation,
            version: it.version.unwrap_or(0),
            inbox_enabled: it.is_inbox_enabled.unwrap_or(false),
            push_enabled: it.is_webhook_enabled.unwrap_or(false),
            email_enabled: it.is_email_enabled.unwrap_or(true),
            email_validated: it.is_email_validated.unwrap_or(true),
            email: email.transpose()?,
            mode: settings.map_or(Mode::Legacy, |it| it.mode),
            settings_version: settings.and_then(|it| it.version).unwrap_or(-1),
            blocked: blocked
                .map(|(id, list)| (id.clone(), list.iter().map(|w| w.word().to_owned()).collect()))
                .collect(),
            notice_type: it.push_notifications_content_type.unwrap_or(NoticeType::Anonymous),
            languages: it.preferred_languages.iter().flatten().map(|l| l.word().into()).collect(),
            reminders: it.reminder_status == Some(Reminder::Enabled),
            accepted_tos_version: Version64(it.accepted_tos_version.unwrap_or(1.0)),
            last_app_version: it.last_app_version.clone().unwrap_or_else(|| "UNKNOWN".into()),
            updated_at: it.updated_at.as_deref().map_or(Ok(self.with.now), moment)?,
        })
    }

    fn preference(&self, it: &LoadedPreference) -> Preference {
        Preference {
            citizen: self.citizen,
            generation: self.generation,
            service_id: it.service_id.clone(),
            settings_version: it.choice.settings_version,
            inbox_enabled: it.choice.is_inbox_enabled,
            email_enabled: it.choice.is_email_enabled,
            push_enabled: it.choice.is_webhook_enabled,
            read_access: it.choice.read_access().word().to_owned(),
            updated_at: self.with.now,
        }
    }

    fn activation(&self, it: &LoadedActivation) -> Result<Activation, Unfit> {
        Ok(Activation {
            citizen: self.citizen,
            service_id: it.service_id.clone(),
            state: it.status,
            version: it.version,
            changed_at: moment(&it.updated_at)?,
        })
    }

    fn device(&self, it: &LoadedDevice) -> Result<Device, Unfit> {
        let hashes = self.with.keyring.hashes();
        let installation = hashes.installation(self.citizen, &it.installation_id);
        let field = Field::DeviceToken { installation: &installation };
        Ok(Device {
            citizen: self.citizen,
            generation: self.generation,
            token: self.seal(field, &it.token)?,
            installation,
            platform: it.platform,
            registered_at: moment(&it.registered_at)?,
        })
    }
}

fn moment(text: &str) -> Result<Timestamp, Unfit> {
    policy::contract::date::parse(text).ok_or(Unfit::Shape("a moment is not an ISO 8601 date-time"))
}

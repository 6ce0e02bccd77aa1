//! What a citizen's request makes of what stands: IO's update rules, pure.
//!
//! Source: `update-profile.ts`, `create-profile.ts` and `upsert-service-preferences.ts` of IO's profile
//! functions; where we differ on purpose, the line says so.

use policy::consent;
use schemas::ids::{Generation, Pseudonym, ServiceId, Timestamp};
use schemas::records::{Activation, CitizenProfile, Mode, NoticeType, Preference, Version64};

use super::shape::{Blocked, Language, Profile, Reminder, ServicePreference};

/// What stands in a profile whose citizen has accepted no terms yet.
const NO_TERMS: Version64 = Version64(0.0);

/// Why a request changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The request itself is wrong.
    Bad(&'static str),
    /// It was made on another version, or the mode forbids it.
    Conflict(&'static str),
    NotFound(&'static str),
}

/// What becomes of the address.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    Kept,
    New(String),
}

/// A profile after an update.
#[derive(Clone, PartialEq)]
pub struct Updated {
    /// Its `email` is still the old one; [`Updated::address`] says what to seal in its place.
    pub profile: CitizenProfile,
    pub address: Address,
    /// LEGACY → AUTO: what the list of blocked services becomes.
    pub migrated: Vec<Preference>,
    /// The mode changed: preferences made for the coming settings version, if any lie about, must go.
    pub mode_changed: bool,
}

/// What the caller knows of the person's mailbox.
#[derive(Clone, Copy, Default)]
pub struct Mailbox<'a> {
    /// The address of the present profile.
    pub current: Option<&'a str>,
    /// An address that the login vouches for.
    pub vouched: Option<&'a str>,
}

/// The first profile of a registration. Without accepted terms the inbox stays off, as in IO.
///
/// # Errors
/// [`Refusal`].
pub fn create(
    citizen: Pseudonym,
    generation: Generation,
    body: &Profile,
    mailbox: Mailbox<'_>,
    now: Timestamp,
) -> Result<Updated, Refusal> {
    if body.version.is_some_and(|version| version != 0) {
        return Err(Refusal::Conflict("There is no profile yet: a first one has version 0."));
    }
    let blank = CitizenProfile {
        citizen,
        generation,
        version: -1,
        inbox_enabled: false,
        push_enabled: false,
        email_enabled: false,
        email_validated: false,
        email: None,
        mode: Mode::Legacy,
        settings_version: -1,
        blocked: std::collections::BTreeMap::new(),
        notice_type: NoticeType::Anonymous,
        languages: Vec::new(),
        reminders: false,
        accepted_tos_version: NO_TERMS,
        last_app_version: "UNKNOWN".to_owned(),
        updated_at: now,
    };
    let body = Profile { version: Some(-1), ..body.clone() };
    update(&blank, &body, mailbox, now)
}

/// An update of `current`. Absent members keep their value, except `last_app_version`,
/// `push_notifications_content_type` and `reminder_status`, which fall back to their defaults; absent
/// settings mean LEGACY. Accepting terms for the first time switches inbox and push on; a member of
/// the same request that says otherwise wins (IO switches on regardless).
///
/// # Errors
/// [`Refusal`]. Precedence: wrong members > version > mode.
pub fn update(
    current: &CitizenProfile,
    body: &Profile,
    mailbox: Mailbox<'_>,
    now: Timestamp,
) -> Result<Updated, Refusal> {
    check(body)?;
    match body.version {
        None => return Err(Refusal::Bad("`version` is missing: send that of the profile read.")),
        Some(version) if version != current.version => {
            return Err(Refusal::Conflict("The profile has another version: read it again."));
        }
        Some(_) => {}
    }
    let mode = body.service_preferences_settings.map_or(Mode::Legacy, |it| it.mode);
    if mode == Mode::Legacy && current.mode != Mode::Legacy {
        return Err(Refusal::Conflict("Mode LEGACY is not valid."));
    }
    let mode_changed = mode != current.mode;
    let first_terms = current.accepted_tos_version.0 < 1.0 && body.accepted_tos_version.is_some();
    let address = match body.email.as_deref() {
        Some(email) if Some(email) != mailbox.current => Address::New(email.to_owned()),
        Some(_) | None => Address::Kept,
    };
    let kept = address == Address::Kept;
    let present = if let Address::New(email) = &address { Some(&**email) } else { mailbox.current };
    let vouched = present.zip(mailbox.vouched).is_some_and(|(one, other)| is_same(one, other));
    let mut profile = CitizenProfile {
        version: current.version + 1,
        inbox_enabled: body.is_inbox_enabled.unwrap_or(current.inbox_enabled || first_terms),
        push_enabled: body.is_webhook_enabled.unwrap_or(current.push_enabled || first_terms),
        email_enabled: body.is_email_enabled.unwrap_or(current.email_enabled),
        email_validated: vouched || (kept && current.email_validated),
        mode,
        settings_version: current.settings_version + i64::from(mode_changed),
        blocked: std::collections::BTreeMap::new(),
        notice_type: body.push_notifications_content_type.unwrap_or(NoticeType::Anonymous),
        reminders: body.reminder_status == Some(Reminder::Enabled),
        last_app_version: body.last_app_version.clone().unwrap_or_else(|| "UNKNOWN".to_owned()),
        updated_at: now,
        ..current.clone()
    };
    if let Some(version) = body.accepted_tos_version {
        profile.accepted_tos_version = Version64(version);
    }
    if let Some(languages) = &body.preferred_languages {
        profile.languages = languages.iter().map(|it| Language::word(*it).to_owned()).collect();
    }
    if mode == Mode::Legacy {
        profile.blocked = body.blocked_inbox_or_channels.as_ref().map_or_else(
            || current.blocked.clone(),
            |lists| lists.iter().map(|(id, list)| (id.clone(), words(list))).collect(),
        );
    }
    let migrates = current.mode == Mode::Legacy && mode == Mode::Auto;
    let migrated = if migrates { migrated(current, &profile, now) } else { Vec::new() };
    Ok(Updated { profile, address, migrated, mode_changed })
}

/// One mailbox: what stands before the `@` is the mail server's affair, domains know no case (RFC 5321
/// §2.4).
#[must_use]
pub fn is_same(one: &str, other: &str) -> bool {
    let parts = |address: &str| {
        let (name, domain) = address.rsplit_once('@')?;
        Some((name.to_owned(), domain.to_ascii_lowercase()))
    };
    parts(one).is_some() && parts(one) == parts(other)
}

fn check(body: &Profile) -> Result<(), Refusal> {
    if body.accepted_tos_version.is_some_and(|version| version < 1.0) {
        return Err(Refusal::Bad("`accepted_tos_version` must be 1 or more."));
    }
    if body.email.as_deref().is_some_and(|email| !policy::contract::text::is_email(email)) {
        return Err(Refusal::Bad("`email` must be an address of a mailbox."));
    }
    if body.last_app_version.as_deref().is_some_and(|it| it.is_empty() || it.len() > 64) {
        return Err(Refusal::Bad("`last_app_version` must have 1 to 64 characters."));
    }
    let lists = body.blocked_inbox_or_channels.as_ref();
    if lists.is_some_and(|lists| lists.len() > MOST_BLOCKED || lists.keys().any(|id| !fits(id))) {
        return Err(Refusal::Bad("`blocked_inbox_or_channels` must name at most 1000 services."));
    }
    Ok(())
}

const MOST_BLOCKED: usize = 1_000;

/// Whether `id` may stand for a service: 1 to 64 printable ASCII characters.
#[must_use]
pub fn fits(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn words(list: &[Blocked]) -> Vec<String> {
    let mut list = list.to_vec();
    list.sort_unstable();
    list.dedup();
    list.into_iter().map(|it| it.word().to_owned()).collect()
}

fn migrated(from: &CitizenProfile, to: &CitizenProfile, now: Timestamp) -> Vec<Preference> {
    let blocked = from.blocked.iter().filter(|(_, list)| !list.is_empty());
    blocked
        .map(|(service, list)| {
            let free = |it: Blocked| !list.iter().any(|word| word == it.word());
            Preference {
                citizen: to.citizen,
                generation: to.generation,
                service_id: service.as_str().into(),
                settings_version: to.settings_version,
                inbox_enabled: free(Blocked::Inbox),
                email_enabled: free(Blocked::Email),
                push_enabled: free(Blocked::Webhook),
                read_access: "UNKNOWN".to_owned(),
                updated_at: now,
            }
        })
        .collect()
}

/// A choice for one service. `special` services go by activation: the inbox flag must say what the
/// activation implies.
///
/// # Errors
/// [`Refusal`].
pub fn prefer(
    profile: &CitizenProfile,
    service: &ServiceId,
    body: ServicePreference,
    special: bool,
    activation: Option<&Activation>,
    now: Timestamp,
) -> Result<Preference, Refusal> {
    if body.can_access_message_read_status == Some(true) && !body.is_inbox_enabled {
        return Err(Refusal::Bad("Read status cannot be shown to a sender whose inbox is off."));
    }
    if profile.mode == Mode::Legacy {
        return Err(Refusal::Conflict(
            "The profile is in mode LEGACY: choose AUTO or MANUAL first.",
        ));
    }
    if body.settings_version != profile.settings_version {
        return Err(Refusal::Conflict(
            "The settings have another version: read the profile again.",
        ));
    }
    if special && body.is_inbox_enabled != consent::is_active(activation, now) {
        return Err(Refusal::Conflict("The inbox flag of this service follows its activation."));
    }
    Ok(Preference {
        citizen: profile.citizen,
        generation: profile.generation,
        service_id: service.clone(),
        settings_version: body.settings_version,
        inbox_enabled: body.is_inbox_enabled,
        email_enabled: body.is_email_enabled,
        push_enabled: body.is_webhook_enabled,
        read_access: body.read_access().word().to_owned(),
        updated_at: now,
    })
}

/// What counts for one service now: the preference made under the present settings, else what the
/// mode says of a service without one. What is shown of inbox and push is what the pipeline obeys; the email
/// flag of a preference is shown as it was chosen, though as in IO it counts in LEGACY only.
#[must_use]
pub fn preferred(
    profile: &CitizenProfile,
    service: &ServiceId,
    preference: Option<&Preference>,
) -> ServicePreference {
    let off = consent::Blocked::of(profile, preference, service);
    let obeyed = ServicePreference {
        is_inbox_enabled: !off.inbox,
        is_email_enabled: !off.email,
        is_webhook_enabled: !off.push,
        settings_version: profile.settings_version,
        can_access_message_read_status: None,
    };
    let current = preference.filter(|it| it.settings_version == profile.settings_version);
    match (profile.mode, current) {
        (Mode::Auto | Mode::Manual, Some(preference)) => ServicePreference {
            is_inbox_enabled: obeyed.is_inbox_enabled,
            is_webhook_enabled: obeyed.is_webhook_enabled,
            ..ServicePreference::of(preference)
        },
        // Nothing comes in, so there is nothing to be told of.
        (Mode::Manual, None) => {
            ServicePreference { is_email_enabled: false, is_webhook_enabled: false, ..obeyed }
        }
        (Mode::Legacy, _) | (Mode::Auto, None) => obeyed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn profile(mode: Mode, settings_version: i64) -> CitizenProfile {
        let body = Profile { accepted_tos_version: Some(1.0), ..Profile::default() };
        let (citizen, generation) = (Pseudonym([1; 16]), Generation([2; 16]));
        let made = create(citizen, generation, &body, Mailbox::default(), NOW);
        let Ok(made) = made else { panic!("a first profile") };
        let blocked = [("02B", "INBOX"), ("03C", "WEBHOOK")];
        let blocked = blocked.map(|(id, word)| (id.to_owned(), vec![word.to_owned()])).into();
        CitizenProfile { mode, settings_version, blocked, ..made.profile }
    }

    fn preference(of: &CitizenProfile, inbox_enabled: bool, settings_version: i64) -> Preference {
        Preference {
            citizen: of.citizen,
            generation: of.generation,
            service_id: "01A".into(),
            settings_version,
            inbox_enabled,
            email_enabled: true,
            push_enabled: false,
            read_access: "UNKNOWN".to_owned(),
            updated_at: NOW,
        }
    }

    #[test]
    fn what_is_shown_of_a_services_inbox_is_what_its_messages_meet() {
        for mode in [Mode::Legacy, Mode::Auto, Mode::Manual] {
            let profile = profile(mode, 3);
            let chosen = [(true, 3), (false, 3), (true, 2), (false, 2)];
            let chosen = chosen.map(|(inbox, version)| Some(preference(&profile, inbox, version)));
            for (preference, service) in
                chosen.into_iter().chain([None]).zip(["01A", "02B", "03C"].into_iter().cycle())
            {
                let service = ServiceId::from(service);
                let shown = preferred(&profile, &service, preference.as_ref());
                let met = consent::Citizen {
                    profile: Some(profile.clone()),
                    preference: preference.clone(),
                    ..consent::Citizen::default()
                };
                let met = consent::sender_allowed(&met, &service, false, NOW);
                assert_eq!(met, Some(shown.is_inbox_enabled), "{mode:?} {service} {preference:?}");
            }
        }
    }
}

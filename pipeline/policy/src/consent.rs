//! May this service write to this citizen, and on which channels?
//!
//! Asked when a message comes in and again at the moment of every send: the latest answer is law.

use std::time::Duration;

use schemas::ids::{Generation, ServiceId, Timestamp};
use schemas::records::{
    Activation, ActivationState, CitizenProfile, MessageAccepted, Mode, NoticeType, Platform,
    Preference, Reason, Target,
};
use schemas::topics::Channel;

/// A pending activation counts as active for this long (IO: `PENDING_ACTIVATION_GRACE_PERIOD_SECONDS`).
pub const ACTIVATION_GRACE: Duration = Duration::from_secs(86_400);

/// A device as the directory knows it, without its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRef {
    pub installation: String,
    pub platform: Platform,
    pub registered_at: Timestamp,
    /// A provider called its token dead and it has not registered again since.
    pub dead: bool,
}

/// What the directory says of one citizen with regard to one service. Records of another generation
/// than the profile's are already left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Citizen {
    /// Absent: not on board.
    pub profile: Option<CitizenProfile>,
    pub preference: Option<Preference>,
    pub activation: Option<Activation>,
    /// One-click "no more email from this service".
    pub unsubscribed: bool,
    pub devices: Vec<DeviceRef>,
    /// An undecodable record stands in this citizen's way: wait for the operators.
    pub held: bool,
}

/// What a message and its service ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask<'a> {
    pub service_id: &'a ServiceId,
    /// The service decides by activation, not by preference.
    pub special: bool,
    pub secure_channels: bool,
    /// Neither service nor message requires secure channels.
    pub full_notice: bool,
    /// The sender gave a fallback address and may use it.
    pub fallback_email: bool,
}

impl<'a> Ask<'a> {
    /// What an accepted message asks for.
    #[must_use]
    pub fn of(accepted: &'a MessageAccepted) -> Self {
        Self {
            service_id: &accepted.service_id,
            special: accepted.special,
            secure_channels: accepted.secure_channels,
            full_notice: accepted.full_notice,
            fallback_email: accepted.fallback_email,
        }
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Consent {
    Permitted(Permission),
    /// No profile, but the sender's fallback address may take the message itself.
    FallbackEmail,
    NotOnBoard(Reason),
    Rejected(Reason),
    /// Nobody may guess: wait.
    Held,
}

/// What a permitted message may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    pub generation: Generation,
    pub version: i64,
    pub notice_type: NoticeType,
    pub language: String,
    /// Living devices first, the mailbox last; may be empty.
    pub targets: Vec<Target>,
    /// No mail of this service is wanted, to whatever address: asked where the sender knows one.
    pub mail_refused: bool,
}

impl Permission {
    /// Whether `channel` to `installation` (empty: the mailbox) is still allowed.
    #[must_use]
    pub fn allows(&self, channel: Channel, installation: &str) -> bool {
        self.targets
            .iter()
            .any(|target| target.channel == channel && target.installation == installation)
    }
}

/// Precedence: held > no profile > inbox off > not activated (special services) > blocked by the
/// citizen > permitted. Without a profile the fallback address takes the message, if there is one,
/// secure channels are not required and the person has not unsubscribed.
#[must_use]
pub fn decide(citizen: &Citizen, ask: &Ask<'_>, now: Timestamp) -> Consent {
    if citizen.held {
        return Consent::Held;
    }
    let Some(profile) = &citizen.profile else {
        let may_mail = ask.fallback_email && !ask.secure_channels && !citizen.unsubscribed;
        return if may_mail {
            Consent::FallbackEmail
        } else {
            Consent::NotOnBoard(Reason::NoProfile)
        };
    };
    if !profile.inbox_enabled {
        return Consent::NotOnBoard(Reason::InboxDisabled);
    }
    let blocked = Blocked::of(profile, citizen.preference.as_ref(), ask.service_id);
    if ask.special {
        if !is_active(citizen.activation.as_ref(), now) {
            return Consent::Rejected(Reason::NotActivated);
        }
    } else if blocked.inbox {
        return Consent::Rejected(Reason::SenderBlocked);
    }
    Consent::Permitted(Permission {
        generation: profile.generation,
        version: profile.version,
        notice_type: notice_type(profile, ask),
        language: profile.languages.first().cloned().unwrap_or_else(|| "it_IT".to_owned()),
        targets: targets(profile, citizen, ask, &blocked),
        mail_refused: refuses_mail(profile, citizen, ask, &blocked),
    })
}

/// Whether `sender_allowed` is true in the sender's view of a profile; absent where there is nobody
/// to see (no profile, or inbox off: the sender cannot tell which).
#[must_use]
pub fn sender_allowed(
    citizen: &Citizen,
    service_id: &ServiceId,
    special: bool,
    now: Timestamp,
) -> Option<bool> {
    let profile = citizen.profile.as_ref().filter(|profile| profile.inbox_enabled)?;
    Some(if special {
        is_active(citizen.activation.as_ref(), now)
    } else {
        !Blocked::of(profile, citizen.preference.as_ref(), service_id).inbox
    })
}

/// What the citizen has switched off for one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Blocked {
    pub inbox: bool,
    pub push: bool,
    pub email: bool,
}

impl Blocked {
    /// A preference of an outdated settings version is not to be obeyed.
    #[must_use]
    pub fn of(
        profile: &CitizenProfile,
        preference: Option<&Preference>,
        service_id: &ServiceId,
    ) -> Self {
        let current = preference.filter(|p| p.settings_version == profile.settings_version);
        match (profile.mode, current) {
            (Mode::Legacy, _) => Self::listed(profile, service_id),
            (Mode::Auto | Mode::Manual, Some(preference)) => Self {
                inbox: !preference.inbox_enabled,
                push: !preference.push_enabled,
                // IO stores a preference's email flag and uses it nowhere outside LEGACY.
                email: false,
            },
            (Mode::Auto, None) => Self::default(),
            (Mode::Manual, None) => Self { inbox: true, ..Self::default() },
        }
    }

    fn listed(profile: &CitizenProfile, service_id: &ServiceId) -> Self {
        let words = profile.blocked.get(service_id.as_str());
        let has = |word| words.is_some_and(|words| words.iter().any(|w| w == word));
        Self { inbox: has("INBOX"), push: has("WEBHOOK"), email: has("EMAIL") }
    }
}

/// Whether a special service may write.
#[must_use]
pub fn is_active(activation: Option<&Activation>, now: Timestamp) -> bool {
    activation.is_some_and(|activation| match activation.state {
        ActivationState::Active => true,
        ActivationState::Inactive => false,
        ActivationState::Pending => now.since(activation.changed_at) < ACTIVATION_GRACE,
    })
}

fn notice_type(profile: &CitizenProfile, ask: &Ask<'_>) -> NoticeType {
    match (profile.notice_type, ask.full_notice) {
        (NoticeType::Full, true) => NoticeType::Full,
        (NoticeType::Full, false) | (NoticeType::Anonymous, _) => NoticeType::Anonymous,
    }
}

fn targets(
    profile: &CitizenProfile,
    citizen: &Citizen,
    ask: &Ask<'_>,
    blocked: &Blocked,
) -> Vec<Target> {
    let mut targets = Vec::new();
    if profile.push_enabled && !blocked.push {
        targets.extend(citizen.devices.iter().filter(|device| !device.dead).map(|device| Target {
            channel: channel_of(device.platform),
            installation: device.installation.clone(),
        }));
    }
    let mailbox = profile.email_validated && profile.email.is_some();
    if mailbox && !refuses_mail(profile, citizen, ask, blocked) {
        targets.push(Target { channel: Channel::Email, installation: String::new() });
    }
    targets
}

fn refuses_mail(
    profile: &CitizenProfile,
    citizen: &Citizen,
    ask: &Ask<'_>,
    blocked: &Blocked,
) -> bool {
    !profile.email_enabled || blocked.email || ask.secure_channels || citizen.unsubscribed
}

/// The channel that reaches a platform's devices.
#[must_use]
pub fn channel_of(platform: Platform) -> Channel {
    match platform {
        Platform::Apns => Channel::Apns,
        Platform::Fcm => Channel::Fcm,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use schemas::ids::Pseudonym;
    use schemas::records::{Sealed, Version64};

    use super::*;

    const NOW: Timestamp = Timestamp(10_000_000_000);

    fn service() -> ServiceId {
        ServiceId::from("01SERVICE")
    }

    fn profile(mode: Mode) -> CitizenProfile {
        CitizenProfile {
            citizen: Pseudonym([1; 16]),
            generation: Generation([2; 16]),
            version: 7,
            inbox_enabled: true,
            push_enabled: true,
            email_enabled: true,
            email_validated: true,
            email: Some(Sealed(vec![1])),
            mode,
            settings_version: 3,
            blocked: BTreeMap::new(),
            notice_type: NoticeType::Full,
            languages: vec!["de_DE".into()],
            reminders: false,
            accepted_tos_version: Version64(1.0),
            last_app_version: "2.0".into(),
            updated_at: NOW,
        }
    }

    fn preference(version: i64, inbox: bool) -> Preference {
        Preference {
            citizen: Pseudonym([1; 16]),
            generation: Generation([2; 16]),
            service_id: service(),
            settings_version: version,
            inbox_enabled: inbox,
            email_enabled: true,
            push_enabled: true,
            read_access: "UNKNOWN".into(),
            updated_at: NOW,
        }
    }

    fn activation(state: ActivationState, age: Duration) -> Activation {
        Activation {
            citizen: Pseudonym([1; 16]),
            service_id: service(),
            state,
            version: 1,
            changed_at: Timestamp(NOW.0 - i64::try_from(age.as_millis()).expect("short")),
        }
    }

    fn on_board(mode: Mode) -> Citizen {
        let device = DeviceRef {
            installation: "phone".into(),
            platform: Platform::Apns,
            registered_at: NOW,
            dead: false,
        };
        Citizen { profile: Some(profile(mode)), devices: vec![device], ..Citizen::default() }
    }

    fn check(citizen: &Citizen, special: bool, expected: Result<usize, Consent>) {
        let id = service();
        let ask = Ask {
            service_id: &id,
            special,
            secure_channels: false,
            full_notice: true,
            fallback_email: false,
        };
        match (decide(citizen, &ask, NOW), expected) {
            (Consent::Permitted(permission), Ok(n)) => assert_eq!(permission.targets.len(), n),
            (other, Err(expected)) => assert_eq!(other, expected),
            (other, Ok(n)) => panic!("expected {n} targets, got {other:?}"),
        }
    }

    #[test]
    fn held_beats_everything() {
        let citizen = Citizen { held: true, ..Citizen::default() };
        check(&citizen, false, Err(Consent::Held));
    }

    #[test]
    fn no_profile_is_not_on_board() {
        check(&Citizen::default(), false, Err(Consent::NotOnBoard(Reason::NoProfile)));
    }

    #[test]
    fn inbox_off_beats_a_blocked_sender() {
        let mut citizen = on_board(Mode::Manual);
        citizen.profile.as_mut().expect("set").inbox_enabled = false;
        check(&citizen, false, Err(Consent::NotOnBoard(Reason::InboxDisabled)));
    }

    #[test]
    fn auto_lets_an_unknown_service_write_and_manual_does_not() {
        check(&on_board(Mode::Auto), false, Ok(2));
        check(&on_board(Mode::Manual), false, Err(Consent::Rejected(Reason::SenderBlocked)));
    }

    #[test]
    fn a_preference_of_the_current_version_decides() {
        let mut citizen = on_board(Mode::Manual);
        citizen.preference = Some(preference(3, true));
        check(&citizen, false, Ok(2));
        let mut citizen = on_board(Mode::Auto);
        citizen.preference = Some(preference(3, false));
        check(&citizen, false, Err(Consent::Rejected(Reason::SenderBlocked)));
    }

    #[test]
    fn a_preference_of_an_older_version_is_not_obeyed() {
        let mut citizen = on_board(Mode::Auto);
        citizen.preference = Some(preference(2, false));
        check(&citizen, false, Ok(2));
    }

    #[test]
    fn a_special_service_goes_by_activation_alone() {
        let mut citizen = on_board(Mode::Auto);
        check(&citizen, true, Err(Consent::Rejected(Reason::NotActivated)));
        citizen.preference = Some(preference(3, false));
        citizen.activation = Some(activation(ActivationState::Active, Duration::ZERO));
        check(&citizen, true, Ok(2));
    }

    #[test]
    fn a_pending_activation_counts_for_a_day() {
        let mut citizen = on_board(Mode::Auto);
        citizen.activation =
            Some(activation(ActivationState::Pending, Duration::from_secs(86_399)));
        check(&citizen, true, Ok(2));
        citizen.activation = Some(activation(ActivationState::Pending, ACTIVATION_GRACE));
        check(&citizen, true, Err(Consent::Rejected(Reason::NotActivated)));
    }

    #[test]
    fn a_legacy_list_blocks_channel_by_channel() {
        let mut citizen = on_board(Mode::Legacy);
        let blocked = &mut citizen.profile.as_mut().expect("set").blocked;
        blocked.insert("01SERVICE".into(), vec!["WEBHOOK".into()]);
        check(&citizen, false, Ok(1));
    }

    #[test]
    fn unsubscribing_takes_the_mailbox_only() {
        let citizen = Citizen { unsubscribed: true, ..on_board(Mode::Auto) };
        check(&citizen, false, Ok(1));
    }

    #[test]
    fn whoever_refuses_mail_refuses_it_at_every_address() {
        let refuses = |citizen: &Citizen, secure_channels| {
            let id = service();
            let ask = Ask {
                service_id: &id,
                special: false,
                secure_channels,
                full_notice: true,
                fallback_email: true,
            };
            let Consent::Permitted(permission) = decide(citizen, &ask, NOW) else {
                panic!("on board")
            };
            permission.mail_refused
        };
        let mut nowhere = on_board(Mode::Auto);
        nowhere.profile.as_mut().expect("set").email = None;
        assert!(!refuses(&on_board(Mode::Auto), false) && !refuses(&nowhere, false));
        assert!(refuses(&nowhere, true));
        assert!(refuses(&Citizen { unsubscribed: true, ..nowhere.clone() }, false));
        let mut off = nowhere.clone();
        off.profile.as_mut().expect("set").email_enabled = false;
        assert!(refuses(&off, false));
        let mut blocked = on_board(Mode::Legacy);
        let list = &mut blocked.profile.as_mut().expect("set").blocked;
        list.insert("01SERVICE".into(), vec!["EMAIL".into()]);
        assert!(refuses(&blocked, false));
    }

    #[test]
    fn a_dead_device_is_no_target() {
        let mut citizen = on_board(Mode::Auto);
        citizen.devices[0].dead = true;
        check(&citizen, false, Ok(1));
    }

    #[test]
    fn the_fallback_address_serves_only_where_there_is_no_profile() {
        let id = service();
        let ask = |secure_channels| Ask {
            service_id: &id,
            special: false,
            secure_channels,
            full_notice: true,
            fallback_email: true,
        };
        let nobody = Citizen::default();
        assert_eq!(decide(&nobody, &ask(false), NOW), Consent::FallbackEmail);
        assert_eq!(decide(&nobody, &ask(true), NOW), Consent::NotOnBoard(Reason::NoProfile));
        let unsubscribed = Citizen { unsubscribed: true, ..Citizen::default() };
        assert_eq!(decide(&unsubscribed, &ask(false), NOW), Consent::NotOnBoard(Reason::NoProfile));
    }
}

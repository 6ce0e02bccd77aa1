//! The app API's JSON: IO's names, in snake case.

use std::collections::BTreeMap;

use schemas::records::{CitizenProfile, Mode, NoticeType, Preference};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A profile as the app reads and writes it. Members not named are dropped, as IO drops them.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct Profile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_inbox_enabled: Option<bool>,
    /// Push; IO's word for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_webhook_enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_email_enabled: Option<bool>,
    /// Never taken from a request: only a mailed token or a trusted login validates an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_email_validated: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_languages: Option<Vec<Language>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_preferences_settings: Option<Settings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_tos_version: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_app_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// `FULL` or `ANONYMOUS`; absent means anonymous.
    #[schema(value_type = Option<String>)]
    pub push_notifications_content_type: Option<NoticeType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reminder_status: Option<Reminder>,
    /// LEGACY only: service id → what is blocked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_inbox_or_channels: Option<BTreeMap<String, Vec<Blocked>>>,
    /// An update carries the version that it was made on; 0 for the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
}

/// How preferences are read, and the number that outdates them all at once.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct Settings {
    /// `LEGACY`, `AUTO` or `MANUAL`.
    #[schema(value_type = String)]
    pub mode: Mode,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, ToSchema)]
        pub enum $name { $(#[serde(rename = $word)] $variant),* }

        impl $name {
            /// As records hold it.
            pub(super) fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
            /// From a record; absent where a newer writer used a word that we lack.
            pub(super) fn of(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    )*};
}

words! {
    /// What a LEGACY profile blocks of a service.
    Blocked { Inbox = "INBOX", Email = "EMAIL", Webhook = "WEBHOOK" }
    /// The languages a notice can be written in.
    Language {
        It = "it_IT", En = "en_GB", Es = "es_ES", De = "de_DE", Fr = "fr_FR",
    }
    /// May the sender see whether a message was read.
    ReadAccess { Allow = "ALLOW", Deny = "DENY", Unknown = "UNKNOWN" }
}

/// Whether payment and unread reminders are wished.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reminder {
    Enabled,
    Disabled,
}

impl Profile {
    /// A stored profile with its address opened.
    #[must_use]
    pub fn of(profile: &CitizenProfile, email: Option<String>) -> Self {
        let legacy = profile.mode == Mode::Legacy;
        let blocked = || {
            let words = |words: &Vec<String>| words.iter().filter_map(|w| Blocked::of(w)).collect();
            profile.blocked.iter().map(|(id, list)| (id.clone(), words(list))).collect()
        };
        Self {
            is_inbox_enabled: Some(profile.inbox_enabled),
            is_webhook_enabled: Some(profile.push_enabled),
            email,
            is_email_enabled: Some(profile.email_enabled),
            is_email_validated: Some(profile.email_validated),
            preferred_languages: Some(
                profile.languages.iter().filter_map(|word| Language::of(word)).collect(),
            ),
            service_preferences_settings: Some(Settings {
                mode: profile.mode,
                version: Some(profile.settings_version),
            }),
            accepted_tos_version: Some(profile.accepted_tos_version.0).filter(|it| *it >= 1.0),
            last_app_version: Some(profile.last_app_version.clone()),
            push_notifications_content_type: Some(profile.notice_type),
            reminder_status: Some(if profile.reminders {
                Reminder::Enabled
            } else {
                Reminder::Disabled
            }),
            blocked_inbox_or_channels: legacy.then(blocked),
            version: Some(profile.version),
            updated_at: Some(policy::contract::date::format(profile.updated_at)),
        }
    }
}

/// A citizen's choice for one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServicePreference {
    pub is_inbox_enabled: bool,
    pub is_email_enabled: bool,
    pub is_webhook_enabled: bool,
    /// That of the profile's settings; another one is out of date.
    pub settings_version: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub can_access_message_read_status: Option<bool>,
}

impl ServicePreference {
    #[must_use]
    pub fn of(preference: &Preference) -> Self {
        Self {
            is_inbox_enabled: preference.inbox_enabled,
            is_email_enabled: preference.email_enabled,
            is_webhook_enabled: preference.push_enabled,
            settings_version: preference.settings_version,
            can_access_message_read_status: match ReadAccess::of(&preference.read_access) {
                Some(ReadAccess::Allow) => Some(true),
                Some(ReadAccess::Deny) => Some(false),
                Some(ReadAccess::Unknown) | None => None,
            },
        }
    }

    pub(super) fn read_access(self) -> ReadAccess {
        match self.can_access_message_read_status {
            Some(true) => ReadAccess::Allow,
            Some(false) => ReadAccess::Deny,
            None => ReadAccess::Unknown,
        }
    }
}

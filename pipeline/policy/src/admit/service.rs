//! A service as the sender API knows it: the document of a `service` record.

use std::collections::BTreeSet;

use schemas::ids::{Pseudonym, ServiceId};
use schemas::topics::Lane;
use serde::{Deserialize, Serialize};

use super::cidr::Cidr;
use super::group::Groups;

/// Rights, limits and words of a service, in the shape of the services file without its API keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    pub service_id: ServiceId,
    pub name: String,
    #[serde(default)]
    pub description: String,
    pub organisation: Organisation,
    pub account: Account,
    #[serde(default)]
    pub groups: Groups,
    #[serde(default)]
    pub category: Category,
    #[serde(default)]
    pub require_secure_channels: bool,
    /// Euro cents; 0 means no payments.
    #[serde(default)]
    pub max_allowed_payment_amount: u64,
    /// Empty means every address.
    #[serde(default)]
    pub authorized_cidrs: Vec<Cidr>,
    /// The recipients of a limited sender, as pseudonyms.
    #[serde(default)]
    pub authorized_recipients: BTreeSet<Pseudonym>,
    /// Remote-content configurations that this service's account owns.
    #[serde(default)]
    pub remote_content_configurations: Vec<String>,
    #[serde(default)]
    pub metadata: Metadata,
    /// Where a single POST goes; rows of a sender batch are always bulk.
    #[serde(default = "live")]
    pub lane: Lane,
    /// Its account's share of the bulk lane beside other accounts', by contract; at least 1.
    #[serde(default = "one")]
    pub bulk_weight: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organisation {
    pub name: String,
    /// Eleven digits; the payee where a payment names none.
    pub fiscal_code: String,
    #[serde(default)]
    pub department: String,
}

/// The owner: groups and rate limits belong to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub account_id: String,
    #[serde(default)]
    pub email: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Category {
    /// The citizen's preferences decide.
    #[default]
    Standard,
    /// The activation decides.
    Special,
}

/// Words and addresses for people.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    pub scope: Option<String>,
    pub web_url: Option<String>,
    pub privacy_url: Option<String>,
    pub tos_url: Option<String>,
    pub support_url: Option<String>,
    pub app_ios: Option<String>,
    pub app_android: Option<String>,
    pub address: Option<String>,
    pub phone: Option<String>,
    pub email: Option<String>,
    pub pec: Option<String>,
    pub cta: Option<String>,
    pub token_name: Option<String>,
}

impl Service {
    /// What IO calls a ValidService: networks, a description, a privacy page and a way to reach somebody.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let given = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
        let m = &self.metadata;
        !self.authorized_cidrs.is_empty()
            && !self.description.is_empty()
            && given(&m.privacy_url)
            && [&m.email, &m.pec, &m.phone, &m.support_url].into_iter().any(given)
    }

    /// What a channel may do with a message of this service, given the message's own flag.
    #[must_use]
    pub fn secure_channels(&self, of_message: Option<bool>) -> SecureChannels {
        SecureChannels {
            email_allowed: !of_message.unwrap_or(self.require_secure_channels),
            full_notice: !self.require_secure_channels && of_message != Some(true),
        }
    }
}

/// The document of a `service` record: the service, and its API keys as keyed hashes (64 hex digits each).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceDocument {
    #[serde(flatten)]
    pub service: Service,
    pub api_key_hashes: KeyHashes,
}

/// Both keys of a service, equivalent, so that one can be changed while the other works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyHashes {
    pub primary: String,
    pub secondary: String,
}

/// Consequences of `require_secure_channels`. For email the message's flag overrides the service's in both
/// directions; a push says the subject only if neither asks for secrecy (IO forgets the message's flag).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecureChannels {
    pub email_allowed: bool,
    pub full_notice: bool,
}

fn live() -> Lane {
    Lane::Live
}

fn one() -> u32 {
    1
}

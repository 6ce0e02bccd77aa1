//! Settings of the citizen API.

use std::path::PathBuf;
use std::time::Duration;

use super::rates::CitizenRates;
use crate::ingest::TrustedProxy;

/// Bounds and waits.
#[derive(Debug, Clone)]
pub struct CitizensConfig {
    /// Facts may be as old as this when a send starts on them (`consent.max_age`): so long an answer
    /// waits after the view has applied a change.
    pub consent_max_age: Duration,
    /// How long a change may take to reach the view before the answer is "written, not yet seen".
    pub barrier: Duration,
    /// Devices of one citizen; one more is refused.
    pub most_devices: usize,
    /// Messages of one page of the inbox.
    pub page: usize,
    /// How long it is tried to mail a validation, at time scale 1.
    pub validation_patience: Duration,
    /// Changes in hand at once, of all citizens; one more is told to come again.
    pub changes: usize,
    /// Requests whose records may share a transaction.
    pub group: usize,
    /// The one name under which citizens' records are written, in whichever process.
    pub writer: String,
    /// How long a process that lost the pen leaves it to the other one, at least.
    pub pen_rest: Duration,
    pub rates: CitizenRates,
    /// Proxies whose word about the client's address is believed, and the headers that name it.
    pub trusted_proxies: Vec<TrustedProxy>,
    pub client_address_headers: Vec<String>,
}

impl Default for CitizensConfig {
    fn default() -> Self {
        Self {
            consent_max_age: Duration::from_millis(250),
            barrier: Duration::from_secs(5),
            most_devices: 10,
            page: 50,
            validation_patience: Duration::from_secs(86_400),
            changes: 1_024,
            group: 64,
            writer: "citizen-api".to_owned(),
            pen_rest: Duration::from_millis(250),
            rates: CitizenRates::default(),
            trusted_proxies: Vec::new(),
            client_address_headers: Vec::new(),
        }
    }
}

/// Whose tokens are believed, and what they say.
#[derive(Debug, Clone)]
pub struct LoginConfig {
    pub issuer: String,
    pub audience: String,
    pub keys: KeySource,
    /// The claim that carries the fiscal code as SPID and CIE give it, `TINIT-…`.
    pub claim: String,
    /// The address that the issuer vouches for; none unless it proves mailboxes itself.
    pub email: Option<EmailClaim>,
    /// Clocks may differ by this.
    pub leeway: Duration,
}

/// The claims of a mailbox that counts as validated.
#[derive(Debug, Clone)]
pub struct EmailClaim {
    /// Carries the address.
    pub address: String,
    /// Must be `true` beside it; none where the issuer puts proven addresses into tokens only.
    pub verified: Option<String>,
}

/// Where the issuer's public keys (a JSON Web Key Set, RFC 7517) come from.
#[derive(Debug, Clone)]
pub enum KeySource {
    File(PathBuf),
    /// Read at start and again when a token names an unknown key, at most once in `refresh`; sooner until
    /// it was read for the first time.
    Url {
        url: String,
        refresh: Duration,
    },
}

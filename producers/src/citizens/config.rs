//! Settings of the citizen API.

use std::path::PathBuf;
use std::time::Duration;

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
    /// How long a mailed validation link works.
    pub validation_life: Duration,
    /// Requests whose records may share a transaction.
    pub group: usize,
}

impl Default for CitizensConfig {
    fn default() -> Self {
        Self {
            consent_max_age: Duration::from_millis(250),
            barrier: Duration::from_secs(5),
            most_devices: 10,
            page: 50,
            validation_life: Duration::from_secs(86_400),
            group: 64,
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
    /// A claim whose address counts as validated; none unless the issuer itself proves mailboxes.
    pub email_claim: Option<String>,
    /// Clocks may differ by this.
    pub leeway: Duration,
}

/// Where the issuer's public keys (a JSON Web Key Set, RFC 7517) come from.
#[derive(Debug, Clone)]
pub enum KeySource {
    File(PathBuf),
    /// Read at start and again when a token names an unknown key, at most once in `refresh`.
    Url {
        url: String,
        refresh: Duration,
    },
}

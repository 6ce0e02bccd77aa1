//! What may be configured about APNs.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::gate::{GateConfig, PoolSettings};

/// One app in one environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApnsConfig {
    /// `https://api.push.apple.com` in production, `https://api.sandbox.push.apple.com` for builds
    /// under development; port 443 or 2197.
    pub url: String,
    /// PEM file with the authorities to trust instead of this machine's; empty for this machine's.
    pub ca_file: PathBuf,
    /// The signing key as downloaded from Apple (`AuthKey_<key id>.p8`).
    pub key_file: PathBuf,
    /// Its name, 10 characters.
    pub key_id: String,
    /// The developer team, 10 characters.
    pub team_id: String,
    /// The app's bundle id.
    pub topic: String,
    pub pool: PoolSettings,
    pub gate: GateConfig,
}

impl Default for ApnsConfig {
    fn default() -> Self {
        Self {
            url: "https://api.push.apple.com".into(),
            ca_file: PathBuf::new(),
            key_file: PathBuf::new(),
            key_id: String::new(),
            team_id: String::new(),
            topic: String::new(),
            pool: PoolSettings::default(),
            gate: GateConfig::default(),
        }
    }
}

//! What may be configured about FCM.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::gate::{GateConfig, PoolSettings};

/// One Firebase project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FcmConfig {
    /// `https://fcm.googleapis.com`.
    pub url: String,
    /// PEM file with the authorities to trust instead of this machine's, for sends and for access
    /// tokens; empty for this machine's.
    pub ca_file: PathBuf,
    /// The service account's key file (JSON) as Google hands it out. Names the project and the server
    /// of access tokens.
    pub account_file: PathBuf,
    /// A drawable of the app; empty for the app's own.
    pub icon: String,
    /// A notification channel that exists in the app; empty for the app's default.
    pub notification_channel: String,
    pub pool: PoolSettings,
    pub gate: GateConfig,
}

impl Default for FcmConfig {
    fn default() -> Self {
        Self {
            url: "https://fcm.googleapis.com".into(),
            ca_file: PathBuf::new(),
            account_file: PathBuf::new(),
            icon: "ic_notification".into(),
            notification_channel: String::new(),
            // Google allows 100 streams a connection.
            pool: PoolSettings {
                connections: 10,
                streams: 100,
                in_flight: 1_000,
                answer_within_ms: 15_000,
                open_spacing_ms: 100,
                ..PoolSettings::default()
            },
            // Google's default quota: 600,000 a minute and project.
            gate: GateConfig::paced(9_000, 1_000),
        }
    }
}

//! What may be configured about the sender API.

use std::time::Duration;

use policy::admit::rate::Limits;
use schemas::ids::ServiceId;
use serde::Deserialize;

use super::address::TrustedProxy;
use crate::http::BodyLimits;

/// Defaults are IO's where IO has any.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestConfig {
    /// Only these may name a client's address in a header; they must set or strip those headers.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// Headers read from a trusted proxy, the first present counts.
    pub client_address_headers: Vec<String>,
    /// Longest body in bytes; at least 131072.
    pub body_limit_bytes: usize,
    /// For a whole body to arrive.
    pub body_wait_ms: u64,
    /// How long getMessage waits for the next status of a message that is only accepted.
    pub status_wait_ms: u64,
    /// Refuse profile requests of services without networks, description, privacy page or contact.
    pub refuse_incomplete_services: bool,
    /// Services that are excepted from that.
    pub incomplete_services_excepted: Vec<ServiceId>,
    pub rate: RateConfig,
}

/// Calls of an owner account in a window.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateConfig {
    pub window_ms: u32,
    pub default_calls: u32,
    /// Members of `ApiRateLimit250`.
    pub raised_calls: u32,
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            trusted_proxies: Vec::new(),
            client_address_headers: vec!["x-client-ip".into(), "x-forwarded-for".into()],
            body_limit_bytes: BodyLimits::default().bytes,
            body_wait_ms: 10_000,
            status_wait_ms: 2_000,
            refuse_incomplete_services: false,
            incomplete_services_excepted: Vec::new(),
            rate: RateConfig::default(),
        }
    }
}

impl Default for RateConfig {
    fn default() -> Self {
        let Limits { default_calls, raised_calls, .. } = Limits::default();
        Self { window_ms: 5_000, default_calls, raised_calls }
    }
}

impl IngestConfig {
    /// What is wrong, each with its key and the fix.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.body_limit_bytes < 131_072 {
            faults.push(format!(
                "body_limit_bytes is {}: the contract needs at least 131072",
                self.body_limit_bytes
            ));
        }
        if !(1..=60_000).contains(&self.status_wait_ms) {
            faults.push("status_wait_ms must lie between 1 and 60000".to_owned());
        }
        if self.body_wait_ms == 0 {
            faults.push("body_wait_ms is 0: give bodies some time, such as 10000".to_owned());
        }
        if self.rate.window_ms == 0 || self.rate.default_calls == 0 || self.rate.raised_calls == 0 {
            faults.push("rate: window_ms and both numbers of calls must be at least 1".to_owned());
        }
        for name in &self.client_address_headers {
            if name.parse::<hyper::header::HeaderName>().is_err() {
                faults.push(format!("client_address_headers: {name:?} is no header name"));
            }
        }
        faults
    }

    pub(crate) fn body(&self) -> BodyLimits {
        BodyLimits {
            bytes: self.body_limit_bytes,
            wait: Duration::from_millis(self.body_wait_ms),
            ..BodyLimits::default()
        }
    }

    /// The figures for a [`super::Limiter`].
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            window_ms: i64::from(self.rate.window_ms),
            default_calls: self.rate.default_calls,
            raised_calls: self.rate.raised_calls,
        }
    }

    pub(super) fn status_wait(&self) -> Duration {
        Duration::from_millis(self.status_wait_ms)
    }
}

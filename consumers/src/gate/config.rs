//! What may be configured about every edge alike.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use edge::breaker::BreakerConfig;
use edge::guard::GuardConfig;
use edge::pacing::PaceConfig;
use edge::pool::PoolConfig;
use runtime::world::World;
use serde::{Deserialize, Serialize};

/// When an edge holds back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GateConfig {
    /// Sends that may start a second, in the long run, for this process; no more than the provider
    /// allows, divided by the processes that share the edge.
    pub per_second: u32,
    /// Sends that may start at once after a rest.
    pub burst: u32,
    /// A send that stays silent for so long is handed over: its story goes on without it. Real time.
    pub hand_over_ms: u64,
    /// Window in which the breaker weighs failures.
    pub breaker_window_ms: i64,
    /// Sends the window must hold before failures open the breaker.
    pub breaker_min_count: u32,
    /// Share of failures that opens it, 1 to 100.
    pub breaker_failure_percent: u32,
    /// First wait of an open breaker, doubled each time it opens again, up to the cap.
    pub breaker_open_ms: i64,
    pub breaker_open_cap_ms: i64,
    /// One probe in this time while the provider is asked whether it is back.
    pub breaker_probe_ms: i64,
    /// Window in which the guard counts dead addresses.
    pub guard_window_ms: i64,
    /// Sends the window must hold before the guard can trip.
    pub guard_min_count: u32,
    /// Above this share of dead addresses, 0 to 100, no more of them are believed.
    pub guard_gone_percent: u32,
    /// So many dead addresses in a row trip it whatever the window holds.
    pub guard_run: u32,
    /// So many refusals in a row, with one and the same reason, are taken for a wrong setting of ours.
    pub refusal_run: u32,
}

impl Default for GateConfig {
    fn default() -> Self {
        let breaker = BreakerConfig::default();
        let guard = GuardConfig::default();
        Self {
            per_second: 5_000,
            burst: 1_000,
            hand_over_ms: 1_000,
            breaker_window_ms: breaker.window_ms,
            breaker_min_count: breaker.min_count,
            breaker_failure_percent: 50,
            breaker_open_ms: breaker.open_ms,
            breaker_open_cap_ms: breaker.open_cap_ms,
            breaker_probe_ms: breaker.probe_every_ms,
            guard_window_ms: guard.window_ms,
            guard_min_count: guard.min_count,
            guard_gone_percent: 30,
            guard_run: guard.run,
            refusal_run: 50,
        }
    }
}

impl GateConfig {
    /// The defaults at another pace.
    #[must_use]
    pub fn paced(per_second: u32, burst: u32) -> Self {
        Self { per_second, burst, ..Self::default() }
    }

    pub(super) fn breaker(&self, time_scale: f64) -> BreakerConfig {
        BreakerConfig {
            window_ms: self.breaker_window_ms,
            min_count: self.breaker_min_count,
            failure_share: share(self.breaker_failure_percent),
            open_ms: self.breaker_open_ms,
            open_cap_ms: self.breaker_open_cap_ms,
            probe_every_ms: self.breaker_probe_ms,
            wait_factor: 1.0 / time_scale,
            ..BreakerConfig::default()
        }
    }

    pub(super) fn guard(&self) -> GuardConfig {
        GuardConfig {
            window_ms: self.guard_window_ms,
            min_count: self.guard_min_count,
            gone_share: share(self.guard_gone_percent),
            run: self.guard_run,
        }
    }

    pub(super) fn pace(&self) -> PaceConfig {
        PaceConfig { per_second: self.per_second, burst: self.burst }
    }

    fn check(&self, keys: Keys) -> Result<(), EdgeError> {
        let at_least_one = [
            ("per_second", i64::from(self.per_second)),
            ("burst", i64::from(self.burst)),
            ("hand_over_ms", i64::try_from(self.hand_over_ms).unwrap_or(i64::MAX)),
            ("breaker_window_ms", self.breaker_window_ms),
            ("breaker_min_count", i64::from(self.breaker_min_count)),
            ("breaker_failure_percent", i64::from(self.breaker_failure_percent)),
            ("breaker_open_ms", self.breaker_open_ms),
            ("breaker_open_cap_ms", self.breaker_open_cap_ms),
            ("breaker_probe_ms", self.breaker_probe_ms),
            ("guard_window_ms", self.guard_window_ms),
            ("guard_min_count", i64::from(self.guard_min_count)),
            ("guard_run", i64::from(self.guard_run)),
            ("refusal_run", i64::from(self.refusal_run)),
        ];
        if let Some((key, value)) = at_least_one.iter().find(|(_, value)| *value < 1) {
            return Err(keys.bad(&format!("gate.{key}"), format!("{value} is below 1")));
        }
        let percents = [
            ("breaker_failure_percent", self.breaker_failure_percent),
            ("guard_gone_percent", self.guard_gone_percent),
        ];
        match percents.iter().find(|(_, value)| *value > 100) {
            Some((key, value)) => {
                Err(keys.bad(&format!("gate.{key}"), format!("{value} is above 100")))
            }
            None => Ok(()),
        }
    }
}

fn share(percent: u32) -> f64 {
    f64::from(percent) / 100.0
}

/// Connections to a provider of pushes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolSettings {
    /// Connections held open.
    pub connections: usize,
    /// Streams a connection carries at most, whatever the provider allows.
    pub streams: usize,
    /// Sends under way at most, on all connections together.
    pub in_flight: usize,
    /// From the call to its end; an answer that has not come by then counts as none.
    pub answer_within_ms: u64,
    /// Least time between the openings of two connections.
    pub open_spacing_ms: u64,
    pub open_within_ms: u64,
    /// A PING leaves this often …
    pub ping_every_ms: u64,
    /// … and must be answered within this time.
    pub ping_within_ms: u64,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            connections: 2,
            streams: 1_000,
            in_flight: 4_000,
            answer_within_ms: 10_000,
            open_spacing_ms: 1_000,
            open_within_ms: 10_000,
            ping_every_ms: 60_000,
            ping_within_ms: 20_000,
        }
    }
}

impl PoolSettings {
    /// The pool's own configuration for `host` and `port`.
    #[must_use]
    pub fn pool(&self, host: String, port: u16) -> PoolConfig {
        PoolConfig {
            connections: self.connections,
            max_streams: self.streams,
            in_flight: self.in_flight,
            request_timeout: Duration::from_millis(self.answer_within_ms),
            open_spacing: Duration::from_millis(self.open_spacing_ms),
            open_timeout: Duration::from_millis(self.open_within_ms),
            ping_interval: Duration::from_millis(self.ping_every_ms),
            ping_timeout: Duration::from_millis(self.ping_within_ms),
            ..PoolConfig::new(host, port)
        }
    }
}

/// Why an edge cannot be opened. Always a matter of configuration; names the key and the fault, and
/// never a secret.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {fault}")]
pub struct EdgeError {
    pub key: String,
    pub fault: String,
}

/// The section of the configuration in which an edge's keys stand.
#[derive(Debug, Clone, Copy)]
pub struct Keys(pub &'static str);

impl Keys {
    #[must_use]
    pub fn bad(self, key: &str, fault: impl ToString) -> EdgeError {
        EdgeError { key: format!("{}.{key}", self.0), fault: fault.to_string() }
    }

    /// The bytes of a file that the configuration names.
    ///
    /// # Errors
    /// Absent or unreadable.
    pub fn read(self, key: &str, path: &Path) -> Result<Vec<u8>, EdgeError> {
        let name = path.display();
        if path.as_os_str().is_empty() {
            return Err(self.bad(key, "is empty; name a file"));
        }
        std::fs::read(path).map_err(|e| self.bad(key, format!("{name}: {e}; name a readable file")))
    }

    /// A TLS client that trusts the authorities of `ca_file`, or this machine's if that is empty.
    ///
    /// # Errors
    /// A file that is no PEM file of certificates; a machine without roots.
    pub fn tls(self, ca_file: &Path) -> Result<rustls::ClientConfig, EdgeError> {
        let named = !ca_file.as_os_str().is_empty();
        let ca = named.then(|| self.read("ca_file", ca_file)).transpose()?;
        edge::tls::client_config(ca.as_deref(), &[]).map_err(|e| self.bad("ca_file", e))
    }

    /// Host and port of an `https` URL without path, query or user.
    ///
    /// # Errors
    /// Anything else.
    pub fn endpoint(self, key: &str, url: &str) -> Result<(String, u16), EdgeError> {
        let bad = || {
            self.bad(key, format!("{url:?} is not of the form https://host or https://host:port"))
        };
        let uri: http::Uri = url.parse().map_err(|_| bad())?;
        let plain = uri.path() == "/" || uri.path().is_empty();
        let authority = uri.authority().ok_or_else(bad)?;
        if uri.scheme_str() != Some("https") || !plain || authority.as_str().contains('@') {
            return Err(bad());
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        Ok((host, authority.port_u16().unwrap_or(443)))
    }

    /// The world's clock, as the crate `edge` reads it.
    #[must_use]
    pub fn clock(self, world: &World) -> edge::Clock {
        let world = world.clone();
        Arc::new(move || world.now().0)
    }

    /// The world's chance, as the crate `edge` draws it.
    #[must_use]
    pub fn random(self, world: &World) -> edge::Random {
        let world = world.clone();
        // 53 bits, as many as a fraction holds: 2^53 itself would round up to 1.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        Arc::new(move || (world.random() >> 11) as f64 / (1_u64 << 53) as f64)
    }

    /// Checks what all edges have in common.
    ///
    /// # Errors
    /// The first key whose value no gate can work with.
    pub fn check(self, gate: &GateConfig) -> Result<(), EdgeError> {
        gate.check(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: Option<(&str, u16)>) {
        let read = Keys("apns").endpoint("url", url).ok();
        assert_eq!(read, expected.map(|(host, port)| (host.to_owned(), port)), "{url}");
    }

    #[test]
    fn an_endpoint_is_https_with_host_and_port_alone() {
        check("https://api.push.apple.com", Some(("api.push.apple.com", 443)));
        check("https://127.0.0.1:2197/", Some(("127.0.0.1", 2197)));
        check("https://[::1]:8443", Some(("::1", 8443)));
        for url in
            ["http://a.example", "https://a.example/v1", "https://u@a.example", "a.example", ""]
        {
            check(url, None);
        }
    }

    #[test]
    fn a_fault_names_its_key() {
        let fault = Keys("fcm").check(&GateConfig { burst: 0, ..GateConfig::default() });
        assert_eq!(fault.unwrap_err().to_string(), "fcm.gate.burst: 0 is below 1");
        let fault = GateConfig { guard_gone_percent: 101, ..GateConfig::default() };
        assert!(Keys("fcm").check(&fault).unwrap_err().to_string().contains("guard_gone_percent"));
        assert!(Keys("fcm").check(&GateConfig::default()).is_ok());
    }
}

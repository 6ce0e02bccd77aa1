use std::time::Duration;

use http::uri::Authority;
use rustls_pki_types::ServerName;

/// One edge's connections and limits. [`PoolConfig::new`] has defaults for all but the address.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// Name or address; looked up anew for each connection.
    pub host: String,
    pub port: u16,
    /// Name that the certificate must carry; `host` if absent.
    pub server_name: Option<String>,
    /// Connections held open; at least 1.
    pub connections: usize,
    /// Least time between the starts of two openings, of this pool: opening many at once counts
    /// as an attack.
    pub open_spacing: Duration,
    /// Name lookup, TCP, TLS and the HTTP/2 preface together.
    pub open_timeout: Duration,
    /// Bound of the growing wait between failed openings.
    pub reopen_cap: Duration,
    /// Streams a connection may carry before the peer's SETTINGS say so. One: some providers
    /// allow a single stream until the first credential is accepted.
    pub initial_streams: usize,
    /// Streams a connection may carry at most, whatever the peer allows.
    pub max_streams: usize,
    /// Requests after which a connection is replaced, without losing any: stream ids end after
    /// 2^30.
    pub requests_per_connection: usize,
    /// Sends under way at most, on all connections together.
    pub in_flight: usize,
    /// Sends that may wait for a stream.
    pub waiting: usize,
    /// From the call to its end.
    pub request_timeout: Duration,
    /// A PING leaves this often, idle or not …
    pub ping_interval: Duration,
    /// … and a connection that does not answer it in this time is dead.
    pub ping_timeout: Duration,
    /// How long a connection that is no longer given out may finish its streams.
    pub drain_timeout: Duration,
    /// How often one request may be replayed; a server that refuses everything must come to light.
    pub replays: u32,
    /// The `reason` words (JSON, in GOAWAY's debug data) that are counted by name; every other
    /// GOAWAY is counted by its HTTP/2 code. The provider's words come from the channel.
    pub goaway_reasons: &'static [&'static str],
}

/// A value no pool can work with; names the key, the fault and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolConfigError {
    #[error("host or port: {0:?} is not an authority; give a host name or an address")]
    Host(String),
    #[error("server_name: {0:?} is not a host name; give the name in the certificate")]
    ServerName(String),
    #[error("{0} is 0; give at least 1")]
    Zero(&'static str),
}

impl PoolConfig {
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            server_name: None,
            connections: 2,
            open_spacing: Duration::from_secs(1),
            open_timeout: Duration::from_secs(10),
            reopen_cap: Duration::from_secs(30),
            initial_streams: 1,
            max_streams: 1_000,
            requests_per_connection: 1_000_000_000,
            in_flight: 4_000,
            waiting: 10_000,
            request_timeout: Duration::from_secs(15),
            ping_interval: Duration::from_secs(60),
            ping_timeout: Duration::from_secs(20),
            drain_timeout: Duration::from_secs(10),
            replays: 3,
            goaway_reasons: &[],
        }
    }

    /// The address as the `:authority` of a request: the port only if it is not 443.
    pub(super) fn authority(&self) -> Result<Authority, PoolConfigError> {
        let host = match self.host.contains(':') && !self.host.starts_with('[') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        let text = match self.port {
            443 => host,
            port => format!("{host}:{port}"),
        };
        Authority::try_from(text.as_str()).map_err(|_| PoolConfigError::Host(text))
    }

    pub(super) fn tls_name(&self) -> Result<ServerName<'static>, PoolConfigError> {
        let name = self.server_name.as_ref().unwrap_or(&self.host);
        ServerName::try_from(name.clone()).map_err(|_| PoolConfigError::ServerName(name.clone()))
    }

    pub(super) fn check(&self) -> Result<(), PoolConfigError> {
        let counts = [
            ("connections", self.connections),
            ("initial_streams", self.initial_streams),
            ("max_streams", self.max_streams),
            ("requests_per_connection", self.requests_per_connection),
            ("in_flight", self.in_flight),
            ("waiting", self.waiting),
        ];
        let times = [
            ("open_timeout", self.open_timeout),
            ("request_timeout", self.request_timeout),
            ("ping_interval", self.ping_interval),
            ("ping_timeout", self.ping_timeout),
        ];
        let zero_count = counts.iter().find(|(_, value)| *value == 0).map(|(name, _)| *name);
        let zero_time = times.iter().find(|(_, value)| value.is_zero()).map(|(name, _)| *name);
        match zero_count.or(zero_time) {
            Some(name) => Err(PoolConfigError::Zero(name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_names_the_port_only_if_it_is_not_443() {
        for (host, port, expected) in [
            ("push.example", 443, "push.example"),
            ("push.example", 2197, "push.example:2197"),
            ("127.0.0.1", 8443, "127.0.0.1:8443"),
            ("::1", 8443, "[::1]:8443"),
        ] {
            assert_eq!(PoolConfig::new(host, port).authority().unwrap().as_str(), expected);
        }
    }

    #[test]
    fn a_bad_value_is_named() {
        let bad = |change: fn(&mut PoolConfig)| {
            let mut config = PoolConfig::new("push.example", 443);
            change(&mut config);
            config.check().and(config.authority().map(drop)).and(config.tls_name().map(drop))
        };
        assert_eq!(bad(|_| {}), Ok(()));
        assert_eq!(bad(|c| c.in_flight = 0), Err(PoolConfigError::Zero("in_flight")));
        assert_eq!(
            bad(|c| c.request_timeout = Duration::ZERO),
            Err(PoolConfigError::Zero("request_timeout"))
        );
        assert_eq!(bad(|c| c.host = "a b".into()), Err(PoolConfigError::Host("a b".into())));
        assert_eq!(
            bad(|c| c.server_name = Some("a b".into())),
            Err(PoolConfigError::ServerName("a b".into()))
        );
    }
}

//! One Redis server: its connection, which server it is, and whether it forgets by itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ErrorKind, InfoDict, RedisError, TlsCertificates};
use tokio::sync::Mutex;

use crate::view::ViewError;

/// Why a server cannot hold our views.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerFault {
    #[error(
        "not an address of a Redis server; write redis://host:6379/0, or rediss://host:6379/0 for TLS"
    )]
    Address,
    #[error("the CA file holds no PEM certificate that can be an authority")]
    Authorities,
    #[error(
        "maxmemory-policy is {0}: a server that evicts keys makes citizens disappear; set it to \
         noeviction"
    )]
    Evicts(String),
    #[error("Redis {0} is too old: 7.0 or newer is needed")]
    TooOld(String),
    #[error("the server does not answer: {0}")]
    Down(String),
}

/// A client of the server at `url`: in clear for redis://, over TLS for rediss://, where `ca_pem`, one or
/// more PEM certificates, replaces this machine's authorities. Connects nowhere yet.
///
/// # Errors
/// `Address`, `Authorities`.
pub fn redis_client(url: &str, ca_pem: Option<&[u8]>) -> Result<Client, ServerFault> {
    if !url.starts_with("rediss://") {
        return Client::open(url).map_err(|_| ServerFault::Address);
    }
    // A fragment would switch the check of the certificate off.
    if url.contains('#') {
        return Err(ServerFault::Address);
    }
    // The client asks rustls for the process's cryptography, and with two compiled in rustls does not
    // guess. Where somebody has chosen already, that stands.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let Some(pem) = ca_pem else { return Client::open(url).map_err(|_| ServerFault::Address) };
    edge::tls::client_config(Some(pem), &[]).map_err(|_| ServerFault::Authorities)?;
    let root_cert = Some(pem.to_vec());
    let certificates = TlsCertificates { client_tls: None, root_cert };
    Client::build_with_tls(url, certificates).map_err(|_| ServerFault::Address)
}

/// A server, connected on demand and again after each failure.
pub struct RedisServer {
    client: Client,
    session: Mutex<Option<Session>>,
}

/// One connection and the server at its other end. A connection never changes its server, so whoever
/// reads over it knows whom they read.
#[derive(Clone)]
pub(crate) struct Session {
    pub connection: MultiplexedConnection,
    /// `run_id`: another one after each start.
    pub server: Arc<str>,
}

impl fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisServer")
    }
}

impl RedisServer {
    /// Connects nowhere yet. `ca_pem` as in [`redis_client`].
    ///
    /// # Errors
    /// `Address`, `Authorities`.
    pub fn new(url: &str, ca_pem: Option<&[u8]>) -> Result<Self, ServerFault> {
        Ok(Self { client: redis_client(url, ca_pem)?, session: Mutex::new(None) })
    }

    /// Looks at the server once: to be called at start, so that a wrong one is named before anything
    /// depends on it.
    ///
    /// # Errors
    /// [`ServerFault`].
    pub async fn check(&self) -> Result<(), ServerFault> {
        self.connect().await.map(|_| ())
    }

    pub(crate) async fn session(&self) -> Result<Session, ViewError> {
        self.connect().await.map_err(|fault| ViewError::Down(fault.to_string()))
    }

    async fn connect(&self) -> Result<Session, ServerFault> {
        let mut session = self.session.lock().await;
        if let Some(session) = &*session {
            return Ok(session.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(1)))
            .set_response_timeout(Some(Duration::from_secs(5)));
        let mut connection = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(|error| ServerFault::Down(error.category().to_owned()))?;
        let info: InfoDict = redis::cmd("INFO")
            .query_async(&mut connection)
            .await
            .map_err(|error| ServerFault::Down(error.category().to_owned()))?;
        let text = |name: &str| info.get::<String>(name).unwrap_or_default();
        let version = text("redis_version");
        let major = version.split('.').next().and_then(|it| it.parse::<u32>().ok());
        if major.is_none_or(|major| major < 7) {
            return Err(ServerFault::TooOld(version));
        }
        let policy = text("maxmemory_policy");
        if policy != "noeviction" {
            return Err(ServerFault::Evicts(policy));
        }
        let found = Session { connection, server: text("run_id").into() };
        *session = Some(found.clone());
        Ok(found)
    }

    /// What a failed command means; a connection that may be broken is left behind.
    pub(crate) async fn failed(&self, error: &RedisError) -> ViewError {
        if !matches!(error.kind(), ErrorKind::Server(_)) {
            *self.session.lock().await = None;
        }
        let detail = error.code().unwrap_or_default();
        ViewError::Down(format!("{} {detail}", error.category()).trim_end().to_owned())
    }
}

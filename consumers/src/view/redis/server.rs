//! One Redis server: its connection, which server it is, and whether it forgets by itself.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, InfoDict, RedisError, ServerErrorKind,
    TlsCertificates,
};

use crate::view::ViewError;

/// How long a failure to connect answers for the next tries, and how long a connection is kept at least
/// before it is doubted: so often the server is asked anew at most, however many ask.
const MEMORY: Duration = Duration::from_millis(250);

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
    known: Mutex<Known>,
    /// Held by the one who connects; the others wait for what comes of it.
    connecting: tokio::sync::Mutex<()>,
    memory: Duration,
}

/// What is known of the server without asking it.
#[derive(Default)]
struct Known {
    session: Option<Session>,
    failure: Option<(Instant, ServerFault)>,
    /// Connections made so far.
    connections: u64,
}

/// One connection and the server at its other end. A connection never changes its server, so whoever
/// reads over it knows whom they read.
#[derive(Clone)]
pub(crate) struct Session {
    pub connection: MultiplexedConnection,
    /// `run_id`: another one after each start.
    pub server: Arc<str>,
    /// Another one for each connection.
    pub(super) number: u64,
    since: Instant,
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
        let client = redis_client(url, ca_pem)?;
        let (known, connecting) = (Mutex::default(), tokio::sync::Mutex::default());
        Ok(Self { client, known, connecting, memory: MEMORY })
    }

    /// The same, with another memory for failures.
    #[cfg(test)]
    pub(crate) fn remembering(self, memory: Duration) -> Self {
        Self { memory, ..self }
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
        let down = |fault: ServerFault| ViewError::Down(fault.to_string());
        if let Some(known) = self.remembered() {
            return known.map_err(down);
        }
        let _one = self.connecting.lock().await;
        // Whoever waited meanwhile takes what came of it: a dead server costs all of them one wait
        // together, and not each of them one after the other.
        if let Some(known) = self.remembered() {
            return known.map_err(down);
        }
        let found = self.connect().await;
        if let Err(fault) = &found {
            self.known.lock().failure = Some((Instant::now(), fault.clone()));
        }
        found.map_err(down)
    }

    fn remembered(&self) -> Option<Result<Session, ServerFault>> {
        let known = self.known.lock();
        if let Some(session) = &known.session {
            return Some(Ok(session.clone()));
        }
        let (at, fault) = known.failure.as_ref()?;
        (at.elapsed() < self.memory).then(|| Err(fault.clone()))
    }

    async fn connect(&self) -> Result<Session, ServerFault> {
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
        let mut known = self.known.lock();
        known.connections += 1;
        let (server, number) = (text("run_id").into(), known.connections);
        let found = Session { connection, server, number, since: Instant::now() };
        known.session = Some(found.clone());
        known.failure = None;
        Ok(found)
    }

    /// What a command that failed over `session` means; a connection that may be broken, or that leads
    /// to a server which takes no writes any more, is left behind.
    pub(crate) fn failed(&self, session: &Session, error: &RedisError) -> ViewError {
        // A demoted server leaves its connections open: only a new one finds its successor.
        let demoted = [ServerErrorKind::ReadOnly, ServerErrorKind::MasterDown];
        if !matches!(error.kind(), ErrorKind::Server(kind) if !demoted.contains(&kind)) {
            self.leave(session);
        }
        let detail = error.code().unwrap_or_default();
        ViewError::Down(format!("{} {detail}", error.category()).trim_end().to_owned())
    }

    /// The view at the other end was made ready on another server: this one was restarted, or is a copy
    /// by now. A new connection shows which; not more than one in [`MEMORY`].
    pub(crate) fn doubt(&self, session: &Session) {
        if session.since.elapsed() >= self.memory {
            self.leave(session);
        }
    }

    /// Only this very connection: what somebody has renewed meanwhile stays.
    fn leave(&self, session: &Session) {
        let mut known = self.known.lock();
        if known.session.as_ref().is_some_and(|it| it.number == session.number) {
            known.session = None;
        }
    }
}

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue, Uri, header};
use rustls::ClientConfig;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::connection::{Connection, Exchange, Replay};
use super::counters::Counters;
use super::keeper::{Gate, Keeping, keep};
use super::slots::{Lease, Slots};
use super::{NoAnswer, PoolConfig, PoolConfigError, Push, Reply, Request, Snapshot, Unsent};
use crate::Random;
use crate::token::Credential;

/// What a pool is connected to besides its address.
#[derive(Clone)]
pub struct Wiring {
    /// See [`client_config`](crate::tls::client_config); ALPN is set by the pool.
    pub tls: Arc<ClientConfig>,
    /// What goes into `authorization`; without it requests carry none.
    pub credential: Option<Arc<dyn Credential>>,
    /// Whether an answer (status, body) means that the credential was refused as expired, in the
    /// provider's own words. Then the pool renews it and sends again, once per request; if it
    /// cannot be renewed, the answer is returned.
    pub is_expired: fn(u16, &[u8]) -> bool,
    pub random: Random,
}

/// The pool on the `h2` crate: several connections, each stream leased, nothing clever.
///
/// Connections are opened from the start and kept. When the pool is dropped they finish what is
/// under way and end; [`close`](Self::close) waits for that.
pub struct PlainPool {
    config: Arc<PoolConfig>,
    authority: Authority,
    slots: Arc<Slots>,
    counters: Arc<Counters>,
    credential: Option<Arc<dyn Credential>>,
    is_expired: fn(u16, &[u8]) -> bool,
    keepers: Vec<AbortHandle>,
}

impl PlainPool {
    /// Checks the configuration and begins to open connections. Needs a tokio runtime.
    pub fn open(config: PoolConfig, wiring: Wiring) -> Result<Self, PoolConfigError> {
        config.check()?;
        let (authority, name) = (config.authority()?, config.tls_name()?);
        let mut tls = ClientConfig::clone(&wiring.tls);
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let config = Arc::new(config);
        let (slots, counters) = (Slots::new(&config), Arc::new(Counters::default()));
        let keeping = Arc::new(Keeping {
            config: config.clone(),
            tls: TlsConnector::from(Arc::new(tls)),
            name,
            slots: slots.clone(),
            counters: counters.clone(),
            random: wiring.random,
            gate: Gate::default(),
        });
        let keepers = (0..config.connections)
            .map(|place| tokio::spawn(keep(place, keeping.clone())).abort_handle())
            .collect();
        let Wiring { credential, is_expired, .. } = wiring;
        Ok(Self { config, authority, slots, counters, credential, is_expired, keepers })
    }

    /// Gives out no more streams, lets those under way finish within the drain timeout, and
    /// returns when all connections have ended.
    pub async fn close(&self) {
        self.abandon();
        self.slots.all_ended().await;
    }

    pub fn snapshot(&self) -> Snapshot {
        self.slots.measure(self.counters.snapshot())
    }

    fn abandon(&self) {
        self.slots.close();
        self.keepers.iter().for_each(AbortHandle::abort);
    }

    fn head(&self, request: &Request, authorization: Option<HeaderValue>) -> http::Request<()> {
        let mut headers = HeaderMap::with_capacity(request.headers.len() + 1);
        if let Some(value) = authorization {
            headers.append(header::AUTHORIZATION, value);
        }
        for (name, value) in &request.headers {
            headers.append(name.clone(), value.clone());
        }
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(Scheme::HTTPS);
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(request.path.clone());
        let mut head = http::Request::new(());
        *head.method_mut() = http::Method::POST;
        // Scheme, authority and path together always make a URI.
        *head.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
        *head.headers_mut() = headers;
        head
    }

    async fn lease(
        &self,
        avoid: Option<&Arc<Connection>>,
        take_by: Instant,
    ) -> Result<Lease, Unsent> {
        let too_late = || {
            if self.slots.has_connection() { Unsent::NoStream } else { Unsent::NotOpen }
        };
        match timeout_at(take_by, self.slots.acquire(avoid)).await {
            // A lease that was ready at once is not timed, and a replay may come late.
            Ok(Ok(_)) if Instant::now() > take_by => Err(Unsent::NoStream),
            Ok(taken) => taken,
            Err(_) => Err(too_late()),
        }
    }

    /// True when sending again with another credential makes sense.
    async fn renewed(
        &self,
        connection: &Connection,
        refused: &HeaderValue,
        deadline: Instant,
    ) -> bool {
        let Some(credential) = &self.credential else { return false };
        if !timeout_at(deadline, credential.renew(refused)).await.unwrap_or(false) {
            return false;
        }
        if credential.is_tied_to_connection() {
            connection.retire();
        }
        self.counters.renewals.add();
        true
    }

    /// Counts it, and gives out no more a connection that takes no more streams: its driver may
    /// not have seen that yet.
    fn note_replay(&self, replay: Replay, connection: &Connection) {
        let counters = &self.counters;
        match replay {
            Replay::RefusedStream => return counters.refused_streams.add(),
            Replay::GoAway => counters.replayed_goaways.add(),
            Replay::NeverSent => counters.never_sent.add(),
        }
        connection.retire();
    }

    fn no_answer(&self, why: NoAnswer) -> Reply {
        match why {
            NoAnswer::TimedOut => self.counters.timeouts.add(),
            NoAnswer::Reset { .. } => self.counters.resets.add(),
            NoAnswer::Lost => self.counters.lost.add(),
        }
        Reply::NoAnswer { why }
    }

    fn is_expired(&self, status: u16, body: &Bytes) -> bool {
        // A taken request is never sent again, whatever the channel's function thinks.
        !(200..300).contains(&status) && (self.is_expired)(status, body)
    }
}

#[async_trait]
impl Push for PlainPool {
    async fn send(&self, request: Request) -> Reply {
        let unsent = |why| Reply::Unsent { why };
        let (called, whole) = (Instant::now(), self.config.request_timeout);
        let (deadline, take_by) = (called + whole, called + whole.min(request.stream_within));
        let (mut replays, mut renewals) = (0, 0);
        let mut avoid = None;
        loop {
            let lease = match self.lease(avoid.as_ref(), take_by).await {
                Ok(lease) => lease,
                Err(why) => return unsent(why),
            };
            // Read after the wait for a stream, so that it is today's.
            let authorization = match &self.credential {
                Some(credential) => match credential.header() {
                    Some(header) => Some(header),
                    None => return unsent(Unsent::NoCredential),
                },
                None => None,
            };
            let head = self.head(&request, authorization.clone());
            let connection = lease.connection.clone();
            let body = request.body.clone();
            let exchange = connection.exchange(head, body, take_by, deadline).await;
            drop(lease);
            match exchange {
                Exchange::Answer { status, headers, body } => {
                    self.counters.answers.add();
                    if renewals == 0
                        && self.is_expired(status, &body)
                        && let Some(refused) = &authorization
                        && self.renewed(&connection, refused, deadline).await
                    {
                        renewals += 1;
                        continue;
                    }
                    return Reply::Answer { status, headers, body };
                }
                Exchange::Replay(_) if replays == self.config.replays => {
                    return unsent(Unsent::Refused);
                }
                Exchange::Replay(replay) => {
                    replays += 1;
                    self.note_replay(replay, &connection);
                    avoid = Some(connection);
                }
                Exchange::NoAnswer(why) => return self.no_answer(why),
                Exchange::NoRoom => return unsent(Unsent::NoStream),
                Exchange::BadRequest => return unsent(Unsent::BadRequest),
            }
        }
    }

    fn free_streams(&self) -> usize {
        self.slots.free()
    }
}

impl Drop for PlainPool {
    fn drop(&mut self) {
        self.abandon();
    }
}

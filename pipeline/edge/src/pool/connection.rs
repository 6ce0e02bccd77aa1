//! One HTTP/2 connection: how it is opened, driven, watched and ended, and one exchange on it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{Ping, PingPong, Reason};
use http::HeaderMap;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::counters::Counters;
use super::slots::{Slots, Streams};
use super::{Down, MOST_BODY_BYTES, NoAnswer, PoolConfig};
use crate::Random;

/// Our windows: an answer is small, so these never stop a peer, and bound what one may send us.
const STREAM_WINDOW_BYTES: u32 = MOST_BODY_BYTES as u32;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
const MOST_HEADER_BYTES: u32 = 16 << 10;
/// How long a drained connection may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

type Wire = h2::client::Connection<TlsStream<TcpStream>, Bytes>;

/// The part of a connection that senders share.
pub(super) struct Connection {
    /// Taken away when drained: `h2` says goodbye once nobody can open a stream.
    opener: Mutex<Option<SendRequest<Bytes>>>,
    streams: Streams,
    /// Streams it may still open before it is replaced.
    left: AtomicUsize,
    /// Not given out any more.
    retired: watch::Sender<bool>,
    /// Wakes when the last stream of a retired connection has ended.
    idle: tokio::sync::Notify,
    answered: AtomicBool,
    /// When the peer was last heard of: an answer of whatever kind, or a PING's.
    heard: Mutex<Instant>,
    /// A send met with silence: not given out before a PING was answered.
    doubted: AtomicBool,
    /// Wakes whoever sends PINGs.
    doubts: tokio::sync::Notify,
}

/// How one exchange ended.
pub(super) enum Exchange {
    Answer {
        status: u16,
        headers: HeaderMap,
        body: Bytes,
    },
    /// Not processed by the peer.
    Replay(Replay),
    NoAnswer(NoAnswer),
    /// Never put on the wire: the connection had no room for its stream in time.
    NoRoom,
    /// The request itself cannot be put on the wire.
    BadRequest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replay {
    RefusedStream,
    GoAway,
    NeverSent,
}

/// Opens a connection: name lookup, TCP, TLS with ALPN `h2`, preface. The lookup is fresh, and
/// the addresses are tried from a random one on, so that connections spread over them.
pub(super) async fn open(
    config: &PoolConfig,
    tls: &TlsConnector,
    name: &rustls_pki_types::ServerName<'static>,
    random: &Random,
) -> Result<(Arc<Connection>, Wire), Down> {
    let found = tokio::net::lookup_host((config.host.as_str(), config.port)).await;
    let mut addresses: Vec<_> = found.map_err(|_| Down::Resolve)?.collect();
    if addresses.is_empty() {
        return Err(Down::Resolve);
    }
    let first = (random() * addresses.len() as f64) as usize % addresses.len();
    addresses.rotate_left(first);
    let tcp = TcpStream::connect(addresses.as_slice()).await.map_err(|_| Down::Connect)?;
    // A push is one small write that must not wait for the answer to the one before.
    tcp.set_nodelay(true).map_err(|_| Down::Connect)?;
    let tls = tls.connect(name.clone(), tcp).await.map_err(|error| {
        tracing::warn!(host = %config.host, %error, "TLS failed");
        Down::Tls
    })?;
    if tls.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(Down::NotHttp2);
    }
    let (opener, wire) = h2::client::Builder::new()
        .enable_push(false)
        .initial_max_send_streams(config.initial_streams)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(MOST_HEADER_BYTES)
        .handshake(tls)
        .await
        .map_err(|_| Down::NotHttp2)?;
    Ok((Arc::new(Connection::new(opener, config)), wire))
}

impl Connection {
    fn new(opener: SendRequest<Bytes>, config: &PoolConfig) -> Self {
        Self {
            opener: Mutex::new(Some(opener)),
            streams: Streams::new(config.initial_streams.min(config.max_streams)),
            left: AtomicUsize::new(config.requests_per_connection),
            retired: watch::Sender::new(false),
            idle: tokio::sync::Notify::new(),
            answered: AtomicBool::new(false),
            heard: Mutex::new(Instant::now()),
            doubted: AtomicBool::new(false),
            doubts: tokio::sync::Notify::new(),
        }
    }

    /// Streams that may be opened now; none when retired or in doubt.
    pub fn free_streams(&self) -> usize {
        let given_out = !*self.retired.borrow() && !self.doubted.load(Ordering::Relaxed);
        if given_out { self.streams.free() } else { 0 }
    }

    /// Takes one of [`free_streams`](Self::free_streams). The last one it may ever open retires it.
    pub fn take_stream(&self) {
        self.streams.take();
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.retire();
        }
    }

    pub fn give_back_stream(&self) {
        if self.streams.give_back() == 0 {
            self.idle.notify_one();
        }
    }

    /// Gives it out no more; what is under way may finish.
    pub fn retire(&self) {
        self.retired.send_replace(true);
    }

    pub async fn until_retired(&self) {
        // The sender is ours: waiting cannot fail.
        let _ = self.retired.subscribe().wait_for(|retired| *retired).await;
    }

    /// Whether it ever brought an answer: one that never did is not worth a quick replacement.
    pub fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// One request and its answer. The caller holds a lease on a stream, so it opens at once; should
    /// it not, not later than `take_by`.
    pub async fn exchange(
        &self,
        head: http::Request<()>,
        body: Bytes,
        take_by: Instant,
        deadline: Instant,
    ) -> Exchange {
        let Some(mut opener) = self.opener.lock().clone() else {
            return Exchange::Replay(Replay::NeverSent);
        };
        match timeout_at(take_by, poll_fn(|context| opener.poll_ready(context))).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Exchange::Replay(never_sent(&error)),
            Err(_) => return Exchange::NoRoom,
        }
        let (answer, mut stream) = match opener.send_request(head, false) {
            Ok(opened) => opened,
            Err(error) if error.is_remote() || error.is_io() || error.is_library() => {
                return Exchange::Replay(never_sent(&error));
            }
            // Neither the peer's fault nor the connection's: `h2` refuses the request's headers.
            Err(_) => return Exchange::BadRequest,
        };
        // A peer that lowered its limit after the lease lets the request wait inside `h2`, and only
        // the handle that queued it knows. `h2` opens such a stream even when it is given up, to reset
        // it at once: so the body stays here until it is open, and half a request is none.
        let opened = timeout_at(take_by, poll_fn(|context| opener.poll_ready(context))).await;
        if opened.is_err() {
            return Exchange::NoRoom;
        }
        // If the stream or the connection has ended meanwhile, the answer tells why.
        let _ = stream.send_data(body, true);
        let began = Instant::now();
        match timeout_at(deadline, collect(answer)).await {
            Ok(exchange) => {
                *self.heard.lock() = Instant::now();
                if let Exchange::Answer { .. } = exchange {
                    self.answered.store(true, Ordering::Relaxed);
                }
                exchange
            }
            Err(_) => {
                self.doubt(began);
                Exchange::NoAnswer(NoAnswer::TimedOut)
            }
        }
    }

    /// Nothing came since a send began that timed out: perhaps nothing ever will.
    fn doubt(&self, began: Instant) {
        if *self.heard.lock() <= began {
            self.doubted.store(true, Ordering::Relaxed);
            self.doubts.notify_one();
        }
    }

    /// The peer has answered a PING. True: its streams are free again.
    fn trust(&self) -> bool {
        *self.heard.lock() = Instant::now();
        self.doubted.swap(false, Ordering::Relaxed)
    }

    async fn until_drained(&self, patience: Duration) {
        self.until_retired().await;
        let drained = async {
            while self.streams.used() > 0 {
                self.idle.notified().await;
            }
        };
        // Whatever is left after that is lost to us: its senders learn that the connection broke.
        let _ = timeout(patience, drained).await;
    }
}

/// Drives the connection to its end: until the peer closes it, a PING stays unanswered, or it is
/// retired and drained. Retires it as soon as it is known to take no more streams.
pub(super) async fn drive(
    connection: Arc<Connection>,
    mut wire: Wire,
    slots: Arc<Slots>,
    counters: Arc<Counters>,
    config: Arc<PoolConfig>,
) {
    let ping = wire.ping_pong();
    let mut watcher = connection.opener.lock().clone();
    let ended = {
        let watched = poll_fn(|context| {
            let polled = Pin::new(&mut wire).poll(context);
            if let Some(watcher) = &mut watcher {
                watch_wire(watcher, context, &connection, &slots, &counters, &config);
            }
            polled
        });
        tokio::select! {
            ended = watched => {
                if let Err(error) = ended {
                    tracing::debug!(host = %config.host, code = ?error.reason(), "connection ended");
                }
                true
            }
            () = unanswered_ping(ping, &connection, &slots, &config) => {
                tracing::warn!(host = %config.host, "PING unanswered, connection given up");
                counters.dead.add();
                true
            }
            () = connection.until_drained(config.drain_timeout) => false,
        }
    };
    connection.retire();
    connection.opener.lock().take();
    drop(watcher);
    if !ended {
        let _ = timeout(GOODBYE, wire).await;
    }
    slots.ended();
}

/// Follows the peer's stream limit in both directions, and sees GOAWAY, for which `h2` has no
/// event: a connection that has received one is not ready for another stream.
fn watch_wire(
    watcher: &mut SendRequest<Bytes>,
    context: &mut Context<'_>,
    connection: &Connection,
    slots: &Arc<Slots>,
    counters: &Counters,
    config: &PoolConfig,
) {
    let limit = watcher.current_max_send_streams().min(config.max_streams);
    if limit > connection.streams.set_limit(limit) {
        slots.widened();
    }
    if *connection.retired.borrow() {
        return;
    }
    if let Poll::Ready(Err(error)) = watcher.poll_ready(context) {
        if error.is_go_away() && error.is_remote() {
            let reason = counters.goaway(&error, config.goaway_reasons);
            tracing::info!(host = %config.host, reason, "GOAWAY");
        }
        connection.retire();
    }
}

/// Ends only when a PING was not answered in time. One leaves at its interval, or at once when a send
/// met with silence.
async fn unanswered_ping(
    ping: Option<PingPong>,
    connection: &Connection,
    slots: &Arc<Slots>,
    config: &PoolConfig,
) {
    let Some(mut ping) = ping else { return std::future::pending().await };
    loop {
        let _ = timeout(config.ping_interval, connection.doubts.notified()).await;
        match timeout(config.ping_timeout, ping.ping(Ping::opaque())).await {
            Ok(Ok(_)) => {
                if connection.trust() {
                    slots.widened();
                }
            }
            // The connection is ending by itself, and says so where it is driven.
            Ok(Err(_)) => return std::future::pending().await,
            Err(_) => return,
        }
    }
}

async fn collect(answer: ResponseFuture) -> Exchange {
    let (head, mut incoming) = match answer.await {
        Ok(answer) => answer.into_parts(),
        Err(error) => return broken(&error),
    };
    let mut body = BytesMut::new();
    while let Some(chunk) = incoming.data().await {
        match chunk {
            Ok(chunk) => {
                // The stream may be over already; then there is no window left to open.
                let _ = incoming.flow_control().release_capacity(chunk.len());
                let room = MOST_BODY_BYTES - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if chunk.len() >= room {
                    break;
                }
            }
            // A server may stop reading the request once it has answered (RFC 9113 §8.1).
            Err(error) if error.is_reset() && error.reason() == Some(Reason::NO_ERROR) => break,
            // Half an answer is none: its reason may be in the other half.
            Err(error) if error.is_reset() => return Exchange::NoAnswer(reset(&error)),
            Err(_) => return Exchange::NoAnswer(NoAnswer::Lost),
        }
    }
    Exchange::Answer { status: head.status.as_u16(), headers: head.headers, body: body.freeze() }
}

/// What an error instead of an answer means; the table in [`super`].
fn broken(error: &h2::Error) -> Exchange {
    if error.is_remote() && error.is_go_away() {
        Exchange::Replay(Replay::GoAway)
    } else if error.is_remote()
        && error.is_reset()
        && error.reason() == Some(Reason::REFUSED_STREAM)
    {
        Exchange::Replay(Replay::RefusedStream)
    } else if error.is_reset() {
        Exchange::NoAnswer(reset(error))
    } else {
        Exchange::NoAnswer(NoAnswer::Lost)
    }
}

fn reset(error: &h2::Error) -> NoAnswer {
    NoAnswer::Reset { code: error.reason().map_or(0, u32::from) }
}

fn never_sent(error: &h2::Error) -> Replay {
    if error.is_remote() && error.is_go_away() { Replay::GoAway } else { Replay::NeverSent }
}

#[cfg(test)]
#[path = "connection_laws.rs"]
mod laws;

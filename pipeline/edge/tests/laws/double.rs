//! A provider's double: TLS, HTTP/2, and a script that says what each request meets.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use edge::pool::{PlainPool, PoolConfig, Push, Reply, Request, Wiring};
use edge::tls::client_config;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;

use crate::frames::{self, Frame};

/// What a server does to one stream or connection.
#[derive(Debug, Clone)]
pub enum Do {
    Answer(u32, u16, &'static str),
    /// An answer's head and the beginning of its body.
    Begin(u32, u16, &'static str),
    Data(u32, Vec<u8>, bool),
    Reset(u32, u32),
    GoAway {
        last: u32,
        code: u32,
        debug: &'static str,
    },
    MaxStreams(u32),
    /// Bytes as they are, whole frames or not.
    Say(Vec<u8>),
    /// Leaves PINGs unanswered from now on.
    Mute,
    Hangup,
}

/// A whole request has arrived.
#[derive(Debug, Clone, Copy)]
pub struct Arrived {
    /// Counted from 0, in the order of acceptance.
    pub connection: usize,
    /// 1, 3, 5 …
    pub stream: u32,
}

/// What the server has seen so far.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub connections: usize,
    pub ended: usize,
    pub requests: usize,
    pub resets: usize,
    pub pings: usize,
    /// Most streams open at once, by connection.
    pub most_open: Vec<usize>,
}

type Script = Arc<dyn Fn(Arrived) -> Vec<Do> + Send + Sync>;

pub struct Server {
    pub port: u16,
    pub ca_pem: Vec<u8>,
    shared: Arc<Shared>,
}

struct Shared {
    script: Script,
    greeting: Vec<Do>,
    seen: watch::Sender<Seen>,
    orders: Mutex<Vec<mpsc::UnboundedSender<Do>>>,
    /// Accept, then close at once.
    slamming: watch::Sender<bool>,
}

/// An address that refuses connections until a server is started on it.
pub struct Reserved(TcpSocket);

impl Reserved {
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self(socket)
    }

    pub fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }
}

/// A CA and a leaf for `localhost`: rustls takes no CA certificate as a server's own.
pub struct Identity {
    pub ca_pem: Vec<u8>,
    pub acceptor: TlsAcceptor,
}

impl Identity {
    pub fn new(alpn: &[&[u8]]) -> Self {
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate().unwrap();
        let ca_pem = ca.self_signed(&ca_key).unwrap().pem().into_bytes();
        let issuer = Issuer::new(ca, ca_key);
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".into()]).unwrap();
        let leaf: CertificateDer<'static> = leaf.signed_by(&key, &issuer).unwrap().der().clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf], key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Self { ca_pem, acceptor: TlsAcceptor::from(Arc::new(config)) }
    }
}

impl Server {
    /// Answers 200 to everything, with so many streams a connection.
    pub fn agreeable(max_streams: u32) -> Self {
        Self::scripted(vec![Do::MaxStreams(max_streams)], |at| vec![Do::Answer(at.stream, 200, "")])
    }

    pub fn scripted(
        greeting: Vec<Do>,
        script: impl Fn(Arrived) -> Vec<Do> + Send + Sync + 'static,
    ) -> Self {
        Self::on(Reserved::new(), Identity::new(&[b"h2"]), greeting, script)
    }

    pub fn on(
        reserved: Reserved,
        identity: Identity,
        greeting: Vec<Do>,
        script: impl Fn(Arrived) -> Vec<Do> + Send + Sync + 'static,
    ) -> Self {
        let port = reserved.port();
        let listener = reserved.0.listen(64).unwrap();
        let shared = Arc::new(Shared {
            script: Arc::new(script),
            greeting,
            seen: watch::Sender::new(Seen::default()),
            orders: Mutex::default(),
            slamming: watch::Sender::new(false),
        });
        tokio::spawn(accept(listener, identity.acceptor, shared.clone()));
        Self { port, ca_pem: identity.ca_pem, shared }
    }

    pub fn seen(&self) -> Seen {
        self.shared.seen.borrow().clone()
    }

    /// Waits until the server has seen what is asked for.
    pub async fn until(&self, condition: impl Fn(&Seen) -> bool) -> Seen {
        let mut seen = self.shared.seen.subscribe();
        seen.wait_for(|seen| condition(seen)).await.unwrap().clone()
    }

    /// Orders something on a connection, out of the script.
    pub fn order(&self, connection: usize, what: Do) {
        self.shared.orders.lock().unwrap()[connection].send(what).unwrap();
    }

    /// From now on (or no longer) hangs up on every new connection.
    pub fn slam(&self, slamming: bool) {
        self.shared.slamming.send_replace(slamming);
    }

    /// A configuration for tests: short waits, one connection.
    pub fn config(&self) -> PoolConfig {
        config(self.port)
    }

    pub fn pool(&self, change: impl FnOnce(&mut PoolConfig)) -> PlainPool {
        let mut config = self.config();
        change(&mut config);
        PlainPool::open(config, self.wiring()).unwrap()
    }

    pub fn wiring(&self) -> Wiring {
        wiring(&self.ca_pem)
    }
}

pub fn config(port: u16) -> PoolConfig {
    PoolConfig {
        server_name: Some("localhost".into()),
        connections: 1,
        open_spacing: Duration::from_millis(1),
        reopen_cap: Duration::from_millis(20),
        ..PoolConfig::new("127.0.0.1", port)
    }
}

pub fn wiring(ca_pem: &[u8]) -> Wiring {
    Wiring {
        tls: Arc::new(client_config(Some(ca_pem), &[]).unwrap()),
        credential: None,
        is_expired: |_, _| false,
        random: Arc::new(|| 0.5),
    }
}

pub fn request(body: &'static str) -> Request {
    Request {
        path: "/3/device/00".parse().unwrap(),
        headers: Vec::new(),
        body: Bytes::from_static(body.as_bytes()),
        stream_within: Duration::MAX,
    }
}

/// Sends and wants an answer: its status and body.
pub async fn answer(pool: &impl Push, body: &'static str) -> (u16, String) {
    let reply = pool.send(request(body)).await;
    let Reply::Answer { status, body, .. } = &reply else { panic!("no answer: {reply:?}") };
    (*status, String::from_utf8(body.to_vec()).unwrap())
}

/// Waits, without a clock, until `condition` holds.
pub async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    while let Ok((tcp, _)) = listener.accept().await {
        if *shared.slamming.borrow() {
            continue;
        }
        let (orders, ordered) = mpsc::unbounded_channel();
        let connection = {
            let mut all = shared.orders.lock().unwrap();
            all.push(orders);
            all.len() - 1
        };
        let (acceptor, shared) = (acceptor.clone(), shared.clone());
        tokio::spawn(async move {
            // Broken connections are what these tests are about.
            let _ = serve(tcp, acceptor, connection, ordered, &shared).await;
            shared.seen.send_modify(|seen| seen.ended += 1);
        });
    }
}

async fn serve(
    tcp: TcpStream,
    acceptor: TlsAcceptor,
    connection: usize,
    mut ordered: mpsc::UnboundedReceiver<Do>,
    shared: &Shared,
) -> std::io::Result<()> {
    let mut tls = acceptor.accept(tcp).await?;
    frames::read_preface(&mut tls).await?;
    let (mut reader, mut writer) = tokio::io::split(tls);
    frames::write_frame(&mut writer, &frames::settings(None)).await?;
    shared.seen.send_modify(|seen| {
        seen.connections += 1;
        seen.most_open.resize(shared.orders.lock().unwrap().len(), 0);
    });
    // Frames are read by a task of their own, for a half-read frame must not be thrown away; it
    // ends with us, so that a hangup closes the socket.
    let (arriving, mut arrived) = mpsc::unbounded_channel();
    let mut reading = tokio::task::JoinSet::new();
    reading.spawn(async move {
        while let Ok(frame) = frames::read_frame(&mut reader).await {
            if arriving.send(frame).is_err() {
                return;
            }
        }
    });
    let mut open: Vec<u32> = Vec::new();
    let mut muted = false;
    let mut todo = shared.greeting.clone();
    loop {
        for what in std::mem::take(&mut todo) {
            match what {
                Do::Hangup => return Ok(()),
                Do::Mute => muted = true,
                Do::Say(bytes) => frames::write(&mut writer, &bytes).await?,
                Do::Answer(..)
                | Do::Begin(..)
                | Do::Data(..)
                | Do::Reset(..)
                | Do::GoAway { .. }
                | Do::MaxStreams(_) => obey(&mut writer, &mut open, what).await?,
            }
        }
        let frame = tokio::select! {
            frame = arrived.recv() => match frame {
                Some(frame) => frame,
                None => return Ok(()),
            },
            Some(order) = ordered.recv() => {
                todo.push(order);
                continue;
            }
        };
        if let Some(reply) = automatic(&frame, muted) {
            frames::write_frame(&mut writer, &reply).await?;
        }
        todo = notice(&frame, connection, &mut open, shared);
    }
}

/// What every server answers by itself.
fn automatic(frame: &Frame, muted: bool) -> Option<Frame> {
    let is_ack = frame.flags & frames::ACK != 0;
    match frame.kind {
        frames::SETTINGS if !is_ack => Some(frames::ack(frames::SETTINGS, Vec::new())),
        frames::PING if !is_ack && !muted => Some(frames::ack(frames::PING, frame.payload.clone())),
        frames::DATA if !frame.payload.is_empty() => Some(frames::window(frame.payload.len())),
        _ => None,
    }
}

fn notice(frame: &Frame, connection: usize, open: &mut Vec<u32>, shared: &Shared) -> Vec<Do> {
    match frame.kind {
        frames::HEADERS => {
            open.push(frame.stream);
            shared.seen.send_modify(|seen| {
                let most = &mut seen.most_open[connection];
                *most = (*most).max(open.len());
            });
        }
        frames::PING => shared.seen.send_modify(|seen| seen.pings += 1),
        frames::RST_STREAM => {
            open.retain(|stream| *stream != frame.stream);
            shared.seen.send_modify(|seen| seen.resets += 1);
        }
        _ => {}
    }
    let ends = matches!(frame.kind, frames::HEADERS | frames::DATA)
        && frame.flags & frames::END_STREAM != 0;
    if !ends {
        return Vec::new();
    }
    shared.seen.send_modify(|seen| seen.requests += 1);
    (shared.script)(Arrived { connection, stream: frame.stream })
}

async fn obey(
    writer: &mut (impl tokio::io::AsyncWrite + Unpin),
    open: &mut Vec<u32>,
    what: Do,
) -> std::io::Result<()> {
    let mut out = Vec::new();
    match what {
        Do::Answer(stream, status, body) => {
            open.retain(|one| *one != stream);
            out.push(frames::head(stream, status, body.is_empty()));
            if !body.is_empty() {
                out.push(frames::data(stream, body.as_bytes(), true));
            }
        }
        Do::Begin(stream, status, body) => {
            out.push(frames::head(stream, status, false));
            out.push(frames::data(stream, body.as_bytes(), false));
        }
        Do::Data(stream, bytes, ends) => out.push(frames::data(stream, &bytes, ends)),
        Do::Reset(stream, code) => {
            open.retain(|one| *one != stream);
            out.push(frames::reset(stream, code));
        }
        Do::GoAway { last, code, debug } => out.push(frames::goaway(last, code, debug)),
        Do::MaxStreams(max) => out.push(frames::settings(Some(max))),
        Do::Mute | Do::Hangup | Do::Say(_) => unreachable!("handled where the connection is"),
    }
    for frame in out {
        frames::write_frame(writer, &frame).await?;
    }
    Ok(())
}

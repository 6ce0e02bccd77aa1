//! The accept loop and the life of a connection.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tower::Service as _;

/// Who is on the other end of a connection; an extension of every request.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    pub address: SocketAddr,
    /// The client showed a certificate that our configured authority signed.
    pub has_certificate: bool,
}

/// Bounds of a listener.
#[derive(Debug, Clone, Copy)]
pub struct ServeLimits {
    /// Connections at once; at the bound, new ones wait in the system's queue.
    pub connections: usize,
    /// For a TLS handshake, and for the headers of a request.
    pub header_wait: Duration,
    /// HTTP/2 requests at once on one connection.
    pub streams: u32,
    /// Bytes of all headers of a request.
    pub header_bytes: u32,
    /// After the shutdown signal, for requests that have begun.
    pub grace: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            connections: 4096,
            header_wait: Duration::from_secs(10),
            streams: 256,
            header_bytes: 32 * 1024,
            grace: Duration::from_secs(10),
        }
    }
}

/// After a failed accept (no file descriptors left), how long until the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves `router` on `listener` until `shutdown` resolves and the requests that had begun are answered,
/// or the grace is over. Every request carries its [`Peer`] as an extension.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Arc<rustls::ServerConfig>>,
    limits: ServeLimits,
    shutdown: impl Future<Output = ()> + Send,
) {
    let door = Arc::new(Listening {
        router,
        tls: tls.map(TlsAcceptor::from),
        builder: builder(limits),
        limits,
    });
    let places = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    tokio::pin!(shutdown);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            next = next => next,
        };
        let (Ok(place), Ok((stream, address))) = (place, accepted) else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        tokio::spawn(Arc::clone(&door).connection(stream, address, graceful.watcher(), place));
    }
    drop(listener);
    // Whoever is still there after the grace is cut off with the process.
    let _ = tokio::time::timeout(limits.grace, graceful.shutdown()).await;
}

struct Listening {
    router: Router,
    tls: Option<TlsAcceptor>,
    builder: Builder<TokioExecutor>,
    limits: ServeLimits,
}

fn builder(limits: ServeLimits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_wait)
        .max_buf_size((limits.header_bytes as usize).max(16 * 1024));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.header_bytes)
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .keep_alive_timeout(limits.header_wait);
    builder
}

impl Listening {
    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        address: SocketAddr,
        watcher: Watcher,
        place: OwnedSemaphorePermit,
    ) {
        // Small answers leave at once; without it each waits for the peer's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => self.talk(stream, Peer { address, has_certificate: false }, watcher).await,
            Some(acceptor) => {
                let handshake = acceptor.accept(stream);
                let Ok(Ok(stream)) = tokio::time::timeout(self.limits.header_wait, handshake).await
                else {
                    return;
                };
                let has_certificate = stream.get_ref().1.peer_certificates().is_some();
                self.talk(stream, Peer { address, has_certificate }, watcher).await;
            }
        }
        drop(place);
    }

    async fn talk<S>(&self, stream: S, peer: Peer, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let router = self.router.clone();
        let spoken = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&spoken);
        let service = service_fn(move |request: Request<Incoming>| {
            heard.store(true, Ordering::Relaxed);
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            router.clone().call(request)
        });
        let connection = self.builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = watcher.watch(connection);
        tokio::pin!(connection);
        // The builder waits without limit for the bytes that tell HTTP/1.1 from HTTP/2.
        tokio::select! {
            _ = &mut connection => return,
            () = tokio::time::sleep(self.limits.header_wait) => {}
        }
        if spoken.load(Ordering::Relaxed) {
            // A connection's error is its peer's affair: cut, reset, no HTTP.
            let _ = connection.await;
        }
    }
}

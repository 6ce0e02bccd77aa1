//! Listeners and the life of their connections.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::StartError;
use crate::control::Controls;
use crate::journal::Journal;

/// A handshake that takes longer is given up, so that a client that says nothing holds no task.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The tasks of all doubles: they end together.
#[derive(Clone, Default)]
pub(crate) struct Life {
    cancel: CancellationToken,
    tasks: TaskTracker,
}

impl Life {
    pub(crate) fn cancel(&self) {
        self.cancel.cancel();
    }

    pub(crate) async fn end(&self) {
        self.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    pub(crate) fn cancelled(&self) -> impl Future<Output = ()> + Send + 'static {
        self.cancel.clone().cancelled_owned()
    }

    /// Runs `task` until it ends or the doubles do.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let cancelled = self.cancelled();
        self.tasks.spawn(async move {
            tokio::select! {
                () = cancelled => {}
                () = task => {}
            }
        });
    }

    /// Ends everything unless it is disarmed: for a start that fails half way.
    pub(crate) fn on_drop(self) -> StartGuard {
        StartGuard(self.cancel.drop_guard())
    }
}

pub(crate) struct StartGuard(DropGuard);

impl StartGuard {
    pub(crate) fn disarm(self) {
        self.0.disarm();
    }
}

/// A listener on loopback, on a port that the system chooses.
pub(crate) async fn bind() -> Result<(TcpListener, SocketAddr), StartError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(StartError::Listen)?;
    let address = listener.local_addr().map_err(StartError::Listen)?;
    Ok((listener, address))
}

/// Accepts for ever; `serve` gets each connection with its number, from 1. While the double is
/// down, open connections are cut and new ones closed unread.
pub(crate) fn accept<F, S>(
    listener: TcpListener,
    controls: Arc<Controls>,
    journal: Arc<Journal>,
    life: &Life,
    serve: F,
) where
    F: Fn(TcpStream, u64) -> S + Send + 'static,
    S: Future<Output = ()> + Send + 'static,
{
    let connections = life.clone();
    let numbers = AtomicU64::new(0);
    life.spawn(async move {
        loop {
            // An accept that fails (too many open files) concerns one connection, not the listener.
            let Ok((socket, _)) = listener.accept().await else {
                tokio::task::yield_now().await;
                continue;
            };
            if controls.is_down() {
                continue;
            }
            // Answers are small and wanted at once.
            let _ = socket.set_nodelay(true);
            let number = numbers.fetch_add(1, Ordering::Relaxed) + 1;
            let open = journal.connection();
            let controls = controls.clone();
            let served = serve(socket, number);
            connections.spawn(async move {
                tokio::select! {
                    () = controls.down() => {}
                    () = served => {}
                }
                drop(open);
            });
        }
    });
}

/// The server's half of a TLS handshake; `None` if it fails or takes too long.
pub(crate) async fn handshake<T>(tls: &TlsAcceptor, socket: T) -> Option<TlsStream<T>>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    tokio::time::timeout(HANDSHAKE, tls.accept(socket)).await.ok()?.ok()
}

//! As much of an HTTP client as is needed: one connection that carries one request after another.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// An open connection; gone after its first error.
pub struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    /// Opens one.
    ///
    /// # Errors
    /// Nobody listens.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect(address).await.with_context(|| address.to_string())?;
        socket.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(socket)).await?;
        tokio::spawn(async move {
            // Its requests get the error; nobody else wants it.
            let _ = connection.await;
        });
        Ok(Self(sender))
    }

    /// The answer's status and whole body.
    ///
    /// # Errors
    /// The connection broke; whether the request arrived is not known.
    pub async fn ask(&mut self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes)> {
        self.0.ready().await?;
        let answer = self.0.send_request(request).await?;
        let status = answer.status();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }
}

/// One GET on a connection of its own.
///
/// # Errors
/// As [`Connection::open`] and [`Connection::ask`].
pub async fn get(address: SocketAddr, path: &str) -> Result<(StatusCode, Bytes)> {
    let request = Request::get(path).header("host", address.to_string()).body(Full::default())?;
    Connection::open(address).await?.ask(request).await
}

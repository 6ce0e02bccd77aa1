//! HTTP clients: raw `h2`, and hyper's HTTP/1.1 for the admin listeners and FCM.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use h2::client::{SendRequest, handshake};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Whether the frame with the status ended the stream.
    pub ended_on_headers: bool,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// One HTTP/2 connection.
pub struct H2 {
    pub send: SendRequest<Bytes>,
    pub connection: JoinHandle<Result<(), h2::Error>>,
}

impl H2 {
    pub async fn over<T>(io: T) -> H2
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (send, connection) = handshake(io).await.unwrap();
        H2 { send, connection: tokio::spawn(connection) }
    }

    /// Sends at once, whatever the server allows, and gives what comes back.
    pub fn begin(
        &mut self,
        request: Request<Bytes>,
    ) -> impl Future<Output = Result<Answer, h2::Error>> + use<> {
        let (parts, body) = request.into_parts();
        let begun = self
            .send
            .send_request(Request::from_parts(parts, ()), body.is_empty())
            .and_then(|(response, mut stream)| {
                if !body.is_empty() {
                    stream.send_data(body, true)?;
                }
                Ok(response)
            });
        async move { read(begun?.await?).await }
    }

    /// Waits until a stream is free, then sends.
    pub async fn ask(&mut self, request: Request<Bytes>) -> Result<Answer, h2::Error> {
        self.send = self.send.clone().ready().await?;
        self.begin(request).await
    }
}

async fn read(response: Response<h2::RecvStream>) -> Result<Answer, h2::Error> {
    let (parts, mut stream) = response.into_parts();
    let ended_on_headers = stream.is_end_stream();
    let mut body = BytesMut::new();
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        let _ = stream.flow_control().release_capacity(piece.len());
        body.extend_from_slice(&piece);
    }
    Ok(Answer {
        status: parts.status,
        headers: parts.headers,
        body: body.freeze(),
        ended_on_headers,
    })
}

/// One request over HTTP/1.1 on a transport of its own.
pub async fn http1<T>(io: T, request: Request<Bytes>) -> hyper::Result<Answer>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut send, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await?;
    tokio::spawn(connection);
    let (parts, body) = send.send_request(request.map(Full::new)).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Answer { status: parts.status, headers: parts.headers, body, ended_on_headers: false })
}

/// A request to an admin listener.
pub async fn admin(address: SocketAddr, method: &str, path: &str, body: &str) -> Answer {
    let io = TcpStream::connect(address).await.unwrap();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .body(Bytes::copy_from_slice(body.as_bytes()))
        .unwrap();
    http1(io, request).await.unwrap()
}

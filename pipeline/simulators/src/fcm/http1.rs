//! The same double over HTTP/1.1, which Google serves too.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep;

use super::judge::Connection;
use crate::http2::{Ask, BODY_MAX, Reaction, Service as _};

/// Serves a connection to its end. A scripted reset ends the connection: HTTP/1.1 has no smaller
/// one.
pub(super) async fn serve<T>(io: T, connection: Connection)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = Arc::new(Mutex::new(connection));
    let service = service_fn(move |request| answer(connection.clone(), request));
    let _ = http1::Builder::new().serve_connection(TokioIo::new(io), service).await;
}

async fn answer(
    connection: Arc<Mutex<Connection>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, io::Error> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, BODY_MAX).collect().await;
    let is_cut = body.is_err();
    let body = body.map(|whole| whole.to_bytes()).unwrap_or_default();
    let reaction = connection.lock().judge(&Ask { parts, body, is_cut, stream: 0 });
    match reaction {
        Reaction::Answer { response, after } => {
            if !after.is_zero() {
                sleep(after).await;
            }
            Ok(response.map(Full::new))
        }
        Reaction::Reset => Err(io::ErrorKind::ConnectionReset.into()),
        Reaction::Silence => {
            let never: Infallible = std::future::pending().await;
            match never {}
        }
    }
}

//! One way to serve HTTP for every door: HTTP/1.1 and HTTP/2 on one port, plain or by TLS, bounded in
//! connections, header time and streams, drained within a stated grace.
//!
//! Logs nothing of a request: paths hold fiscal codes.

mod body;
mod headers;
mod serve;
mod tls;

pub use body::{BodyLimits, Read, discard, read_body};
pub use headers::{Door, secured};
pub use serve::{Peer, ServeLimits, serve};
pub use tls::{TlsError, TlsFiles, server_config};

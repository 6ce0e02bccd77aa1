//! The way to a provider: POSTs over a few long-lived HTTP/2 connections.
//!
//! [`Push`] is the port. Its promise: **every send ends in one of three ways**, and the caller
//! can trust which. An answer is what the provider said. *Unsent* means that the provider has not
//! processed the request, so sending it again can do no harm. *No answer* means that it left and
//! nobody knows.
//!
//! [`PlainPool`] is the implementation on the `h2` crate. What an error means, in its words:
//!
//! | What the connection tells of a stream | Sense | The pool |
//! |---|---|---|
//! | RST_STREAM REFUSED_STREAM from the peer (RFC 9113 §8.7) | not processed | replays |
//! | GOAWAY with a last id below the stream's (RFC 9113 §6.8) | not processed | replays |
//! | no stream could be opened | never sent | replays |
//! | the connection broke, also after GOAWAY for a stream up to its last id | unknown | no answer |
//! | any other RST_STREAM; our own timeout | unknown | no answer |

mod config;
mod connection;
mod counters;
mod keeper;
mod plain;
mod slots;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue};

pub use config::{PoolConfig, PoolConfigError};
pub use counters::{Replays, Snapshot};
pub use plain::{PlainPool, Wiring};

/// Most bytes of an answer's body that are kept; the rest is not read. Providers answer with
/// less than one KiB.
pub const MOST_BODY_BYTES: usize = 64 * 1024;

/// One POST. Path and headers may hold a device token, the body a notice: `Debug` shows neither.
#[derive(Clone)]
pub struct Request {
    pub path: PathAndQuery,
    /// Sent in this order, as they are. `authorization` is not among them: the pool adds it.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Shared, not copied: a fan-out may give one body to many requests.
    pub body: Bytes,
    /// A stream must be taken within this time from the call, at the first try and at every replay:
    /// what the request stands on is too old afterwards. Never longer than the request timeout.
    pub stream_within: Duration,
}

/// How a send ended.
#[derive(Clone)]
pub enum Reply {
    /// What the provider said; the body is cut after [`MOST_BODY_BYTES`].
    Answer { status: u16, headers: HeaderMap, body: Bytes },
    /// The provider has not processed it: sending again is free of risk.
    Unsent { why: Unsent },
    /// It left, and nothing came, or nothing whole: nobody knows whether it was processed.
    NoAnswer { why: NoAnswer },
}

/// Why nothing was sent. A closed set, fit for a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unsent {
    /// No connection is up, and the last attempt to open one failed like this.
    Down(Down),
    /// No connection was up in the time that the request gave, and none has failed to open yet.
    NotOpen,
    /// No stream could be taken in the time that the request gave.
    NoStream,
    /// As many sends wait as may wait.
    QueueFull,
    /// Every try was handed back as not processed, up to the bound on replays.
    Refused,
    /// There is no valid credential now.
    NoCredential,
    /// A header of the request cannot be sent; ours to repair.
    BadRequest,
    /// The pool was closed.
    Closed,
}

/// Why a connection could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Down {
    /// The host has no address.
    Resolve,
    /// No address accepts connections.
    Connect,
    /// TLS failed: a certificate we do not trust, another name, no common version.
    Tls,
    /// The server does not speak HTTP/2.
    NotHttp2,
    /// Too slow.
    TimedOut,
    /// Opened, and closed before it brought a single answer, more than once in a row.
    Dropped,
}

/// Why no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoAnswer {
    TimedOut,
    /// The stream was reset with this HTTP/2 error code (RFC 9113 §7).
    Reset {
        code: u32,
    },
    /// The connection broke.
    Lost,
}

/// Sends POSTs to one edge.
#[async_trait]
pub trait Push: Send + Sync {
    /// Sends one request. Takes as long as the configured request timeout at most, the wait for a
    /// free stream and replays included; starts within `stream_within` or not at all. Dropping the future after the request has left cancels
    /// the stream: then nobody knows whether it was processed.
    async fn send(&self, request: Request) -> Reply;

    /// How many sends could leave at once now; zero while all connections are down. Who takes no
    /// more work than this never waits in the pool's queue.
    fn free_streams(&self) -> usize;
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("headers", &self.headers.len())
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Reply {
    /// A provider's words may echo an address or a token: only the status is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Answer { status, body, .. } => f
                .debug_struct("Answer")
                .field("status", status)
                .field("body_bytes", &body.len())
                .finish_non_exhaustive(),
            Reply::Unsent { why } => f.debug_struct("Unsent").field("why", why).finish(),
            Reply::NoAnswer { why } => f.debug_struct("NoAnswer").field("why", why).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_request_nor_answer_prints_what_may_name_a_person() {
        let request = Request {
            path: PathAndQuery::from_static("/3/device/c0ffee"),
            headers: vec![(http::header::FROM, HeaderValue::from_static("c0ffee"))],
            body: Bytes::from_static(b"c0ffee"),
            stream_within: Duration::MAX,
        };
        let reply = Reply::Answer {
            status: 400,
            headers: request.headers.iter().cloned().collect(),
            body: request.body.clone(),
        };
        assert!(!format!("{request:?} {reply:?}").contains("c0ffee"));
        assert!(format!("{reply:?}").contains("400"));
    }
}

//! Reading a request's body within bounds of bytes and time.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use hyper::body::Body as _;

/// Bounds of a body.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    pub bytes: usize,
    /// From the first byte asked for to the last.
    pub wait: Duration,
    /// A refused body is read on and thrown away for this long, so that its sender, who reads only after
    /// writing, sees the refusal rather than a reset.
    pub discard_for: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            bytes: 256 * 1024,
            wait: Duration::from_secs(10),
            discard_for: Duration::from_secs(5),
        }
    }
}

/// What came of reading.
#[derive(Clone)]
pub enum Read {
    Whole(Bytes),
    /// More than the limit, declared or seen; never held in memory.
    TooLong,
    /// Not complete within its time.
    TooSlow,
    /// The connection or stream ended early.
    Cut,
}

/// Reads a body to its end or its limit.
pub async fn read_body(body: Body, limits: BodyLimits) -> Read {
    if body.size_hint().lower() > limits.bytes as u64 {
        discard(body, limits);
        return Read::TooLong;
    }
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(0);
    let mut stream = body.into_data_stream();
    let mut whole = BytesMut::with_capacity(declared);
    let reading = async {
        while let Some(chunk) = stream.next().await {
            let Ok(chunk) = chunk else { return Read::Cut };
            if whole.len() + chunk.len() > limits.bytes {
                return Read::TooLong;
            }
            whole.extend_from_slice(&chunk);
        }
        Read::Whole(std::mem::take(&mut whole).freeze())
    };
    let read = tokio::time::timeout(limits.wait, reading).await.unwrap_or(Read::TooSlow);
    if matches!(read, Read::TooLong) {
        discard(Body::from_stream(stream), limits);
    }
    read
}

/// Reads a refused body on for a while, and throws it away.
pub fn discard(body: Body, limits: BodyLimits) {
    let mut stream = body.into_data_stream();
    tokio::spawn(async move {
        let reading = async { while let Some(Ok(_)) = stream.next().await {} };
        // Past its time the body is dropped, and its connection with it.
        let _ = tokio::time::timeout(limits.discard_for, reading).await;
    });
}

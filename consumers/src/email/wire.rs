//! Lines out, replies in, over one socket.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::reply::Lines;

/// Beyond this without a whole line it is no reply. RFC 5321 §4.5.3.1.5 says 512.
const MOST_BYTES: usize = 16 * 1024;

/// The connection broke, took too long, or does not speak SMTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

pub(super) struct Wire<S> {
    io: S,
    input: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(io: S) -> Self {
        Self { io, input: Vec::with_capacity(512) }
    }

    pub(super) async fn write(&mut self, bytes: &[u8], within: Duration) -> Result<(), Broken> {
        let write = async {
            self.io.write_all(bytes).await?;
            self.io.flush().await
        };
        timeout(within, write).await.map_err(|_| Broken)?.map_err(|_| Broken)
    }

    pub(super) async fn reply(&mut self, within: Duration) -> Result<Lines, Broken> {
        timeout(within, self.read()).await.map_err(|_| Broken)?
    }

    /// Gives the socket back. Err if more has been received than was read: before TLS only somebody
    /// on the way can have said it.
    pub(super) fn into_io(self) -> Result<S, Broken> {
        if self.input.is_empty() { Ok(self.io) } else { Err(Broken) }
    }

    async fn read(&mut self) -> Result<Lines, Broken> {
        let mut lines = Lines::default();
        loop {
            let line = self.line().await?;
            if lines.take(&line).map_err(|_| Broken)? {
                return Ok(lines);
            }
        }
    }

    /// The next line, without its end.
    async fn line(&mut self) -> Result<Vec<u8>, Broken> {
        loop {
            if let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.input.drain(..=end).collect();
                line.pop();
                line.pop_if(|byte| *byte == b'\r');
                return Ok(line);
            }
            if self.input.len() > MOST_BYTES {
                return Err(Broken);
            }
            match self.io.read_buf(&mut self.input).await {
                Ok(0) | Err(_) => return Err(Broken),
                Ok(_) => {}
            }
        }
    }
}

//! Lines and replies of an SMTP session over a socket, first in clear, then over TLS.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::session::{Next, Session, Step};
use crate::listen;

/// RFC 5321 §4.5.3.2.7.
const SILENCE: Duration = Duration::from_secs(5 * 60);
/// RFC 5321 §4.5.3.1.4 says 512 and lets extensions add; RFC 4954 §4 wants 12,288 for AUTH.
const LINE_MAX: usize = 12_288;

struct Wire<T> {
    io: T,
    input: BytesMut,
    output: BytesMut,
}

enum Line {
    Whole(BytesMut),
    /// It ends with a bare line feed.
    Bare,
    TooLong,
    /// The client has gone, or has been silent for too long.
    End,
}

enum Ending {
    StartTls,
    Closed,
}

pub(super) async fn serve(socket: TcpStream, tls: TlsAcceptor, mut session: Session) {
    let mut wire = Wire::new(socket);
    let greeting = session.greet();
    if matches!(wire.converse(&mut session, greeting).await, Ending::Closed) {
        return;
    }
    // Whatever came in clear after STARTTLS goes with `wire`: an attacker may have put it there
    // (RFC
    // 3207 §6, CVE-2011-0411).
    let Some(io) = listen::handshake(&tls, wire.io).await else { return };
    session.encrypted();
    let mut wire = Wire::new(io);
    let quiet = Step { reply: None, after: Duration::ZERO, next: Next::Command };
    wire.converse(&mut session, quiet).await;
}

impl<T: AsyncRead + AsyncWrite + Unpin> Wire<T> {
    fn new(io: T) -> Wire<T> {
        Wire { io, input: BytesMut::new(), output: BytesMut::new() }
    }

    async fn converse(&mut self, session: &mut Session, first: Step) -> Ending {
        let mut step = first;
        loop {
            let Step { reply, after, next } = step;
            if let Some(reply) = reply {
                if !after.is_zero() {
                    sleep(after).await;
                }
                self.output.extend_from_slice(reply.as_bytes());
                self.output.extend_from_slice(b"\r\n");
            }
            step = match next {
                Next::Command => match self.line().await {
                    Line::Whole(line) => session.command(&line),
                    Line::Bare => session.command(b"\n"),
                    Line::TooLong => session.too_long(),
                    Line::End => return Ending::Closed,
                },
                Next::Credentials(exchange) => match self.line().await {
                    Line::Whole(line) => session.credentials(exchange, &line),
                    Line::Bare => session.command(b"\n"),
                    Line::TooLong => session.too_long(),
                    Line::End => return Ending::Closed,
                },
                Next::Data => {
                    let mut dotted = session.data();
                    loop {
                        let (taken, has_ended) = dotted.take(&self.input);
                        self.input.advance(taken);
                        if has_ended {
                            break session.dot(dotted.finish());
                        }
                        if !self.more().await {
                            return Ending::Closed;
                        }
                    }
                }
                Next::StartTls => {
                    let is_sent = self.flush().await;
                    return if is_sent { Ending::StartTls } else { Ending::Closed };
                }
                Next::Close => {
                    self.flush().await;
                    let _ = self.io.shutdown().await;
                    return Ending::Closed;
                }
            };
        }
    }

    /// The next line without its end. Of a line that is too long only the length is remembered.
    async fn line(&mut self) -> Line {
        let mut dropped = 0;
        loop {
            let end = self.input.iter().position(|byte| *byte == b'\n');
            if let Some(at) = end {
                let mut line = self.input.split_to(at + 1);
                line.truncate(at);
                if dropped + at > LINE_MAX {
                    return Line::TooLong;
                }
                if line.last() != Some(&b'\r') {
                    return Line::Bare;
                }
                line.truncate(at - 1);
                return Line::Whole(line);
            }
            if self.input.len() > LINE_MAX {
                dropped += self.input.len();
                self.input.clear();
            }
            if !self.more().await {
                return Line::End;
            }
        }
    }

    /// Sends what is to be said, then reads: so replies to commands in one packet leave in one
    /// packet (RFC 2920 §3.2).
    async fn more(&mut self) -> bool {
        if !self.flush().await {
            return false;
        }
        matches!(timeout(SILENCE, self.io.read_buf(&mut self.input)).await, Ok(Ok(1..)))
    }

    async fn flush(&mut self) -> bool {
        let is_sent = self.io.write_all_buf(&mut self.output).await.is_ok();
        is_sent && self.io.flush().await.is_ok()
    }
}

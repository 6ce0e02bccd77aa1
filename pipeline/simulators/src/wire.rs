//! Two things that `h2` cannot say as a server, said below it by rewriting its outgoing frames.
//!
//! A stream limit that changes while the connection lives: every SETTINGS frame leaves with the
//! present SETTINGS_MAX_CONCURRENT_STREAMS (RFC 9113 §6.5.2). `h2` still sees one acknowledgement per
//! SETTINGS frame, because frames are changed and never added.
//!
//! GOAWAY with a chosen last stream and with debug data (RFC 9113 §6.8), in which APNs and Google tell
//! why.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// RFC 9113 §4.1: length (24 bits), type (8), flags (8), stream (32).
const HEAD: usize = 9;
const SETTINGS: u8 = 0x4;
const GOAWAY: u8 = 0x7;
const ACK: u8 = 0x1;
const MAX_CONCURRENT_STREAMS: u16 = 0x3;

/// What is written at most ahead of the socket, plus one write of `h2`.
const AHEAD: usize = 64 * 1024;

/// What outgoing frames are made to say.
pub(crate) struct Wording {
    said: Mutex<Said>,
}

#[derive(Clone)]
struct Said {
    streams: u32,
    /// Last stream and debug data of GOAWAY; none leaves the frames as `h2` makes them.
    farewell: Option<(u32, Bytes)>,
}

impl Wording {
    pub(crate) fn new(streams: u32) -> Arc<Wording> {
        Arc::new(Wording { said: Mutex::new(Said { streams, farewell: None }) })
    }

    /// The limit that the next SETTINGS frame carries.
    pub(crate) fn set_streams(&self, streams: u32) {
        self.said.lock().streams = streams;
    }

    /// Later GOAWAY frames name no stream above `last` and carry `debug`. The first farewell stays:
    /// the last stream must not grow again.
    pub(crate) fn set_farewell(&self, last: u32, debug: Bytes) {
        self.said.lock().farewell.get_or_insert((last, debug));
    }
}

/// A transport that rewords what is written to it.
pub(crate) struct Reworded<T> {
    inner: T,
    wording: Arc<Wording>,
    /// Bytes of a frame not yet complete enough to pass: its head, or a whole frame to be reworded.
    held: BytesMut,
    /// How many bytes of the present frame pass as they are.
    passing: usize,
    out: BytesMut,
}

impl<T> Reworded<T> {
    pub(crate) fn new(inner: T, wording: Arc<Wording>) -> Reworded<T> {
        Reworded { inner, wording, held: BytesMut::new(), passing: 0, out: BytesMut::new() }
    }

    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.passing > 0 {
                let passing = self.passing.min(bytes.len());
                self.out.extend_from_slice(&bytes[..passing]);
                bytes.advance(passing);
                self.passing -= passing;
                continue;
            }
            let missing = wanted(&self.held) - self.held.len();
            let taken = missing.min(bytes.len());
            self.held.extend_from_slice(&bytes[..taken]);
            bytes.advance(taken);
            if self.held.len() < wanted(&self.held) {
                continue;
            }
            if is_reworded(&self.held) {
                reword(&self.held, &self.wording.said.lock().clone(), &mut self.out);
            } else {
                self.passing = length(&self.held);
                self.out.extend_from_slice(&self.held);
            }
            self.held.clear();
        }
    }
}

fn length(head: &[u8]) -> usize {
    usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])
}

fn is_reworded(head: &[u8]) -> bool {
    head[3] == GOAWAY || head[3] == SETTINGS && head[4] & ACK == 0
}

/// How many bytes must be held before the frame can go on.
fn wanted(held: &[u8]) -> usize {
    if held.len() >= HEAD && is_reworded(held) { HEAD + length(held) } else { HEAD }
}

fn reword(frame: &[u8], said: &Said, out: &mut BytesMut) {
    let (head, payload) = frame.split_at(HEAD);
    let mut reworded = BytesMut::new();
    if head[3] == SETTINGS {
        let others = payload
            .chunks_exact(6)
            .filter(|setting| setting[..2] != MAX_CONCURRENT_STREAMS.to_be_bytes());
        others.for_each(|setting| reworded.put_slice(setting));
        reworded.put_u16(MAX_CONCURRENT_STREAMS);
        reworded.put_u32(said.streams);
    } else {
        reworded.put_slice(payload);
        if let Some((last, debug)) = &said.farewell {
            let stated = u32::from_be_bytes([payload[0], payload[1], payload[2], payload[3]]);
            reworded[..4].copy_from_slice(&stated.min(*last).to_be_bytes());
            reworded.truncate(8);
            reworded.put_slice(debug);
        }
    }
    out.put_uint(reworded.len() as u64, 3);
    out.put_slice(&head[3..]);
    out.put_slice(&reworded);
}

impl<T: AsyncWrite + Unpin> Reworded<T> {
    fn drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.out))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Reworded<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Reworded<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.out.len() >= AHEAD {
            ready!(self.drain(cx))?;
        }
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.drain(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.drain(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reworded(wording: &Arc<Wording>, pieces: &[&[u8]]) -> Vec<u8> {
        let mut wire = Reworded::new((), wording.clone());
        pieces.iter().for_each(|piece| wire.take(piece));
        wire.out.to_vec()
    }

    const SETTINGS_100: [u8; 15] = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100];
    const DATA_ABC: [u8; 12] = [0, 0, 3, 0, 0, 0, 0, 0, 1, b'a', b'b', b'c'];
    const GOAWAY_7: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0];

    #[test]
    fn settings_carry_the_present_stream_limit_and_other_frames_pass_unchanged() {
        let wording = Wording::new(1);
        let out = reworded(&wording, &[&SETTINGS_100, &DATA_ABC]);
        assert_eq!(out[..15], [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1]);
        assert_eq!(out[15..], DATA_ABC);
    }

    #[test]
    fn settings_without_a_stream_limit_gain_one() {
        let empty = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        let out = reworded(&Wording::new(9), &[&empty]);
        assert_eq!(out, [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 9]);
    }

    #[test]
    fn an_acknowledgement_passes_unchanged() {
        let ack = [0, 0, 0, 4, 1, 0, 0, 0, 0];
        assert_eq!(reworded(&Wording::new(9), &[&ack]), ack);
    }

    #[test]
    fn goaway_names_the_chosen_last_stream_and_the_reason() {
        let wording = Wording::new(1);
        wording.set_farewell(5, Bytes::from_static(b"why"));
        let out = reworded(&wording, &[&GOAWAY_7]);
        assert_eq!(out, *b"\0\0\x0b\x07\0\0\0\0\0\0\0\0\x05\0\0\0\0why");
    }

    #[test]
    fn the_same_bytes_leave_however_they_are_cut_into_writes() {
        let wording = Wording::new(1);
        wording.set_farewell(3, Bytes::from_static(b"because"));
        let all = [&SETTINGS_100[..], &DATA_ABC, &GOAWAY_7, &DATA_ABC].concat();
        let whole = reworded(&wording, &[&all]);
        for size in 1..all.len() {
            let pieces: Vec<&[u8]> = all.chunks(size).collect();
            assert_eq!(reworded(&wording, &pieces), whole, "cut every {size} bytes");
        }
    }
}

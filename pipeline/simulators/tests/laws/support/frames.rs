//! An HTTP/2 client that obeys nothing: frames written and read by hand (RFC 9113 §4.1), header
//! fields as literals (RFC 7541 §6.2.2). For what a correct client neither sends nor shows.

use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use http::Request;
use http::request::Parts;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::connect;

pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn ends_stream(&self) -> bool {
        self.flags & END_STREAM != 0
    }

    /// SETTINGS_MAX_CONCURRENT_STREAMS, if this frame carries it.
    pub fn stream_limit(&self) -> Option<u32> {
        let setting = self.payload.chunks(6).find(|setting| setting[..2] == [0, 3])?;
        (self.kind == SETTINGS).then(|| number(&setting[2..]))
    }

    /// Last stream, code and debug data of GOAWAY.
    pub fn farewell(&self) -> (u32, u32, String) {
        let debug = String::from_utf8_lossy(&self.payload[8..]).into_owned();
        (number(&self.payload[..4]), number(&self.payload[4..8]), debug)
    }
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}

pub struct Raw {
    io: TlsStream<TcpStream>,
}

impl Raw {
    pub async fn connect(address: SocketAddr, ca: &Path) -> Raw {
        let mut io = connect(address, ca, &[b"h2"]).await.unwrap();
        io.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut raw = Raw { io };
        raw.write(SETTINGS, 0, 0, &[]).await;
        raw
    }

    pub async fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.io.write_all(&frame).await.unwrap();
        self.io.flush().await.unwrap();
    }

    pub async fn send(&mut self, stream: u32, request: Request<Bytes>) {
        let (head, body) = request.into_parts();
        self.open(stream, head).await;
        self.finish(stream, &body).await;
    }

    /// Sends the body that ends a stream.
    pub async fn finish(&mut self, stream: u32, body: &[u8]) {
        self.write(0, END_STREAM, stream, body).await;
    }

    /// Opens a stream; its body is to follow.
    pub async fn open(&mut self, stream: u32, parts: Parts) {
        let mut block = Vec::new();
        let pseudo = [
            (":method", parts.method.as_str()),
            (":scheme", "https"),
            (":authority", "localhost"),
            (":path", parts.uri.path()),
        ];
        for (name, value) in pseudo {
            literal(&mut block, name, value.as_bytes());
        }
        for (name, value) in &parts.headers {
            literal(&mut block, name.as_str(), value.as_bytes());
        }
        self.write(HEADERS, END_HEADERS, stream, &block).await;
    }

    /// The next frame; SETTINGS are acknowledged, PING answered.
    pub async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.io.read_exact(&mut head).await.ok()?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        self.io.read_exact(&mut payload).await.ok()?;
        let frame = Frame { kind: head[3], flags: head[4], stream: number(&head[5..]), payload };
        match (frame.kind, frame.flags & ACK) {
            (SETTINGS, 0) => self.write(SETTINGS, ACK, 0, &[]).await,
            (6, 0) => self.write(6, ACK, 0, &frame.payload).await,
            _ => {}
        }
        Some(frame)
    }

    /// Skips to the next frame of `kind`; acknowledgements are no frames of their kind.
    pub async fn until(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.next().await.expect("the connection has ended");
            if frame.kind == kind && (kind != SETTINGS || frame.flags & ACK == 0) {
                return frame;
            }
        }
    }
}

/// A literal header field without indexing, new name, no Huffman code.
fn literal(block: &mut Vec<u8>, name: &str, value: &[u8]) {
    block.push(0);
    for text in [name.as_bytes(), value] {
        // RFC 7541 §5.1, a prefix of seven bits.
        match u8::try_from(text.len()) {
            Ok(short @ ..127) => block.push(short),
            _ => {
                block.push(127);
                let mut rest = text.len() - 127;
                while rest >= 128 {
                    block.push(u8::try_from(rest % 128).unwrap() | 128);
                    rest /= 128;
                }
                block.push(u8::try_from(rest).unwrap());
            }
        }
        block.extend(text);
    }
}

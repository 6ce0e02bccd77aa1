//! Just enough of HTTP/2 (RFC 9113) to play a server frame by frame: what no library offers is
//! to misbehave on purpose.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const MAX_CONCURRENT_STREAMS: u16 = 3;

pub const NO_ERROR: u32 = 0;
pub const INTERNAL_ERROR: u32 = 2;
pub const REFUSED_STREAM: u32 = 7;
pub const ENHANCE_YOUR_CALM: u32 = 11;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

pub async fn read_preface(io: &mut (impl AsyncRead + Unpin)) -> std::io::Result<()> {
    let mut preface = [0; PREFACE.len()];
    io.read_exact(&mut preface).await?;
    assert_eq!(preface, PREFACE, "not an HTTP/2 client");
    Ok(())
}

pub async fn read_frame(io: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Frame> {
    let mut head = [0; 9];
    io.read_exact(&mut head).await?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
    let mut payload = vec![0; length];
    io.read_exact(&mut payload).await?;
    Ok(Frame { kind: head[3], flags: head[4], stream, payload })
}

pub async fn write_frame(io: &mut (impl AsyncWrite + Unpin), frame: &Frame) -> std::io::Result<()> {
    write(io, &bytes(frame)).await
}

pub async fn write(io: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    io.write_all(bytes).await?;
    io.flush().await
}

/// As it travels.
pub fn bytes(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(9 + frame.payload.len());
    bytes.extend_from_slice(&(frame.payload.len() as u32).to_be_bytes()[1..]);
    bytes.extend_from_slice(&[frame.kind, frame.flags]);
    bytes.extend_from_slice(&frame.stream.to_be_bytes());
    bytes.extend_from_slice(&frame.payload);
    bytes
}

pub fn settings(max_streams: Option<u32>) -> Frame {
    let mut payload = Vec::new();
    if let Some(max) = max_streams {
        payload.extend_from_slice(&MAX_CONCURRENT_STREAMS.to_be_bytes());
        payload.extend_from_slice(&max.to_be_bytes());
    }
    Frame { kind: SETTINGS, flags: 0, stream: 0, payload }
}

pub fn ack(kind: u8, payload: Vec<u8>) -> Frame {
    Frame { kind, flags: ACK, stream: 0, payload }
}

pub fn window(bytes: usize) -> Frame {
    let payload = (bytes as u32).to_be_bytes().to_vec();
    Frame { kind: WINDOW_UPDATE, flags: 0, stream: 0, payload }
}

pub fn reset(stream: u32, code: u32) -> Frame {
    Frame { kind: RST_STREAM, flags: 0, stream, payload: code.to_be_bytes().to_vec() }
}

pub fn goaway(last: u32, code: u32, debug: &str) -> Frame {
    let mut payload = last.to_be_bytes().to_vec();
    payload.extend_from_slice(&code.to_be_bytes());
    payload.extend_from_slice(debug.as_bytes());
    Frame { kind: GOAWAY, flags: 0, stream: 0, payload }
}

/// The head of an answer. The status as a literal with an indexed name (RFC 7541 §6.2.2, index 8).
pub fn head(stream: u32, status: u16, ends: bool) -> Frame {
    let mut payload = vec![0x08, 3];
    payload.extend_from_slice(status.to_string().as_bytes());
    let flags = END_HEADERS | if ends { END_STREAM } else { 0 };
    Frame { kind: HEADERS, flags, stream, payload }
}

pub fn data(stream: u32, bytes: &[u8], ends: bool) -> Frame {
    let flags = if ends { END_STREAM } else { 0 };
    Frame { kind: DATA, flags, stream, payload: bytes.to_vec() }
}

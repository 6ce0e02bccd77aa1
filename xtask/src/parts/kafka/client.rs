//! As much of Kafka's wire protocol as the readiness check speaks: old, non-flexible versions,
//! one request at a time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

const TIMEOUT: Duration = Duration::from_secs(5);
/// No answer of a fresh cluster comes near this.
const LONGEST: usize = 4 << 20;
const CORRELATION: i32 = 1;

/// A request: its header is written, the body follows field by field.
#[derive(Debug)]
pub struct Request(Vec<u8>);

impl Request {
    /// Header version 1, which every non-flexible request has.
    #[must_use]
    pub fn new(api: i16, version: i16) -> Self {
        Self(Vec::new()).int16(api).int16(version).int32(CORRELATION).string("xtask")
    }

    #[must_use]
    pub fn int8(mut self, value: i8) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    #[must_use]
    pub fn int16(mut self, value: i16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    #[must_use]
    pub fn int32(mut self, value: i32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    #[must_use]
    pub fn int64(mut self, value: i64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// Length (two bytes) and UTF-8; names here are short.
    #[must_use]
    pub fn string(self, text: &str) -> Self {
        let length = i16::try_from(text.len()).unwrap_or(i16::MAX);
        let mut request = self.int16(length);
        request.0.extend(text.bytes());
        request
    }

    /// Sends to a broker (`host:port`) on a connection of its own.
    pub fn send(self, address: &str) -> Result<Response> {
        let to: SocketAddr = address.parse().context("not an address")?;
        let mut stream = TcpStream::connect_timeout(&to, TIMEOUT)
            .with_context(|| format!("{address} does not answer"))?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let length = u32::try_from(self.0.len()).context("request too long")?;
        stream.write_all(&[&length.to_be_bytes(), self.0.as_slice()].concat())?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length))?;
        if length > LONGEST {
            bail!("{address} announces an answer of {length} bytes: not Kafka");
        }
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes)?;
        let mut response = Response { bytes, at: 0 };
        if response.int32()? != CORRELATION {
            bail!("{address} answers another question");
        }
        Ok(response)
    }
}

/// An answer, read field by field.
#[derive(Debug)]
pub struct Response {
    bytes: Vec<u8>,
    at: usize,
}

impl Response {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let part = self.bytes.get(self.at..self.at + N).context("the answer is too short")?;
        self.at += N;
        Ok(part.try_into()?)
    }

    pub fn int16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.take()?))
    }

    pub fn int32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.take()?))
    }

    pub fn int64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.take()?))
    }

    /// A string that may be absent; absent is empty.
    pub fn string(&mut self) -> Result<String> {
        let Ok(length) = usize::try_from(self.int16()?) else { return Ok(String::new()) };
        let part = self.bytes.get(self.at..self.at + length).context("the answer is too short")?;
        let text = String::from_utf8(part.to_vec()).context("the answer is not UTF-8")?;
        self.at += length;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_writes_a_response_reads() {
        let request = Request::new(18, 0).int16(-7).int32(70_000).int64(-1).string("è");
        let mut response = Response { bytes: request.0, at: 0 };
        assert_eq!((response.int16().unwrap(), response.int16().unwrap()), (18, 0));
        assert_eq!(response.int32().unwrap(), CORRELATION);
        assert_eq!(response.string().unwrap(), "xtask");
        assert_eq!(response.int16().unwrap(), -7);
        assert_eq!(response.int32().unwrap(), 70_000);
        assert_eq!(response.int64().unwrap(), -1);
        assert_eq!(response.string().unwrap(), "è");
        assert!(response.int16().is_err());
    }

    #[test]
    fn a_cut_answer_is_an_error() {
        let mut response = Response { bytes: vec![0, 9, b'a'], at: 0 };
        assert!(response.string().is_err());
    }
}

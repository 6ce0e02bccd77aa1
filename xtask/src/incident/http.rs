//! One request to a server on this machine: plain HTTP/1.0, which no answer is cut into pieces for.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

const PATIENCE: Duration = Duration::from_secs(10);

/// Status and body. `url` is `http://host:port`, with or without a path behind it; `headers` are whole lines.
pub fn ask(
    method: &str,
    url: &str,
    path: &str,
    headers: &[String],
    body: &str,
) -> Result<(u16, String)> {
    let rest = url.strip_prefix("http://").context("only plain HTTP is spoken here")?;
    let host = rest.split('/').next().unwrap_or(rest);
    let to: SocketAddr = host.parse().with_context(|| format!("{host} is no address"))?;
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE).context("no connection")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    let mut head =
        format!("{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {length}\r\n");
    for line in headers {
        head = head + line + "\r\n";
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
    let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    Ok((status.context("no status")?, body.to_owned()))
}

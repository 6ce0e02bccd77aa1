//! A Redis of the run's own. With an append-only file it comes back as it was; without, empty.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Managed, free_port, wait_until};

const START: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct Redis {
    pub port: u16,
    pub process: Managed,
}

impl Redis {
    /// Settings are written, nothing starts yet.
    pub fn plan(program: &Path, folder: &Path, keeps: bool) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let port = free_port()?;
        let settings = folder.join("redis.conf");
        let appendonly = if keeps { "yes" } else { "no" };
        let text = format!(
            "bind 127.0.0.1\nport {port}\ndir {folder:?}\nsave \"\"\nappendonly {appendonly}\n\
             maxmemory-policy noeviction\ndaemonize no\n"
        );
        std::fs::write(&settings, text)?;
        let settings = settings.display().to_string();
        let process = Managed::new("redis", program, &[&settings], &folder.join("redis.log"));
        Ok(Self { port, process })
    }

    /// Starts and answers.
    pub async fn start(&mut self) -> Result<()> {
        self.process.start()?;
        let port = self.port;
        if !wait_until(START, || say(port, "PING").is_ok_and(|answer| answer == "+PONG")).await {
            bail!("redis does not answer:\n{}", self.process.last_words());
        }
        Ok(())
    }

    /// Forgets everything.
    pub fn flush(&self) -> Result<()> {
        match say(self.port, "FLUSHALL")?.as_str() {
            "+OK" => Ok(()),
            other => bail!("FLUSHALL was answered with {other}"),
        }
    }
}

/// An inline command, and the first line of its answer.
fn say(port: u16, command: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).context("redis does not listen")?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.write_all(format!("{command}\r\n").as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 256];
    while !answer.contains(&b'\n') {
        match stream.read(&mut buffer)? {
            0 => bail!("redis closed the connection"),
            length => answer.extend_from_slice(&buffer[..length]),
        }
    }
    let text = String::from_utf8_lossy(&answer);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

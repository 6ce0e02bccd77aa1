//! Redis on this machine, as Staffetta demands it: nothing on disk, nothing evicted.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::running::{Record, tail};
use super::{Place, Running};
use crate::console::Waiting;
use crate::packages::{self, Need};
use crate::{interrupt, process};

const START: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(50);
const TIMEOUT: Duration = Duration::from_secs(2);

/// A server that answers. It ends when this value is dropped.
#[derive(Debug)]
pub struct Redis {
    /// `127.0.0.1:port`.
    pub address: String,
    running: Running,
}

impl Redis {
    /// Ends it; what it held is gone.
    pub fn stop(&mut self) -> Result<()> {
        let folder = self.running.folder().as_os_str().to_owned();
        for process in &self.running.record.processes {
            process::stop(process.pid, &folder, TIMEOUT)?;
        }
        Ok(())
    }

    /// Empty, at the same address.
    pub fn start_again(&mut self) -> Result<()> {
        let program = process::find("redis-server").context("redis-server is gone")?;
        let settings = self.running.folder().join("redis.conf");
        let log = self.running.folder().join("redis-again.log");
        self.running.start("redis", Command::new(program).arg(settings), &log)?;
        let answers = || answers(&self.address).is_ok();
        if !interrupt::wait_until(START, STEP, answers) {
            bail!("redis does not answer again; its last words:\n{}", tail(&log, 15));
        }
        Ok(())
    }

    /// Lets the server outlive this command.
    #[must_use]
    pub fn keep(self) -> Record {
        self.running.keep()
    }
}

/// Starts an empty server.
pub fn up(place: Place) -> Result<Redis> {
    packages::ensure(&[Need::Redis])?;
    let program = process::find("redis-server").context("redis-server was here a moment ago")?;
    let port = process::free_ports(1)?.first().copied().context("one port was asked for")?;
    let address = format!("127.0.0.1:{port}");
    let mut running = Running::prepare(place, "redis", address.clone())?;
    let settings = running.folder().join("redis.conf");
    let text = format!(
        "bind 127.0.0.1\nport {port}\ndir {:?}\nsave \"\"\nappendonly no\n\
         maxmemory-policy noeviction\ndaemonize no\nset-proc-title no\n",
        running.folder()
    );
    fs::write(&settings, text).with_context(|| format!("cannot write {}", settings.display()))?;
    let log = running.folder().join("redis.log");
    running.start("redis", Command::new(program).arg(&settings), &log)?;
    let waiting = Waiting::on(format!("redis at {address}"));
    let mut ended = false;
    let answered = interrupt::wait_until(START, STEP, || {
        waiting.tick();
        ended = running.ended().is_some();
        ended || answers(&address).is_ok()
    });
    if ended || !answered {
        waiting.done("failed");
        bail!("redis does not answer; its last words:\n{}", tail(&log, 15));
    }
    waiting.done("ready");
    Ok(Redis { address, running })
}

/// PING and PONG.
pub fn answers(address: &str) -> Result<()> {
    let to: SocketAddr = address.parse().context("not an address")?;
    let mut stream = TcpStream::connect_timeout(&to, TIMEOUT).context("no connection")?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer)?;
    if &answer != b"+PONG\r\n" {
        bail!("{address} is no Redis");
    }
    Ok(())
}

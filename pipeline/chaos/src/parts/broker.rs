//! A broker that somebody else has started: found by its process id, hurt, and started again with the
//! command line it had.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Managed, wait_until};

const GONE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Broker {
    /// As it was found, until it is killed for the first time.
    found: Option<u32>,
    process: Managed,
}

impl Broker {
    /// Reads the command line of process `pid`; the outputs of later lives go into `log`.
    pub fn find(pid: u32, log: &Path) -> Result<Self> {
        let line = std::fs::read(format!("/proc/{pid}/cmdline"))
            .with_context(|| format!("there is no broker with process id {pid}"))?;
        let words: Vec<String> = line
            .split(|byte| *byte == 0)
            .filter(|word| !word.is_empty())
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect();
        let (program, arguments) = words.split_first().context("an empty command line")?;
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let name = format!("broker {pid}");
        let process = Managed::new(&name, &PathBuf::from(program), &arguments, log);
        Ok(Self { found: Some(pid), process })
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        let pid = match self.found {
            Some(pid) => Some(pid),
            None if self.process.runs() => self.process.pid(),
            None => None,
        };
        let pid = pid.and_then(|pid| i32::try_from(pid).ok()).context("the broker does not run")?;
        kill(Pid::from_raw(pid), signal).context("cannot signal the broker")
    }

    pub async fn kill(&mut self) -> Result<()> {
        let Some(pid) = self.found else { return self.process.kill() };
        self.signal(Signal::SIGKILL)?;
        self.found = None;
        if !wait_until(GONE, || !runs(pid)).await {
            bail!("broker {pid} does not end");
        }
        Ok(())
    }

    pub fn start(&mut self) -> Result<()> {
        self.process.start()
    }

    pub fn freeze(&mut self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    pub fn thaw(&mut self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }
}

/// A process that has ended stays listed until whoever started it has looked.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

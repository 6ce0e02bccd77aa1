//! A process that can be killed, frozen and started again.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::wait_until;

/// How a process is started, and the process while it runs. It is killed when this value goes.
#[derive(Debug)]
pub struct Managed {
    pub name: String,
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(String, String)>,
    log: PathBuf,
    child: Option<Child>,
    /// Lives begun so far.
    pub starts: u32,
}

impl Managed {
    /// Nothing starts yet. `log` takes both outputs of every life, one after the other.
    #[must_use]
    pub fn new(name: &str, program: &Path, arguments: &[&str], log: &Path) -> Self {
        Self {
            name: name.to_owned(),
            program: program.to_owned(),
            arguments: arguments.iter().map(OsString::from).collect(),
            environment: Vec::new(),
            log: log.to_owned(),
            child: None,
            starts: 0,
        }
    }

    #[must_use]
    pub fn with(mut self, environment: Vec<(String, String)>) -> Self {
        self.environment = environment;
        self
    }

    /// From its next life on, this variable has this value.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    pub fn start(&mut self) -> Result<()> {
        use std::os::unix::process::CommandExt as _;
        if self.runs() {
            bail!("{} runs already", self.name);
        }
        let out = OpenOptions::new().create(true).append(true).open(&self.log);
        let out = out.with_context(|| format!("cannot write {}", self.log.display()))?;
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stderr(out.try_clone()?)
            .stdout(out)
            .process_group(0)
            .spawn();
        self.child = Some(child.with_context(|| format!("cannot start {}", self.name))?);
        self.starts += 1;
        Ok(())
    }

    /// Whether it runs, frozen or not.
    pub fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        if !self.runs() {
            bail!("{} does not run; see {}", self.name, self.log.display());
        }
        let pid = self.pid().and_then(|pid| i32::try_from(pid).ok()).context("no process id")?;
        kill(Pid::from_raw(pid), signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// SIGKILL; gone when this returns.
    pub fn kill(&mut self) -> Result<()> {
        self.signal(Signal::SIGKILL)?;
        if let Some(mut child) = self.child.take() {
            child.wait()?;
        }
        Ok(())
    }

    pub fn freeze(&mut self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    pub fn thaw(&mut self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// Waits until it ends by itself, at most `limit`; how it ended.
    pub async fn ends(&mut self, limit: Duration) -> Option<ExitStatus> {
        let ended = wait_until(limit, || !self.runs()).await;
        self.child.as_mut().filter(|_| ended).and_then(|child| child.wait().ok())
    }

    /// SIGTERM, and its end within `limit`.
    pub async fn end(&mut self, limit: Duration) -> Result<()> {
        if !self.runs() {
            return Ok(());
        }
        self.signal(Signal::SIGTERM)?;
        if !wait_until(limit, || !self.runs()).await {
            bail!("{} does not end within {limit:?}; see {}", self.name, self.log.display());
        }
        Ok(())
    }

    /// Runs it to its end; what it says on failure is in the error.
    pub fn run_to_end(mut self) -> Result<()> {
        self.start()?;
        let status = self.child.take().context("just started")?.wait()?;
        if !status.success() {
            bail!("{} ended with {status}:\n{}", self.name, tail(&self.log));
        }
        Ok(())
    }

    #[must_use]
    pub fn last_words(&self) -> String {
        tail(&self.log)
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn tail(log: &Path) -> String {
    let text = std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = text.unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_process_can_be_started_again() {
        let folder = std::env::temp_dir().join(format!("chaos-managed-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let script = ["-c", "while :; do read _; done < /dev/zero"];
        let mut managed = Managed::new("sh", Path::new("sh"), &script, &folder.join("log"));
        for life in 1..3 {
            managed.start().unwrap();
            assert!(managed.runs());
            assert!(managed.start().is_err());
            managed.kill().unwrap();
            assert!(!managed.runs());
            assert_eq!(managed.starts, life);
        }
        assert!(managed.kill().is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

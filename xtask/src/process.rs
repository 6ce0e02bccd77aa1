//! Other programs: which are here, how one is run in front, how one is ended by its id.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::Rng;

use crate::{console, interrupt};

const STEP: Duration = Duration::from_millis(50);

/// The folder of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

/// `cargo` as it was called for this command, without what `cargo run` adds about this crate; at
/// most two jobs, because linking several test programs at once takes gigabytes.
#[must_use]
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    let asked = std::env::var("CARGO_BUILD_JOBS").ok().and_then(|jobs| jobs.parse::<u32>().ok());
    command.env("CARGO_BUILD_JOBS", asked.unwrap_or(2).clamp(1, 2).to_string());
    command.stdin(Stdio::null());
    command
}

/// Runs in front: output goes through, signals are passed on, the answer is the child's.
pub fn run_in_front(command: &mut Command) -> Result<ExitStatus> {
    use std::os::unix::process::CommandExt;
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .process_group(0) // a signal reaches it once: through us
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    interrupt::pass_to(Some(child.id()));
    let status = child.wait();
    interrupt::pass_to(None);
    status.with_context(|| format!("lost sight of {program}"))
}

/// As above, and every line of its standard output is shown to `seen` as well.
pub fn run_in_front_seen(command: &mut Command, mut seen: impl FnMut(&str)) -> Result<ExitStatus> {
    use std::io::BufRead;
    use std::os::unix::process::CommandExt;
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    interrupt::pass_to(Some(child.id()));
    if let Some(out) = child.stdout.take() {
        for line in std::io::BufReader::new(out).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            console::say(&line);
            seen(&line);
        }
    }
    let status = child.wait();
    interrupt::pass_to(None);
    status.with_context(|| format!("lost sight of {program}"))
}

/// The program's output; an error with what it said when it fails.
pub fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let out =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {program}"))?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        bail!("{program} ended with {}: {}", out.status, said.trim());
    }
    String::from_utf8(out.stdout).with_context(|| format!("{program} does not speak UTF-8"))
}

/// Where a program lies: the search path, and the administrator's folders that a user's path lacks.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let more = ["/usr/sbin", "/sbin", "/usr/bin"].map(PathBuf::from);
    folders.iter().chain(&more).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// The process runs and `mark` stands in its command line. The mark guards against an id that the
/// system has given to somebody else meanwhile. The line is empty for a moment at both ends of a
/// life, when the program's memory is not there yet or no longer: such a process still runs.
#[must_use]
pub fn is_alive(pid: u32, mark: &OsStr) -> bool {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let Ok(stat) = std::fs::read_to_string(folder.join("stat")) else { return false };
    // The state follows the name, which is in parentheses and may hold any character.
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    if matches!(state, None | Some('Z' | 'X')) {
        return false;
    }
    let line = std::fs::read(folder.join("cmdline")).unwrap_or_default();
    let mark = mark.as_encoded_bytes();
    line.is_empty() || (!mark.is_empty() && line.windows(mark.len()).any(|part| part == mark))
}

/// Ends a process: SIGTERM, then SIGKILL after `grace`. True if it went by itself.
pub fn stop(pid: u32, mark: &OsStr, grace: Duration) -> Result<bool> {
    if !is_alive(pid, mark) {
        return Ok(true);
    }
    let id = Pid::from_raw(i32::try_from(pid).context("no process has such an id")?);
    kill(id, Signal::SIGTERM).with_context(|| format!("cannot end process {pid}"))?;
    if gone(pid, mark, grace) {
        return Ok(true);
    }
    let _ = kill(id, Signal::SIGKILL);
    if !gone(pid, mark, Duration::from_secs(10)) {
        bail!("process {pid} does not end");
    }
    Ok(false)
}

/// Waits for the end whatever signals come: an interrupted command still leaves nothing behind.
fn gone(pid: u32, mark: &OsStr, limit: Duration) -> bool {
    let end = std::time::Instant::now() + limit;
    while is_alive(pid, mark) {
        if std::time::Instant::now() >= end {
            return false;
        }
        std::thread::park_timeout(STEP);
    }
    true
}

/// Ports on 127.0.0.1 that are free now, all different. They lie below the range from which the
/// system serves outgoing connections, so nobody takes one by accident before its server does.
pub fn free_ports(count: usize) -> Result<Vec<u16>> {
    let mut held = Vec::with_capacity(count);
    for _ in 0..10_000 {
        if held.len() == count {
            break;
        }
        let port = rand::rng().random_range(20_000..32_000);
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            held.push((port, listener));
        }
    }
    if held.len() < count {
        bail!("no {count} free ports between 20000 and 32000 on 127.0.0.1");
    }
    Ok(held.into_iter().map(|(port, _)| port).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_are_free_and_differ() {
        let ports = free_ports(8).unwrap();
        let held: Vec<_> =
            ports.iter().map(|port| TcpListener::bind(("127.0.0.1", *port)).unwrap()).collect();
        assert_eq!(held.len(), 8);
    }

    #[test]
    fn a_process_without_the_mark_is_not_ours() {
        let mut child = Command::new("sh");
        child.args(["-c", "read _", "a-mark"]);
        let mut child = child.stdin(Stdio::piped()).spawn().unwrap();
        let mut line = Vec::new();
        while line.is_empty() {
            line = std::fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
        }
        assert!(is_alive(child.id(), OsStr::new("a-mark")));
        assert!(!is_alive(child.id(), OsStr::new("another-mark")));
        assert!(!is_alive(child.id(), OsStr::new("")));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_stopped_process_is_gone() {
        let mut child = Command::new("sh")
            .args(["-c", "while :; do read _; done < /dev/zero", "mark-of-the-stopped"])
            .spawn()
            .unwrap();
        let mark = OsStr::new("mark-of-the-stopped");
        // Until the shell has taken its place, it is not the process that is meant.
        while !is_alive(child.id(), mark) {}
        assert!(stop(child.id(), mark, Duration::from_secs(10)).unwrap());
        assert!(!is_alive(child.id(), mark));
        child.wait().unwrap();
    }
}

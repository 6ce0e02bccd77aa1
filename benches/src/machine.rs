//! What the system knows of processes and of itself. Linux only: everything is read from `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

/// Ticks a second in which `/proc` counts time (`USER_HZ`, 100 on every Linux in use).
const TICKS: u64 = 100;

/// Processor time of a process since its start, threads that have ended included.
#[must_use]
pub fn cpu_of(pid: u32) -> Option<Duration> {
    ticks(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Processor time of its living threads, by name; the numbers of a pool's threads are left out.
#[must_use]
pub fn threads_of(pid: u32) -> BTreeMap<String, Duration> {
    let mut threads = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let Ok(stat) = fs::read_to_string(task.path().join("stat")) else { continue };
        let Some(name) = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')) else {
            continue;
        };
        let name = name.0.trim_end_matches(|c: char| c.is_ascii_digit() || "-#:/".contains(c));
        *threads.entry(name.to_owned()).or_default() += ticks(&stat).unwrap_or_default();
    }
    threads
}

/// `utime` and `stime` are the 12th and 13th words behind the name, which may hold anything.
fn ticks(stat: &str) -> Option<Duration> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_whitespace().skip(11);
    let mut next = || words.next().and_then(|word| word.parse::<u64>().ok());
    Some(Duration::from_millis((next()? + next()?) * 1_000 / TICKS))
}

/// The most memory that a process has held, in bytes.
#[must_use]
pub fn peak_memory(pid: u32) -> Option<u64> {
    field(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "VmHWM")
}

/// The value in bytes of a line such as `VmHWM:   1024 kB`.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Time in which the processors worked, for anybody; grows by at most [`cores`] a second.
#[must_use]
pub fn busy() -> Duration {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = text.lines().next().unwrap_or_default();
    let words: Vec<u64> = first.split_whitespace().skip(1).flat_map(str::parse).collect();
    // Idle and waiting for a disk are no work; a guest's time is in `user` already.
    let worked = words.iter().take(8).enumerate().filter(|(at, _)| *at != 3 && *at != 4);
    Duration::from_millis(worked.map(|(_, ticks)| ticks).sum::<u64>() * 1_000 / TICKS)
}

#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The process on this machine that listens at `port`, as far as this user may see it.
#[must_use]
pub fn listener_at(port: u16) -> Option<u32> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).ok());
    let inode = tables.iter().flatten().find_map(|table| listening_inode(table, port))?;
    let wanted = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse::<u32>().ok()?;
        let mut files = fs::read_dir(entry.path().join("fd")).ok()?.flatten();
        let is_it = |file: fs::DirEntry| {
            fs::read_link(file.path()).is_ok_and(|target| target == Path::new(&wanted))
        };
        files.any(is_it).then_some(pid)
    })
}

/// `local_address` (hexadecimal, behind the colon the port), `st` (0A: listening), `inode`.
fn listening_inode(table: &str, port: u16) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let local = words.get(1)?.rsplit_once(':')?.1;
        let listens = *words.get(3)? == "0A" && u16::from_str_radix(local, 16).ok()? == port;
        listens.then(|| words.get(9)?.parse().ok()).flatten()
    })
}

/// On what a figure was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Description {
    pub processor: String,
    pub cores: usize,
    pub memory_gib: u64,
    pub kernel: String,
    /// Kind of file system that holds the log and the objects.
    pub file_system: String,
}

/// Describes this machine, with the disk under `folder`.
#[must_use]
pub fn describe(folder: &Path) -> Description {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let memory = field(&read("/proc/meminfo"), "MemTotal").unwrap_or(0);
    Description {
        processor: model.map_or("unknown", |(_, name)| name).to_owned(),
        cores: cores(),
        memory_gib: (memory + (1 << 29)) >> 30,
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        file_system: file_system(&read("/proc/mounts"), folder).to_owned(),
    }
}

/// The type of the mount with the longest path above `folder`.
fn file_system<'a>(mounts: &'a str, folder: &Path) -> &'a str {
    let rows = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    let above = rows.filter(|(mount, _)| folder.starts_with(mount));
    above.max_by_key(|(mount, _)| mount.len()).map_or("unknown", |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_read_behind_a_name_that_holds_anything() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0";
        assert_eq!(ticks(stat), Some(Duration::from_secs(2)));
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[test]
    fn this_process_is_found_by_the_port_it_listens_at() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(listener_at(port), Some(std::process::id()));
        drop(listener);
        assert_eq!(listener_at(port), None);
    }

    #[test]
    fn a_process_that_works_is_seen_to_work() {
        let own = std::process::id();
        let (before, busy_before) = (cpu_of(own).unwrap(), busy());
        let mut sum = 0_u64;
        while cpu_of(own).unwrap() < before + Duration::from_millis(50) {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(busy() >= busy_before + Duration::from_millis(30));
        assert!(threads_of(own).values().sum::<Duration>() > Duration::ZERO);
        assert!(peak_memory(own).unwrap() > 1 << 20);
        assert_eq!(cpu_of(u32::MAX), None);
    }

    #[test]
    fn the_disk_is_the_mount_with_the_longest_path() {
        let mounts = "a / ext4 rw\nb /data xfs rw\nc /data/x tmpfs rw\n";
        for (folder, kind) in [("/data/y", "xfs"), ("/data/x/z", "tmpfs"), ("/datax", "ext4")] {
            assert_eq!(file_system(mounts, Path::new(folder)), kind);
        }
    }
}

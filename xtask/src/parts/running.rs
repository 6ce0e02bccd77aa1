//! A started server: recorded on disk before anybody waits for it, ended when its value goes.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::Place;
use crate::{console, process};

const RECORD: &str = "record.json";

/// Kafka's controlled shutdown takes a few seconds; a server that takes longer is killed.
const GRACE: Duration = Duration::from_secs(20);

/// What is known of a started server; the file by which `down` and `status` find it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// `kafka`, `redis` or `postfix`.
    pub what: String,
    /// `host:port`, several with commas between them.
    pub address: String,
    pub processes: Vec<Process>,
    /// What a client needs beside the address: paths of certificates, mailboxes.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub more: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub name: String,
    pub pid: u32,
}

impl Record {
    /// The record of a folder, if there is one.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let file = folder.join(RECORD);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context(format!("cannot read {}", file.display())),
        };
        let record = serde_json::from_str(&text)
            .with_context(|| format!("{} is damaged; remove it", file.display()))?;
        Ok(Some(record))
    }

    fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("a record is always writable")?;
        let file = folder.join(RECORD);
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    /// How many of its processes run. The folder's path stands in each one's command line.
    #[must_use]
    pub fn alive(&self, folder: &Path) -> usize {
        let mark = folder.as_os_str();
        self.processes.iter().filter(|process| process::is_alive(process.pid, mark)).count()
    }
}

/// A server that this command has started. It ends when this value is dropped, unless kept.
#[derive(Debug)]
pub struct Running {
    place: Place,
    pub record: Record,
    children: Vec<Child>,
    kept: bool,
}

impl Running {
    /// Takes the place: refuses while a server runs there, empties it otherwise.
    pub fn prepare(place: Place, what: &str, address: String) -> Result<Self> {
        super::place::sweep()?;
        if let Some(old) = Record::read(place.folder())?
            && old.alive(place.folder()) > 0
        {
            bail!("{what} already runs at {}; end it with: cargo xtask {what} down", old.address);
        }
        place.prepare()?;
        let record =
            Record { what: what.to_owned(), address, processes: Vec::new(), more: [].into() };
        Ok(Self { place, record, children: Vec::new(), kept: false })
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        self.place.folder()
    }

    /// Starts one process in a group of its own (a terminal's Ctrl-C must not reach it before its
    /// clients have drained), its output in `log`, and records it at once.
    pub fn start(&mut self, name: &str, command: &mut Command, log: &Path) -> Result<()> {
        use std::os::unix::process::CommandExt;
        let out =
            fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let err = out.try_clone().context("cannot share the log file")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        self.record.processes.push(Process { name: name.to_owned(), pid: child.id() });
        self.children.push(child);
        self.save()
    }

    /// Writes the record again after its facts have grown.
    pub fn save(&self) -> Result<()> {
        self.record.write(self.place.folder())
    }

    /// The name of a process that has ended already, if one has.
    pub fn ended(&mut self) -> Option<String> {
        let children = self.children.iter_mut().zip(&self.record.processes);
        children
            .filter_map(|(child, process)| {
                matches!(child.try_wait(), Ok(Some(_))).then(|| process.name.clone())
            })
            .next()
    }

    /// Lets the server outlive this command.
    #[must_use]
    pub fn keep(mut self) -> Record {
        self.kept = true;
        self.record.clone()
    }

    fn stop(&mut self) {
        if let Err(error) = stop_all(&self.record, self.place.folder()) {
            console::note(format_args!("{error:#}"));
        }
        for child in &mut self.children {
            let _ = child.wait();
        }
        self.place.leave();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.kept {
            self.stop();
        }
    }
}

/// Ends the server recorded in a folder. The record it had, `None` where nothing was recorded.
pub fn stop_recorded(folder: &Path) -> Result<Option<Record>> {
    let Some(record) = Record::read(folder)? else { return Ok(None) };
    stop_all(&record, folder)?;
    let _ = fs::remove_file(folder.join(RECORD));
    Ok(Some(record))
}

/// All at once: three brokers that go one after another wait for each other's votes.
fn stop_all(record: &Record, folder: &Path) -> Result<()> {
    let mark: &OsStr = folder.as_os_str();
    std::thread::scope(|scope| {
        let threads: Vec<_> = record
            .processes
            .iter()
            .map(|process| scope.spawn(move || (process, process::stop(process.pid, mark, GRACE))))
            .collect();
        for thread in threads {
            let Ok((process, stopped)) = thread.join() else { bail!("a helper thread died") };
            if !stopped? {
                console::note(format_args!(
                    "{} (process {}) did not end within {} and was killed",
                    process.name,
                    process.pid,
                    console::seconds(GRACE)
                ));
            }
        }
        Ok(())
    })
}

/// The last lines of a log, for an error that should not send its reader hunting.
#[must_use]
pub fn tail(log: &Path, lines: usize) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = text.unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

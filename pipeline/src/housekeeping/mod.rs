//! What time takes away: old records, whole days of the object store, keys that nobody may have any
//! more. Done on the quiet, by the World's clock, again and again.
//!
//! Promise: what an erasure leaves on this installation's disks opens no payload after
//! [`erasure_bound`]. On Kafka the brokers remove and compact by their topics' policies; what is left to
//! do here is the object store, and to wake partitions at rest.

mod days;
mod metrics;
mod nudge;
mod pace;
pub mod rekeying;

#[cfg(test)]
mod laws;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use consumers::keys::Keys;
use consumers::vault::Store;
use policy::retention::is_due;
use runtime::embedded::{EmbeddedLog, Scope};
use runtime::log::{Incoming, Log, Start, TopicPartition};
use runtime::world::World;
use schemas::ids::Timestamp;
use schemas::topics::Topic;
use tokio::runtime::Handle;

pub use metrics::HousekeepingMetrics;
pub use pace::{Pace, erasure_bound, schedules};

use crate::config::Settings;
use crate::plant::Site;
use metrics::Item;
use rekeying::Rekeying;

/// A task that failed is tried again after this.
const AGAIN: Duration = Duration::from_secs(60);
/// Several processes that start together look at the object store one after the other, within this.
const SPREAD_MS: u64 = 15 * 60 * 1_000;

/// What is done, each at a pace of its own; in this order where several are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// Embedded log: records older than their topic keeps them.
    Sweep,
    /// Embedded log: keys wrapped by an older master, and keys of ended registrations.
    Keys,
    /// Embedded log: what compacted topics let go, off the disk.
    Compact,
    /// Object store: days that are over.
    Days,
    /// Kafka: partitions of keys that nobody has written to.
    Nudge,
}

impl Task {
    const ALL: [Self; 5] = [Self::Sweep, Self::Keys, Self::Compact, Self::Days, Self::Nudge];

    fn name(self) -> &'static str {
        match self {
            Self::Sweep => "sweep",
            Self::Keys => "keys",
            Self::Compact => "compact",
            Self::Days => "days",
            Self::Nudge => "nudge",
        }
    }
}

/// Sweeps the log once, then goes on a thread of its own; nothing where the process has nothing to keep.
/// A reader that starts afterwards is not overtaken by the sweeping of what is older than it.
///
/// # Errors
/// The log's; no thread.
pub fn start(
    site: &Arc<Site>,
    keeps_objects: bool,
    runtime: Handle,
) -> anyhow::Result<Option<JoinHandle<()>>> {
    if site.embedded.is_none() && !keeps_objects {
        return Ok(None);
    }
    let mut house = Housekeeping {
        log: Arc::clone(&site.log),
        embedded: site.embedded.clone(),
        objects: keeps_objects.then(|| site.objects.clone()),
        keys: site.keys.clone(),
        world: site.world.clone(),
        pace: pace_of(&site.settings),
        metrics: HousekeepingMetrics::new(&site.metrics.registry),
        stop: Arc::clone(&site.stop),
        next: BTreeMap::new(),
    };
    if house.embedded.is_some() {
        let bound = erasure_bound(&schedules(), house.pace.compact);
        let hours = bound.as_secs().div_ceil(3_600);
        tracing::info!(hours, "an erasure is irrevocable on these disks after so many hours");
    }
    house.schedule()?;
    house.attend(Task::Sweep, &runtime)?;
    let turns = move || {
        while !house.stop.load(Ordering::Relaxed) {
            house.turn(&runtime);
            std::thread::park_timeout(Duration::from_millis(200));
        }
    };
    Ok(Some(std::thread::Builder::new().name("housekeeping".to_owned()).spawn(turns)?))
}

/// The paces that the configuration names.
#[must_use]
pub fn pace_of(settings: &Settings) -> Pace {
    let (house, hour) = (&settings.housekeeping, Duration::from_secs(3_600));
    let hours = |n: u64| hour.saturating_mul(u32::try_from(n).unwrap_or(u32::MAX));
    Pace {
        sweep: Duration::from_secs(house.sweep_every_minutes.saturating_mul(60)),
        compact: hours(house.compact_every_hours),
        days: hours(house.days_every_hours),
        margin: hours(u64::from(settings.retention.margin_days) * 24),
    }
}

/// One process's housekeeping.
pub struct Housekeeping {
    pub log: Arc<dyn Log>,
    /// The same log, where it is the one of this process.
    pub embedded: Option<EmbeddedLog>,
    /// Where this process keeps stored messages.
    pub objects: Option<Store>,
    pub keys: Keys,
    pub world: World,
    pub pace: Pace,
    pub metrics: HousekeepingMetrics,
    pub stop: Arc<AtomicBool>,
    /// When each task is to be done next; absent: at once.
    pub next: BTreeMap<Task, Timestamp>,
}

impl Housekeeping {
    /// When each task is first due: compaction goes by the log's own memory, for a process that is
    /// restarted often must not put it off.
    ///
    /// # Errors
    /// The log's.
    pub fn schedule(&mut self) -> anyhow::Result<()> {
        let now = self.world.now();
        if let Some(embedded) = &self.embedded {
            let last = embedded.compacted_at()?;
            let every = self.pace.compact;
            let next = last.filter(|_| !is_due(last, every, now)).map_or(now, |at| at.plus(every));
            self.next.insert(Task::Compact, next);
            // Said again at each start, so that nobody mistakes a restart for a compaction, or for none.
            last.into_iter().for_each(|at| self.metrics.done(Task::Compact, at));
        } else {
            let spread = Duration::from_millis(self.world.random() % SPREAD_MS);
            self.next.insert(Task::Days, now.plus(spread));
            self.next.insert(Task::Nudge, now.plus(spread));
        }
        Ok(())
    }

    /// Does what is due.
    pub fn turn(&mut self, runtime: &Handle) {
        for task in Task::ALL {
            let now = self.world.now();
            if !self.has(task) || !self.is_due(task, now) {
                continue;
            }
            let next = match self.attend(task, runtime) {
                Ok(()) => {
                    self.metrics.done(task, self.world.now());
                    now.plus(self.pace.of(task))
                }
                Err(_) if self.stop.load(Ordering::Relaxed) => return,
                Err(error) => {
                    self.metrics.failed(task);
                    tracing::warn!(task = task.name(), error = format!("{error:#}"), "put off");
                    now.plus(AGAIN)
                }
            };
            self.next.insert(task, next);
        }
    }

    /// Whether the task is this process's.
    fn has(&self, task: Task) -> bool {
        match task {
            Task::Sweep | Task::Keys | Task::Compact => self.embedded.is_some(),
            Task::Days => self.objects.is_some(),
            Task::Nudge => self.embedded.is_none(),
        }
    }

    /// A moment further away than the pace was set by a clock that was wrong.
    fn is_due(&self, task: Task, now: Timestamp) -> bool {
        let latest = now.plus(self.pace.of(task));
        self.next.get(&task).is_none_or(|next| *next <= now || *next > latest)
    }

    fn attend(&self, task: Task, runtime: &Handle) -> anyhow::Result<()> {
        match (task, &self.embedded, &self.objects) {
            (Task::Sweep, Some(log), _) => self.sweep(log),
            (Task::Keys, Some(_), _) => self.tend_keys(),
            (Task::Compact, Some(log), _) => self.compact(log),
            (Task::Days, _, Some(objects)) => self.end_days(objects, runtime),
            (Task::Nudge, None, _) => self.nudge(),
            (Task::Sweep | Task::Keys | Task::Compact, None, _)
            | (Task::Days, _, None)
            | (Task::Nudge, Some(_), _) => Ok(()),
        }
    }

    fn sweep(&self, log: &EmbeddedLog) -> anyhow::Result<()> {
        let mut removed = 0;
        loop {
            let swept = log.sweep(self.world.now())?;
            removed += swept.removed;
            self.metrics.count(Item::ExpiredRecord, swept.removed);
            if !swept.more || self.stop.load(Ordering::Relaxed) {
                break;
            }
        }
        if removed > 0 {
            tracing::info!(removed, "records that were too old have left the log");
        }
        Ok(())
    }

    /// In the one process of an embedded log nobody holds an older keyring, so nobody has to wait; and
    /// nobody else writes, so one look afterwards finds whatever an erasure meanwhile has ended.
    fn tend_keys(&self) -> anyhow::Result<()> {
        let rekeying = Rekeying {
            log: self.log.as_ref(),
            keyring: &self.keys.keyring,
            entropy: self.keys.entropy.as_ref(),
            world: &self.world,
            stop: &self.stop,
        };
        let done = rekeying.run(&mut |_| ())?;
        let rewrapped = done.citizens + done.transit;
        self.metrics.count(Item::RewrappedKey, rewrapped);
        self.metrics.count(Item::BuriedKey, done.buried);
        if rewrapped + done.buried > 0 {
            let (citizens, transit, buried) = (done.citizens, done.transit, done.buried);
            tracing::info!(citizens, transit, buried, "keys wrapped anew, dead ones ended");
        }
        if done.unopened > 0 {
            let unopened = done.unopened;
            tracing::error!(unopened, "keys that no master key of this keyring opens");
        }
        Ok(())
    }

    fn compact(&self, log: &EmbeddedLog) -> anyhow::Result<()> {
        let began = self.world.now();
        log.compact(Scope::Compacted).context("what was erased may still be on disk")?;
        tracing::info!(took = ?self.world.now().since(began), "the log's keys are compacted");
        Ok(())
    }
}

/// Shows every record of one partition up to its end, in order.
fn every_record(
    log: &dyn Log,
    at: TopicPartition,
    stop: &AtomicBool,
    visit: &mut dyn FnMut(&Incoming) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut reader = log.reader(&[at.topic], &Start::Only(vec![(at, 0)]))?;
    loop {
        anyhow::ensure!(!stop.load(Ordering::Relaxed), "this process ends");
        let read = reader.poll(1_000, Duration::from_millis(200))?;
        for record in &read.records {
            visit(record)?;
        }
        if read.ended.iter().any(|(ended, _)| *ended == at) {
            return Ok(());
        }
    }
}

/// The partitions of a topic.
fn partitions(log: &dyn Log, topic: Topic) -> anyhow::Result<Vec<TopicPartition>> {
    let count = log.partitions(topic)?;
    Ok((0..count).map(|partition| TopicPartition { topic, partition }).collect())
}

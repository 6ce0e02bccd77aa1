//! The log inside this process: partitions, groups, transactions and compaction over an ordered
//! store, on disk (the default of a small installation) or in memory (tests and simulations).
//!
//! A transaction is one batch of the store: records, offsets and the removal of superseded records
//! together. An aborted one is never written, so it cannot be seen. A zombie is stopped where its
//! commit is decided, under the lock that gives partitions away. On disk one thread writes what all
//! callers have queued and syncs once; in memory the caller does it, and nothing depends on time or
//! chance.

mod appending;
mod assign;
mod core;
mod create;
mod disk;
mod faults;
mod fetch;
mod group;
mod keys;
mod member;
mod plan;
mod reader;
mod state;
mod store;
mod sweep;
mod values;

#[cfg(test)]
mod laws;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use schemas::ids::Timestamp;
use schemas::topics::Topic;

pub use self::faults::{Call, Fault};
pub use self::store::Scope;
pub use self::sweep::Swept;

use self::appending::{EmbeddedAppender, EmbeddedWriter};
use self::core::Core;
use self::disk::DiskStore;
use self::member::EmbeddedMember;
use self::reader::EmbeddedReader;
use self::state::State;
use self::store::{MemoryStore, Store};
use crate::log::{Appender, Log, LogError, Member, Reader, Seat, Start, TopicPartition, Writer};
use crate::world::World;

/// How an embedded log is kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Every topic of the catalogue is created with so many partitions when the log is opened, if
    /// it is missing; 0: none before [`Log::apply`] names it.
    pub partitions: u32,
    /// Whether an acknowledged record survives a power cut. If not, it survives the end of the
    /// process only.
    pub sync: bool,
    /// How long a tombstone stays for readers to see it.
    pub tombstone_life: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { partitions: 8, sync: true, tombstone_life: Duration::from_secs(86_400) }
    }
}

/// Records, offsets and seats. Cheap to clone; open as long as a clone, member, reader, writer or
/// appender lives.
#[derive(Clone)]
pub struct EmbeddedLog(Arc<Running>);

impl EmbeddedLog {
    /// An empty log in memory, its topics created with `partitions` each (see [`Settings`]).
    #[must_use]
    pub fn in_memory(world: World, partitions: u32) -> Self {
        let settings = Settings { partitions, ..Settings::default() };
        let core = Core::new(world, settings, Box::new(MemoryStore::default()), State::default());
        let log = Self(Arc::new(Running { core: Arc::new(core), committer: None }));
        // Memory refuses nothing.
        let created = log.create_all();
        debug_assert_eq!(created, Ok(()));
        log
    }

    /// The log in `folder`, created where there is none.
    ///
    /// # Errors
    /// `Broken`: another process uses the folder, or it holds no log of this version.
    pub fn open(folder: &Path, world: World, settings: Settings) -> Result<Self, LogError> {
        let store: Box<dyn Store> = Box::new(DiskStore::open(folder)?);
        let state = State::load(&*store)?;
        let core = Arc::new(Core::new(world, settings, store, state));
        let committer = core.start();
        let committer =
            committer.map_err(|error| LogError::Broken(format!("no thread to write: {error}")))?;
        let log = Self(Arc::new(Running { core, committer: Some(committer) }));
        log.create_all()?;
        Ok(log)
    }

    /// The next commit meets `fault`; several wait in turn.
    pub fn inject(&self, fault: Fault) {
        self.inject_at(Call::Commit, fault);
    }

    /// The next such call meets `fault`; several wait in turn.
    pub fn inject_at(&self, call: Call, fault: Fault) {
        self.0.core.state.lock().faults.entry(call).or_default().push_back(fault);
    }

    /// Removes records that are older than their topic keeps them and tombstones that have outlived
    /// [`Settings::tombstone_life`], at most ten thousand a call. What a group has still to read
    /// stays, whatever its age. Blocks as a commit does.
    ///
    /// # Errors
    /// `Broken`: the store failed; nothing was removed.
    pub fn sweep(&self, now: Timestamp) -> Result<Swept, LogError> {
        self.0.core.sweep(now)
    }

    /// Makes what was removed before this call unreadable on disk, by rewriting the files that held
    /// it. Costs about as much writing as these files are long, and 64 MB; blocks, others may go on
    /// meanwhile.
    ///
    /// # Errors
    /// `Broken`: not finished; what was removed may still be on disk.
    pub fn compact(&self, scope: Scope) -> Result<(), LogError> {
        self.0.core.compact(scope)
    }

    /// When the last compaction that was finished began: what compacted topics had removed before
    /// that is on no disk. Survives restarts; absent: there was none.
    ///
    /// # Errors
    /// `Broken`: the store cannot be read.
    pub fn compacted_at(&self) -> Result<Option<Timestamp>, LogError> {
        self.0.core.compacted_at()
    }

    fn create_all(&self) -> Result<(), LogError> {
        let core = &self.0.core;
        let partitions = core.settings.partitions;
        if partitions == 0 {
            return Ok(());
        }
        let known = core.state.lock().topics.clone();
        let missing = Topic::all().into_iter().filter(|topic| !known.contains_key(topic));
        core.apply(&missing.collect::<Vec<_>>(), partitions, &[])
    }
}

impl Log for EmbeddedLog {
    fn join(&self, seat: &Seat) -> Result<Box<dyn Member>, LogError> {
        Ok(Box::new(EmbeddedMember::join(Arc::clone(&self.0), seat)?))
    }

    fn reader(&self, topics: &[Topic], start: &Start) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(EmbeddedReader::open(Arc::clone(&self.0), topics, start)?))
    }

    fn appender(&self) -> Result<Arc<dyn Appender>, LogError> {
        Ok(Arc::new(EmbeddedAppender { log: Arc::clone(&self.0) }))
    }

    fn writer(&self, name: &str) -> Result<Box<dyn Writer>, LogError> {
        Ok(Box::new(EmbeddedWriter::open(Arc::clone(&self.0), name)))
    }

    fn apply(&self, topics: &[Topic], partitions: u32, groups: &[Seat]) -> Result<(), LogError> {
        self.0.core.apply(topics, partitions, groups)
    }

    fn partitions(&self, topic: Topic) -> Result<u32, LogError> {
        Ok(self.0.core.state.lock().topic(topic)?.partitions())
    }

    fn end(&self, at: TopicPartition) -> Result<u64, LogError> {
        let state = self.0.core.state.lock();
        state.topic(at.topic)?;
        Ok(state.bounds(at).end)
    }

    fn behind(&self, seat: &Seat) -> Result<u64, LogError> {
        let state = self.0.core.state.lock();
        let mut behind = 0;
        for topic in &seat.topics {
            for partition in 0..state.topic(*topic)?.partitions() {
                let at = TopicPartition { topic: *topic, partition };
                let bounds = state.bounds(at);
                let next = state.committed(&seat.group, at).unwrap_or(bounds.start);
                behind += bounds.end.saturating_sub(next);
            }
        }
        Ok(behind)
    }
}

/// A log and the thread that writes it; the last one to let go closes both.
struct Running {
    core: Arc<Core>,
    committer: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.core.close();
        if let Some(committer) = self.committer.take()
            && committer.join().is_err()
        {
            tracing::error!("the thread that writes the log ended in a panic");
        }
    }
}

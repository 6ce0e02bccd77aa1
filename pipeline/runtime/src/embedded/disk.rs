//! The store on disk: `fjall`, named in this file alone.
//!
//! Three trees share one journal, so a batch over all of them is one write and one sync. Nothing is
//! compressed: records are sealed, so it would not help, and what is on disk can be searched for
//! what must not be there.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use fjall::config::CompressionPolicy;
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use parking_lot::Mutex;

use super::keys::kind;
use super::store::{Batch, Scope, Store, StoreError, Visit};
use crate::log::LogError;

const MIB: u64 = 1024 * 1024;
/// `fjall` changes to a new journal file once the present one is longer than this.
const JOURNAL_TURN: u64 = 64_000_000;
/// How often a finished flush is looked for, and how often at most.
const FLUSH_LOOK: Duration = Duration::from_millis(2);
const FLUSH_LOOKS: u32 = 30_000;

pub(super) struct DiskStore {
    database: Database,
    /// Records kept for a time: long, written and read in order, removed in order.
    retained: Keyspace,
    /// Compacted records and their indexes: small, and what erasure must reach.
    compacted: Keyspace,
    /// Topics, bounds, committed offsets.
    meta: Keyspace,
    /// One compaction at a time; counts them.
    compactions: Mutex<u64>,
}

impl DiskStore {
    /// Opens the store in `folder`, creating it where there is none.
    ///
    /// # Errors
    /// `Broken`: another process holds it, or it cannot be read.
    pub fn open(folder: &Path) -> Result<Self, LogError> {
        let opened = Database::builder(folder)
            .journal_compression(CompressionType::None)
            .max_journaling_size(256 * MIB)
            .open();
        let database = opened.map_err(|error| {
            let folder = folder.display();
            LogError::Broken(if matches!(error, fjall::Error::Locked) {
                let advice = "stop it, or name another folder";
                format!("the log in {folder} is used by another process: {advice}")
            } else {
                format!("the log in {folder} cannot be opened: {}", store_error(&error))
            })
        })?;
        let tree = |name, memory| {
            let created = database.keyspace(name, || {
                KeyspaceCreateOptions::default()
                    .max_memtable_size(memory)
                    .data_block_compression_policy(CompressionPolicy::disabled())
                    .index_block_compression_policy(CompressionPolicy::disabled())
            });
            created.map_err(|error| LogError::from(store_error(&error)))
        };
        let retained = tree("retained", 64 * MIB)?;
        let compacted = tree("compacted", 16 * MIB)?;
        let meta = tree("meta", 8 * MIB)?;
        Ok(Self { database, retained, compacted, meta, compactions: Mutex::new(0) })
    }

    fn tree(&self, key: &[u8]) -> &Keyspace {
        match key.first().copied() {
            Some(kind::RETAINED) => &self.retained,
            Some(kind::COMPACTED | kind::NEWEST | kind::TOMBSTONE) => &self.compacted,
            Some(_) | None => &self.meta,
        }
    }

    fn trees(&self) -> [&Keyspace; 3] {
        [&self.retained, &self.compacted, &self.meta]
    }

    /// Fills the journal with zeros until the next flush must begin a new file: the old one holds
    /// what was removed, and goes only as a whole.
    fn fill_journal(&self) -> Result<(), fjall::Error> {
        let filler = self
            .database
            .keyspace("filler", || KeyspaceCreateOptions::default().max_memtable_size(u64::MAX))?;
        let piece = vec![0; 4 * MIB as usize];
        for number in 0..=JOURNAL_TURN / (4 * MIB) {
            filler.insert(number.to_be_bytes(), &piece[..])?;
        }
        self.database.persist(PersistMode::SyncAll)?;
        self.database.delete_keyspace(filler)
    }

    /// Writes every tree's memory to its files. What is old enough then leaves the journal's list.
    fn flush(&self, round: u64) -> Result<(), StoreError> {
        for tree in self.trees() {
            // Something to flush, so that every tree passes the journal's marks.
            tree.insert([0], round.to_be_bytes()).map_err(|e| store_error(&e))?;
        }
        for tree in self.trees() {
            tree.rotate_memtable().map_err(|e| store_error(&e))?;
        }
        let mut looks = 0;
        while self.trees().iter().any(|tree| tree.sealed_memtable_count() > 0) {
            looks += 1;
            if looks > FLUSH_LOOKS {
                return Err(StoreError::Failed(
                    "the store does not finish writing its memory".into(),
                ));
            }
            // The store tells nobody when a flush is done: look now and then, only here.
            std::thread::park_timeout(FLUSH_LOOK);
        }
        Ok(())
    }
}

impl Store for DiskStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.tree(key).get(key).map_err(|e| store_error(&e))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn scan(&self, from: &[u8], until: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        if from >= until {
            return Ok(());
        }
        for pair in self.tree(from).range(from..until) {
            let (key, value) = pair.into_inner().map_err(|e| store_error(&e))?;
            if let ControlFlow::Break(()) = visit(&key, &value) {
                break;
            }
        }
        Ok(())
    }

    fn apply(&self, batch: Batch, durable: bool) -> Result<(), StoreError> {
        let mode = if durable { PersistMode::SyncAll } else { PersistMode::Buffer };
        let mut writes = self.database.batch().durability(Some(mode));
        for (key, value) in batch {
            let tree = self.tree(&key);
            match value {
                Some(value) => writes.insert(tree, key, value),
                None => writes.remove(tree, key),
            }
        }
        writes.commit().map_err(|e| store_error(&e))
    }

    fn compact(&self, scope: Scope) -> Result<(), StoreError> {
        let mut compactions = self.compactions.lock();
        // Rounds: the first turns the journal and rewrites the trees; the next ones let go of the
        // old journal and of the tables that only former versions of the trees still named.
        for round in 0..3 {
            if round == 0 {
                self.fill_journal().map_err(|e| store_error(&e))?;
            }
            *compactions += 1;
            self.flush(*compactions)?;
            let rewritten: &[&Keyspace] = match scope {
                Scope::Compacted => &[&self.compacted, &self.meta],
                Scope::Everything => &self.trees(),
            };
            for tree in rewritten {
                tree.major_compact().map_err(|e| store_error(&e))?;
            }
        }
        Ok(())
    }
}

/// The cause in an operator's words; `fjall`'s own text is a debug print that may hold keys.
#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum that may grow")]
fn store_error(error: &fjall::Error) -> StoreError {
    StoreError::Failed(match error {
        fjall::Error::Io(error) => format!("the disk: {error}"),
        fjall::Error::Storage(fjall::LsmError::Io(error)) => format!("the disk: {error}"),
        // Said before anything is written.
        fjall::Error::Poisoned => {
            let why = "an earlier write failed (full or faulty disk?): free space, then restart";
            return StoreError::Refused(why.into());
        }
        fjall::Error::JournalRecovery(error) => format!("the journal is damaged: {error:?}"),
        fjall::Error::InvalidVersion(version) => format!("written by another version: {version:?}"),
        _ => "the files are damaged, or were written by another version".into(),
    })
}

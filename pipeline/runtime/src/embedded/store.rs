//! The seam under the embedded log: a small ordered store, in memory or on disk.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use parking_lot::RwLock;

use crate::log::LogError;

/// Changes that take effect together; a later one for the same key replaces an earlier one.
/// `None` removes.
pub(super) type Batch = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// The store could not do it. The text names the cause for an operator, never a key or a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum StoreError {
    /// Nothing was written.
    #[error("{0}")]
    Refused(String),
    /// Whether it will be found after a restart is not known.
    #[error("{0}")]
    Failed(String),
}

impl From<StoreError> for LogError {
    fn from(error: StoreError) -> Self {
        Self::Broken(error.to_string())
    }
}

/// Which files a compaction rewrites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those of compacted topics: short, and all that an erasure must reach, for what the others hold
    /// is sealed by keys that lie here.
    Compacted,
    /// All of them.
    Everything,
}

/// Takes one pair of a scan and says whether the next one is wanted.
pub(super) type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Keys in byte order.
pub(super) trait Store: Send + Sync {
    /// The value of `key`.
    ///
    /// # Errors
    /// Reading failed.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Shows the pairs of `from` (included) to `until` (excluded) in order, until `visit` breaks.
    ///
    /// # Errors
    /// Reading failed.
    fn scan(&self, from: &[u8], until: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError>;

    /// All of `batch`, or nothing; where `durable`, back only once it is on disk. Nobody reads a
    /// part of it, nor any of it before it is durable.
    ///
    /// # Errors
    /// Nothing of it can be read in this process; after a restart it is there in full or not at
    /// all.
    fn apply(&self, batch: Batch, durable: bool) -> Result<(), StoreError>;

    /// Makes what was removed before this call unreadable to whoever holds the disk's files.
    ///
    /// # Errors
    /// Not finished; call it again.
    fn compact(&self, scope: Scope) -> Result<(), StoreError>;
}

/// Everything in one tree of this process.
#[derive(Default)]
pub(super) struct MemoryStore {
    pairs: RwLock<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Store for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.pairs.read().get(key).cloned())
    }

    fn scan(&self, from: &[u8], until: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        if from >= until {
            return Ok(());
        }
        let pairs = self.pairs.read();
        for (key, value) in pairs.range::<[u8], _>((Bound::Included(from), Bound::Excluded(until)))
        {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn apply(&self, batch: Batch, _durable: bool) -> Result<(), StoreError> {
        let mut pairs = self.pairs.write();
        for (key, value) in batch {
            match value {
                Some(value) => pairs.insert(key, value),
                None => pairs.remove(&key),
            };
        }
        Ok(())
    }

    fn compact(&self, _: Scope) -> Result<(), StoreError> {
        Ok(())
    }
}

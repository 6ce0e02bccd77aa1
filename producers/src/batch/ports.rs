//! What batches need of the rest of the system.

use async_trait::async_trait;

/// The store does not serve. Ours: tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreDown;

/// Keeps sealed chunks.
#[async_trait]
pub trait ChunkStore: Send + Sync {
    /// Writes one immutable object, durably.
    ///
    /// # Errors
    /// [`StoreDown`].
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreDown>;

    /// Reads a whole object of that length; nothing where there is none.
    ///
    /// # Errors
    /// [`StoreDown`].
    async fn get(&self, name: &str, length: u64) -> Result<Option<Vec<u8>>, StoreDown>;
}

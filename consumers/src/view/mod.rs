//! What every view of the log has in common: the projector that builds it, and when it may be asked.
//!
//! A view is thrown away and rebuilt at will. Its positions lie in the view itself, moved in one
//! atomic step with the data, so that what it says and how far it has read can never disagree.

use std::collections::BTreeMap;

use async_trait::async_trait;
use runtime::log::{Incoming, Position, Read, TopicPartition};
use schemas::codec::DecodeError;

mod projector;
mod redis;
#[cfg(test)]
pub(crate) mod test_redis;

pub use projector::{Pace, Projector, Stepped, run};
pub(crate) use redis::{GROUPS, Groups, Operation, Routed, asking, position_from, position_text};
pub use redis::{RedisServer, ServerFault, redis_client};

/// Why a view cannot answer. Ours: whoever asked waits and asks again, nobody guesses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// Being built, or flushed and not yet rebuilt.
    #[error("the view is not ready: it has not yet caught up with the log")]
    NotReady,
    /// Its server does not answer.
    #[error("the view's server does not answer: {0}")]
    Down(String),
}

/// The side of a view that the projector writes.
#[async_trait]
pub trait Projection: Send + Sync {
    /// Begins, or goes on where the view stands: the next offset of each partition that it has
    /// applied anything of.
    ///
    /// # Errors
    /// `Down`.
    async fn open(&self) -> Result<Vec<(TopicPartition, u64)>, ViewError>;

    /// Applies `read` and moves the positions, in one atomic step for each slot group. Records that
    /// lie before a position are skipped, so a repeat changes nothing.
    ///
    /// # Errors
    /// `NotReady`: the view is no longer the one that was opened (flushed, replaced); nothing was
    /// applied where that is so, and it must be opened again. `Down`: unknown, repeat the same.
    async fn apply(&self, read: &Read) -> Result<(), ViewError>;

    /// Forgets everything, to be built from the beginning: its positions are no longer in the log, so
    /// what it holds may miss a tombstone.
    ///
    /// # Errors
    /// `Down`.
    async fn restart(&self) -> Result<(), ViewError>;

    /// The log's end has been reached since the view was opened: from now on it may be asked.
    ///
    /// # Errors
    /// As [`Projection::apply`].
    async fn mark_ready(&self) -> Result<(), ViewError>;
}

/// What stops a view at a record that another version wrote: it is neither understood nor passed over.
pub(crate) fn unread(record: &Incoming, error: &DecodeError) -> ViewError {
    let Position { at, offset } = record.position;
    ViewError::Down(format!(
        "{error} ({}/{} at {offset}): update this process, or pin the id in registry_ids; until then \
         the view stands still",
        at.topic, at.partition
    ))
}

/// Next offset of each partition that `read` touches.
pub(crate) fn moves(read: &Read) -> BTreeMap<TopicPartition, u64> {
    let mut next = BTreeMap::new();
    let applied = read.records.iter().map(|r| (r.position.at, r.position.offset + 1));
    for (at, offset) in applied.chain(read.ended.iter().copied()) {
        let known = next.entry(at).or_insert(offset);
        *known = offset.max(*known);
    }
    next
}

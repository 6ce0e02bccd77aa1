//! The status view: what became of each message, found by its id.
//!
//! Promise: a message whose 201 was sent is found once the view has read that far, and until the view
//! has caught up with the log it says so instead of "no such message". What it keeps is bounded in
//! time; nothing in it says more of a citizen than a pseudonym.

use std::time::Duration;

use async_trait::async_trait;
use runtime::log::{Incoming, Position};
use schemas::ids::{MessageId, Timestamp};
use schemas::topics::{Lane, Topic};

use crate::view::ViewError;

mod embedded;
mod entry;
#[cfg(test)]
mod laws;
mod redis;

pub use embedded::EmbeddedStatus;
pub use entry::{Accepted, Entry, News, Place};
pub use redis::RedisStatus;

/// The topics behind the view; the accepted ones, so that a fresh message is found at once.
#[must_use]
pub fn topics() -> Vec<Topic> {
    Lane::ALL.into_iter().map(Topic::Accepted).chain([Topic::Status]).collect()
}

/// What is kept.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// From the first news of a message on.
    pub kept: Duration,
    /// Embedded only: beyond so many messages the oldest are forgotten.
    pub most: usize,
}

impl Default for Retention {
    /// As long as `message.status` itself is kept.
    fn default() -> Self {
        Self { kept: Duration::from_secs(30 * 86_400), most: 1_000_000 }
    }
}

/// What senders and operators ask.
#[async_trait]
pub trait StatusView: Send + Sync {
    /// All that is known of a message now.
    ///
    /// # Errors
    /// [`ViewError`].
    async fn latest(&self, message: MessageId) -> Result<Option<Entry>, ViewError>;

    /// Waits until the message has an event beyond `after` (absent: any event), at most `until`;
    /// then says what is known.
    ///
    /// # Errors
    /// [`ViewError`].
    async fn wait_change(
        &self,
        message: MessageId,
        after: Option<Place>,
        until: Timestamp,
    ) -> Result<Option<Entry>, ViewError>;
}

/// A record that tells nothing: its stage will have set it aside; here it is only said.
fn say_unread(record: &Incoming) {
    let Position { at, offset } = record.position;
    let (topic, partition) = (at.topic, at.partition);
    tracing::error!(%topic, partition, offset, "undecodable record: the status view skips it");
}

//! The directory: what we know of each citizen now, read in one go for a whole batch.
//!
//! Promise: an answer stands on everything that the log said when the view was last caught up, and
//! carries the moment of its reading. While the view is not ready there is no answer. Records of an
//! ended registration are never obeyed; an undecodable record holds its citizen's messages back.

use async_trait::async_trait;
use policy::consent::Citizen;
use runtime::log::{Incoming, Position};
use schemas::ids::{MessageId, Pseudonym, ServiceId, Timestamp};
use schemas::records::{CitizenKeyRecord, MessageStored, Platform, Sealed};
use schemas::topics::Topic;

use crate::view::ViewError;

mod change;
mod dossier;
mod embedded;
mod hints;
#[cfg(test)]
mod laws;
mod redis;

pub use change::{Change, Fact, Part};
pub use dossier::Dossier;
pub use embedded::EmbeddedDirectory;
pub use hints::{Hint, HintId, Hints};
pub use redis::RedisDirectory;

/// The topics behind the directory.
#[must_use]
pub fn topics() -> Vec<Topic> {
    Topic::DIRECTORY.into_iter().chain([Topic::Stored]).collect()
}

/// One citizen with regard to one service, and what is needed to reach them.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The facts that consent is decided on; the sealed address is `profile.email`.
    pub citizen: Citizen,
    /// Of the profile's generation. Absent beside a profile: the key is still on its way (or its
    /// registration is just ending): wait.
    pub key: Option<CitizenKeyRecord>,
    /// Living devices only, in order of installation.
    pub tokens: Vec<DeviceToken>,
}

/// A device's address, sealed under the citizen's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceToken {
    pub installation: String,
    pub platform: Platform,
    pub token: Sealed,
    pub registered_at: Timestamp,
}

/// What stages ask.
#[async_trait]
pub trait Directory: Hints {
    /// One answer for each ask, in their order, and the moment before which nothing of it was read:
    /// the facts are at least as young as that.
    ///
    /// # Errors
    /// [`ViewError`].
    async fn read(
        &self,
        asks: &[(Pseudonym, ServiceId)],
    ) -> Result<(Vec<Found>, Timestamp), ViewError>;

    /// A message in its citizen's inbox; of the present registration only.
    ///
    /// # Errors
    /// [`ViewError`].
    async fn stored(
        &self,
        citizen: Pseudonym,
        message: MessageId,
    ) -> Result<Option<MessageStored>, ViewError>;
}

/// What the citizen's own door asks.
#[async_trait]
pub trait Register: Send + Sync {
    /// All that is known of a citizen, and the ids of all that is stored for them, whatever the
    /// registration.
    ///
    /// # Errors
    /// [`ViewError`].
    async fn dossier(&self, citizen: Pseudonym) -> Result<(Dossier, Vec<MessageId>), ViewError>;

    /// Messages of the present registration, newest first, older than `before`, at most `max`.
    ///
    /// # Errors
    /// [`ViewError`].
    async fn inbox(
        &self,
        citizen: Pseudonym,
        before: Option<MessageId>,
        max: usize,
    ) -> Result<Vec<MessageStored>, ViewError>;

    /// Waits until the view has applied the records at `positions`, all of them `citizen`'s; false
    /// when it has not by `until`.
    ///
    /// # Errors
    /// `Down`. A view that is not ready may still come to apply them.
    async fn wait_applied(
        &self,
        citizen: Pseudonym,
        positions: &[Position],
        until: Timestamp,
    ) -> Result<bool, ViewError>;
}

/// Tells operators that a citizen is held; names the record's place, never the person.
fn say_held(record: &Incoming) {
    let Position { at, offset } = record.position;
    let (topic, partition) = (at.topic, at.partition);
    tracing::error!(%topic, partition, offset, "undecodable record: its citizen's messages wait");
}

fn say_nameless(record: &Incoming) {
    let Position { at, offset } = record.position;
    let (topic, partition) = (at.topic, at.partition);
    tracing::error!(%topic, partition, offset, "undecodable record that names nobody: skipped");
}

//! What the citizen API needs of the rest of the system.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use runtime::log::Position;
use schemas::content::Content;
use schemas::ids::{Generation, MessageId, Pseudonym, ServiceId, Timestamp};
use schemas::records::{
    Activation, CitizenKeyRecord, CitizenProfile, Device, MessageStored, Preference,
};

/// The view is behind, flushed or unreachable: nothing may be concluded from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotReady;

/// All that is known of a citizen; facts of several registrations may be among it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dossier {
    pub profile: Option<CitizenProfile>,
    pub keys: BTreeMap<Generation, CitizenKeyRecord>,
    pub preferences: BTreeMap<ServiceId, Preference>,
    pub activations: BTreeMap<ServiceId, Activation>,
    pub devices: BTreeMap<String, Device>,
    /// Installation → registrations up to this moment are dead.
    pub deaths: BTreeMap<String, Timestamp>,
    /// Services that may send no more email.
    pub unsubscribed: BTreeSet<ServiceId>,
    /// Everything stored for the citizen, whatever the registration.
    pub stored: Vec<MessageId>,
    /// An undecodable record stands in this citizen's way.
    pub held: bool,
}

impl Dossier {
    /// The registration that the profile belongs to.
    #[must_use]
    pub fn generation(&self) -> Option<Generation> {
        self.profile.as_ref().map(|profile| profile.generation)
    }
}

/// The directory, as the citizen's own door sees it.
#[async_trait]
pub trait Citizens: Send + Sync {
    /// # Errors
    /// [`NotReady`].
    async fn dossier(&self, citizen: Pseudonym) -> Result<Dossier, NotReady>;

    /// Messages of the present registration, newest first, older than `before`, at most `max`.
    ///
    /// # Errors
    /// [`NotReady`].
    async fn inbox(
        &self,
        citizen: Pseudonym,
        before: Option<MessageId>,
        max: usize,
    ) -> Result<Vec<MessageStored>, NotReady>;

    /// One message of the present registration.
    ///
    /// # Errors
    /// [`NotReady`].
    async fn stored(
        &self,
        citizen: Pseudonym,
        message: MessageId,
    ) -> Result<Option<MessageStored>, NotReady>;

    /// Waits until every reader of the view sees the citizen's records at `positions`; false if not
    /// by `until`, or if the view cannot be asked.
    async fn wait_applied(
        &self,
        citizen: Pseudonym,
        positions: &[Position],
        until: Timestamp,
    ) -> bool;
}

/// Opens what is stored.
#[async_trait]
pub trait Contents: Send + Sync {
    /// `None`: the object is gone, or nobody can open it any more.
    ///
    /// # Errors
    /// [`NotReady`]: store or view does not answer.
    async fn open(&self, stored: &MessageStored) -> Result<Option<Content>, NotReady>;
}

/// The services that a citizen may have preferences for.
pub trait Services: Send + Sync {
    /// Whether the service goes by activation (IO's category SPECIAL); `None`: no such service.
    fn is_special(&self, service: &ServiceId) -> Option<bool>;
}

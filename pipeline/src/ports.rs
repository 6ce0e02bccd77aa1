//! The producers' ports, served by the consumers' views: the only place that knows both.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use consumers::claims::ClaimView;
use consumers::directory::Directory;
use consumers::keys::Keys;
use consumers::status::{Entry, StatusView};
use consumers::vault::{StoreError, VaultStore};
use policy::admit::projection::Standing;
use policy::claim::Claimed;
use policy::consent::Citizen;
use producers::ingest::accepted_record;
use producers::ingest::ports::{
    Accept, Appended, Claims, Contents, Known, NotReady, Profiles, Statuses,
};
use runtime::log::{AppendError, Appender};
use runtime::world::World;
use schemas::content::Content;
use schemas::headers::Claim;
use schemas::ids::{MessageId, Pseudonym, ServiceId};
use schemas::records::{MessageAccepted, MessageStored, Status};
use sealing::Part;

use crate::accepted::AcceptedContents;

/// Appends accepted messages.
pub struct LogAccept {
    pub appender: Arc<dyn Appender>,
    pub world: World,
}

#[async_trait]
impl Accept for LogAccept {
    async fn append(&self, message: MessageAccepted, claim: Option<Claim>) -> Appended {
        let record = accepted_record(&message, claim, &self.world);
        match self.appender.append(record).await {
            Ok(_) => Appended::Acked,
            Err(AppendError::NotTaken(_)) => Appended::NotTaken,
            // An appender has no name that could be taken.
            Err(AppendError::Unknown(_) | AppendError::Fenced) => Appended::Unknown,
        }
    }
}

/// The status view, as the sender API asks for it.
pub struct ViewStatuses {
    pub view: Arc<dyn StatusView>,
    pub world: World,
}

#[async_trait]
impl Statuses for ViewStatuses {
    async fn standing(&self, id: MessageId, wait: Duration) -> Result<Option<Known>, NotReady> {
        let until = self.world.now().plus(wait);
        let mut entry = self.view.latest(id).await.map_err(|_| NotReady)?;
        loop {
            let known = entry.as_ref().and_then(known);
            let settled = known.as_ref().is_some_and(|k| k.standing.status != Status::Accepted);
            if settled || self.world.now() >= until {
                return Ok(known);
            }
            let place = entry.as_ref().and_then(Entry::place);
            let changed = self.view.wait_change(id, place, until).await;
            entry = changed.map_err(|_| NotReady)?;
        }
    }
}

fn known(entry: &Entry) -> Option<Known> {
    let accepted = entry.accepted.as_ref()?;
    let mut standing = Standing::default();
    entry.timeline().for_each(|event| standing.apply(event));
    Some(Known {
        citizen: accepted.citizen,
        service_id: accepted.service_id.clone(),
        standing,
        place: accepted.position,
    })
}

/// Opens stored content.
pub struct StoredContents {
    pub directory: Arc<dyn Directory>,
    pub store: Arc<dyn VaultStore>,
    pub keys: Keys,
}

impl StoredContents {
    /// The content of a stored message, under its citizen's key; absent where nobody can read it any more.
    ///
    /// # Errors
    /// [`NotReady`] where view or store does not answer.
    pub async fn read(
        &self,
        citizen: Pseudonym,
        stored: &MessageStored,
    ) -> Result<Option<Content>, NotReady> {
        let asks = [(citizen, stored.service_id.clone())];
        let (found, _) = self.directory.read(&asks).await.map_err(|_| NotReady)?;
        let key = found.into_iter().next().and_then(|found| found.key);
        let Some(key) = key.filter(|key| key.generation == stored.generation) else {
            return Ok(None);
        };
        let (offset, length) = (stored.offset.unsigned_abs(), stored.length.unsigned_abs());
        let sealed = match self.store.get(&stored.object, offset, length).await {
            Ok(sealed) => sealed,
            Err(StoreError::Absent) => return Ok(None),
            Err(StoreError::Down(_)) => return Err(NotReady),
        };
        let opened = self.keys.citizen(&key).and_then(|citizen_key| {
            let message_key = citizen_key.recall(stored.message_id, &stored.wrapped_key.0)?;
            message_key.open(Part::Content, stored.message_id, &sealed)
        });
        Ok(opened.ok().and_then(|plain| serde_json::from_slice(&plain).ok()))
    }
}

/// The content of a message wherever it is: on its way, or stored.
pub struct SentContents {
    pub stored: StoredContents,
    pub accepted: AcceptedContents,
    pub world: World,
}

/// STORED and the place of what was stored leave in one transaction, and reach two views one after the
/// other: for so long the second is waited for.
const BEHIND: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[async_trait]
impl Contents for SentContents {
    async fn open(&self, known: &Known, id: MessageId) -> Result<Option<Content>, NotReady> {
        let standing = &known.standing;
        if standing.status == Status::Accepted && !standing.stored {
            return self.accepted.open(id, known.place).await;
        }
        let until = self.world.now().plus(BEHIND);
        loop {
            let directory = &self.stored.directory;
            let stored = directory.stored(known.citizen, id).await.map_err(|_| NotReady)?;
            match stored {
                Some(stored) => return self.stored.read(known.citizen, &stored).await,
                // Erased, or never to be stored.
                None if !standing.stored || self.world.now() >= until => return Ok(None),
                None => self.world.sleep_until(self.world.now().plus(LOOK_EVERY)).await,
            }
        }
    }
}

/// The directory, as getProfile asks for it.
pub struct DirectoryProfiles(pub Arc<dyn Directory>);

#[async_trait]
impl Profiles for DirectoryProfiles {
    async fn citizen(&self, citizen: Pseudonym, service: &ServiceId) -> Result<Citizen, NotReady> {
        let asks = [(citizen, service.clone())];
        let (found, _) = self.0.read(&asks).await.map_err(|_| NotReady)?;
        // Of a held citizen nobody knows what they chose.
        let citizen = found.into_iter().next().map(|found| found.citizen);
        citizen.filter(|citizen| !citizen.held).ok_or(NotReady)
    }
}

/// The view of claims, as the sender API claims from it.
pub struct ViewClaims(pub Arc<dyn ClaimView>);

#[async_trait]
impl Claims for ViewClaims {
    async fn claim(&self, claim: &Claim, offered: MessageId) -> Result<Claimed, NotReady> {
        self.0.claim(claim, offered).await.map_err(|_| NotReady)
    }
}

#[cfg(test)]
mod tests {
    use consumers::status::{Accepted, Place};
    use consumers::view::ViewError;
    use runtime::log::{Position, TopicPartition};
    use schemas::codec::Codec;
    use schemas::ids::Timestamp;
    use schemas::topics::{Lane, Topic};

    use super::*;

    /// A view that reads an acceptance only while it is waited for.
    struct Behind(Entry);

    #[async_trait]
    impl StatusView for Behind {
        async fn latest(&self, _: MessageId) -> Result<Option<Entry>, ViewError> {
            Ok(None)
        }
        async fn wait_change(
            &self,
            _: MessageId,
            after: Option<Place>,
            until: Timestamp,
        ) -> Result<Option<Entry>, ViewError> {
            assert!(after.is_none() && until > Timestamp(0));
            Ok(Some(self.0.clone()))
        }
    }

    #[tokio::test]
    async fn a_message_that_the_view_has_not_reached_is_waited_for() {
        let at = TopicPartition { topic: Topic::Accepted(Lane::Live), partition: 0 };
        let accepted = Accepted {
            service_id: ServiceId::from("s"),
            citizen: Pseudonym([1; 16]),
            lane: Lane::Live,
            accepted_at: Timestamp(1),
            expires_at: Timestamp(2),
            position: Position { at, offset: 0 },
        };
        let mut entry = Entry::default();
        entry.accepted = Some(accepted);
        let view = Arc::new(Behind(entry));
        let world = World::real(tokio::runtime::Handle::current(), Codec::default(), 1.0);
        let statuses = ViewStatuses { view, world };
        let id = MessageId::from_parts(1, 1);
        assert!(statuses.standing(id, Duration::ZERO).await == Ok(None), "without a wait");
        let known = statuses.standing(id, Duration::from_millis(30)).await;
        assert!(known.is_ok_and(|known| known.is_some()));
    }
}

//! The directory held in this process: rebuilt from the log at each start, gone with the process.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use runtime::log::{Incoming, Position, Read, TopicPartition};
use runtime::world::World;
use schemas::ids::{MessageId, Pseudonym, ServiceId, Timestamp};
use schemas::records::MessageStored;
use tokio::sync::watch;

use super::change::changes;
use super::hints::{Held, Hint, HintId, Hints};
use super::{Change, Directory, Dossier, Fact, Found, Register};
use crate::view::{Projection, ViewError, moves};

/// One process's own directory.
pub struct EmbeddedDirectory {
    world: World,
    state: RwLock<State>,
    hints: Mutex<Held>,
    /// Bumped after each step of the projector.
    moved: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    people: HashMap<Pseudonym, Person>,
    /// Whose message it is: a tombstone of `message.stored` names no citizen.
    owners: HashMap<MessageId, Pseudonym>,
    next: BTreeMap<TopicPartition, u64>,
    ready: bool,
}

#[derive(Default)]
struct Person {
    dossier: Dossier,
    stored: BTreeMap<MessageId, MessageStored>,
}

impl EmbeddedDirectory {
    #[must_use]
    pub fn new(world: World) -> Self {
        Self {
            world,
            state: RwLock::default(),
            hints: Mutex::default(),
            moved: watch::Sender::new(0),
        }
    }

    fn ready(&self) -> Result<parking_lot::RwLockReadGuard<'_, State>, ViewError> {
        let state = self.state.read();
        if state.ready { Ok(state) } else { Err(ViewError::NotReady) }
    }
}

impl State {
    fn apply(&mut self, record: &Incoming, change: Change) {
        match &change {
            Change::Put(citizen, fact) => {
                let person = self.people.entry(*citizen).or_default();
                if let Fact::Erased(erased) = fact {
                    person.stored.retain(|_, it| it.generation != erased.generation);
                }
                person.dossier.apply(change);
            }
            Change::Remove(citizen, _) => {
                if let Some(person) = self.people.get_mut(citizen) {
                    person.dossier.apply(change);
                }
            }
            Change::Held(citizen, _) => {
                super::say_held(record);
                self.people.entry(*citizen).or_default().dossier.apply(change);
            }
            Change::Stored(stored) => {
                let person = self.people.entry(stored.citizen).or_default();
                if !person.dossier.erased.contains(&stored.generation) {
                    self.owners.insert(stored.message_id, stored.citizen);
                    person.stored.insert(stored.message_id, stored.clone());
                }
            }
            Change::Unstored(message) => {
                let owner = self.owners.remove(message);
                if let Some(person) = owner.and_then(|owner| self.people.get_mut(&owner)) {
                    person.stored.remove(message);
                }
            }
            Change::Nameless => super::say_nameless(record),
            Change::Unread(_) => {}
        }
    }

    fn has_applied(&self, positions: &[Position]) -> bool {
        positions
            .iter()
            .all(|position| self.next.get(&position.at).is_some_and(|next| *next > position.offset))
    }
}

impl Person {
    /// Newest first.
    fn inbox(&self, before: Option<MessageId>) -> impl Iterator<Item = &MessageStored> {
        let present = self.dossier.generation();
        let older = move |id: MessageId| before.is_none_or(|before| id < before);
        self.stored
            .values()
            .rev()
            .filter(move |it| older(it.message_id) && Some(it.generation) == present)
    }
}

#[async_trait]
impl Projection for EmbeddedDirectory {
    async fn open(&self) -> Result<Vec<(TopicPartition, u64)>, ViewError> {
        Ok(self.state.read().next.iter().map(|(at, next)| (*at, *next)).collect())
    }

    async fn apply(&self, read: &Read) -> Result<(), ViewError> {
        let moves = moves(read);
        if moves.is_empty() {
            return Ok(());
        }
        let all = changes(&read.records, &self.world.codec)?;
        {
            let mut state = self.state.write();
            for (record, change) in read.records.iter().zip(all) {
                let Position { at, offset } = record.position;
                if state.next.get(&at).is_none_or(|next| offset >= *next) {
                    state.apply(record, change);
                }
            }
            for (at, offset) in moves {
                let next = state.next.entry(at).or_default();
                *next = offset.max(*next);
            }
        }
        self.moved.send_modify(|step| *step += 1);
        Ok(())
    }

    async fn restart(&self) -> Result<(), ViewError> {
        *self.state.write() = State::default();
        Ok(())
    }

    async fn mark_ready(&self) -> Result<(), ViewError> {
        self.state.write().ready = true;
        Ok(())
    }
}

#[async_trait]
impl Directory for EmbeddedDirectory {
    async fn read(
        &self,
        asks: &[(Pseudonym, ServiceId)],
    ) -> Result<(Vec<Found>, Timestamp), ViewError> {
        let read_at = self.world.now();
        let state = self.ready()?;
        let found = asks
            .iter()
            .map(|(citizen, service)| {
                state.people.get(citizen).map(|it| it.dossier.found(service)).unwrap_or_default()
            })
            .collect();
        Ok((found, read_at))
    }

    async fn stored(
        &self,
        citizen: Pseudonym,
        message: MessageId,
    ) -> Result<Option<MessageStored>, ViewError> {
        let state = self.ready()?;
        Ok(state.people.get(&citizen).and_then(|person| {
            let present = person.dossier.generation();
            person.stored.get(&message).filter(|it| Some(it.generation) == present).cloned()
        }))
    }
}

#[async_trait]
impl Hints for EmbeddedDirectory {
    async fn leave(&self, id: &HintId, hint: &Hint) -> Result<(), ViewError> {
        self.hints.lock().leave(id, hint, self.world.now());
        Ok(())
    }

    async fn found(&self, ids: &[HintId]) -> Result<Vec<Option<Hint>>, ViewError> {
        let (mut hints, now) = (self.hints.lock(), self.world.now());
        Ok(ids.iter().map(|id| hints.found(id, now)).collect())
    }
}

#[async_trait]
impl Register for EmbeddedDirectory {
    async fn dossier(&self, citizen: Pseudonym) -> Result<(Dossier, Vec<MessageId>), ViewError> {
        let state = self.ready()?;
        Ok(state.people.get(&citizen).map_or_else(Default::default, |person| {
            (person.dossier.clone(), person.stored.keys().copied().collect())
        }))
    }

    async fn inbox(
        &self,
        citizen: Pseudonym,
        before: Option<MessageId>,
        max: usize,
    ) -> Result<Vec<MessageStored>, ViewError> {
        let state = self.ready()?;
        let person = state.people.get(&citizen);
        Ok(person.map_or_else(Vec::new, |it| it.inbox(before).take(max).cloned().collect()))
    }

    async fn wait_applied(
        &self,
        _citizen: Pseudonym,
        positions: &[Position],
        until: Timestamp,
    ) -> Result<bool, ViewError> {
        let mut moved = self.moved.subscribe();
        loop {
            moved.borrow_and_update();
            if self.state.read().has_applied(positions) {
                return Ok(true);
            }
            if self.world.now() >= until {
                return Ok(false);
            }
            tokio::select! {
                _ = moved.changed() => {}
                () = self.world.sleep_until(until) => {}
            }
        }
    }
}

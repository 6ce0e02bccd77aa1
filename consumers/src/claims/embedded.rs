//! The view of claims held in this process: rebuilt from the log at each start.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use policy::claim::{Claimed, Held, judge};
use runtime::log::{Position, Read, TopicPartition};
use runtime::world::World;
use schemas::headers::Claim;
use schemas::ids::{MessageId, Timestamp};

use super::{ClaimView, Sighting};
use crate::view::{Projection, ViewError, moves};

/// Beyond so many claims nothing more is taken under an `Idempotency-Key`: about 150 MB.
const MOST: usize = 1_000_000;

/// One process's own view of claims.
pub struct EmbeddedClaims {
    world: World,
    kept: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: HashMap<[u8; 32], Entry>,
    /// In order of their first news.
    order: VecDeque<(Timestamp, [u8; 32])>,
    next: BTreeMap<TopicPartition, u64>,
    ready: bool,
}

#[derive(Clone, Copy)]
struct Entry {
    request: [u8; 32],
    id: MessageId,
    first: Option<Position>,
}

impl EmbeddedClaims {
    #[must_use]
    pub fn new(world: World, kept: Duration) -> Self {
        Self { world, kept, state: Mutex::default() }
    }
}

impl State {
    fn entry(&mut self, claim: &Claim, id: MessageId, at: Timestamp) -> &mut Entry {
        let order = &mut self.order;
        self.entries.entry(claim.name).or_insert_with(|| {
            order.push_back((at, claim.name));
            Entry { request: claim.request, id, first: None }
        })
    }

    fn see(&mut self, it: &Sighting, at: Timestamp) -> Option<(MessageId, Position)> {
        let entry = self.entry(&it.claim, it.id, at);
        let first = *entry.first.get_or_insert(it.position);
        Some((entry.id, first))
    }

    fn forget(&mut self, kept: Duration, now: Timestamp) {
        while let Some((at, name)) = self.order.front().copied() {
            if now.since(at) <= kept {
                break;
            }
            self.order.pop_front();
            self.entries.remove(&name);
        }
    }

    fn ready(&mut self) -> Result<&mut Self, ViewError> {
        if self.ready { Ok(self) } else { Err(ViewError::NotReady) }
    }
}

#[async_trait]
impl Projection for EmbeddedClaims {
    async fn open(&self) -> Result<Vec<(TopicPartition, u64)>, ViewError> {
        Ok(self.state.lock().next.iter().map(|(at, next)| (*at, *next)).collect())
    }

    async fn apply(&self, read: &Read) -> Result<(), ViewError> {
        let mut state = self.state.lock();
        for record in &read.records {
            if let Some(sighting) = Sighting::read(record) {
                state.see(&sighting, record.appended_at);
            }
        }
        for (at, offset) in moves(read) {
            let next = state.next.entry(at).or_default();
            *next = offset.max(*next);
        }
        state.forget(self.kept, self.world.now());
        Ok(())
    }

    async fn restart(&self) -> Result<(), ViewError> {
        *self.state.lock() = State::default();
        Ok(())
    }

    async fn mark_ready(&self) -> Result<(), ViewError> {
        self.state.lock().ready = true;
        Ok(())
    }
}

#[async_trait]
impl ClaimView for EmbeddedClaims {
    async fn claim(&self, claim: &Claim, offered: MessageId) -> Result<Claimed, ViewError> {
        let now = self.world.now();
        let mut state = self.state.lock();
        state.forget(self.kept, now);
        let state = state.ready()?;
        let held = state.entries.get(&claim.name).map(|it| Held {
            request: it.request,
            id: it.id,
            is_in_log: it.first.is_some(),
        });
        if held.is_none() {
            if state.entries.len() >= MOST {
                return Err(ViewError::Down("too many claims for one process".to_owned()));
            }
            state.entry(claim, offered, now);
        }
        Ok(judge(claim, held))
    }

    async fn first(
        &self,
        sightings: &[Sighting],
    ) -> Result<Vec<Option<(MessageId, Position)>>, ViewError> {
        let now = self.world.now();
        let mut state = self.state.lock();
        state.forget(self.kept, now);
        let state = state.ready()?;
        Ok(sightings.iter().map(|it| state.see(it, now)).collect())
    }
}

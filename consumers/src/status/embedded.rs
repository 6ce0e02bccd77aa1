//! The status view held in this process: rebuilt from the log at each start.

use std::collections::{BTreeMap, HashMap, VecDeque};

use async_trait::async_trait;
use parking_lot::RwLock;
use runtime::log::{Read, TopicPartition};
use runtime::world::World;
use schemas::ids::{MessageId, Timestamp};
use tokio::sync::watch;

use super::{Entry, News, Place, Retention, StatusView};
use crate::view::{Projection, ViewError, moves};

/// One process's own status view.
pub struct EmbeddedStatus {
    world: World,
    retention: Retention,
    state: RwLock<State>,
    /// Bumped after each step of the projector.
    moved: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    entries: HashMap<MessageId, Entry>,
    /// In order of their first news.
    order: VecDeque<(Timestamp, MessageId)>,
    next: BTreeMap<TopicPartition, u64>,
    ready: bool,
}

impl EmbeddedStatus {
    #[must_use]
    pub fn new(world: World, retention: Retention) -> Self {
        Self { world, retention, state: RwLock::default(), moved: watch::Sender::new(0) }
    }
}

impl State {
    fn take(&mut self, message: MessageId, news: News, at: Timestamp) {
        let order = &mut self.order;
        let entry = self.entries.entry(message).or_insert_with(|| {
            order.push_back((at, message));
            Entry::default()
        });
        entry.take(news);
    }

    fn forget(&mut self, retention: Retention, now: Timestamp) {
        while let Some((at, message)) = self.order.front().copied() {
            if now.since(at) <= retention.kept && self.order.len() <= retention.most {
                break;
            }
            self.order.pop_front();
            self.entries.remove(&message);
        }
    }
}

#[async_trait]
impl Projection for EmbeddedStatus {
    async fn open(&self) -> Result<Vec<(TopicPartition, u64)>, ViewError> {
        Ok(self.state.read().next.iter().map(|(at, next)| (*at, *next)).collect())
    }

    async fn apply(&self, read: &Read) -> Result<(), ViewError> {
        let moves = moves(read);
        if moves.is_empty() {
            return Ok(());
        }
        let news = read.records.iter().map(|record| News::read(record, &self.world.codec));
        let news = news.collect::<Result<Vec<_>, _>>()?;
        {
            let mut state = self.state.write();
            for (record, news) in read.records.iter().zip(news) {
                match news {
                    Some((message, news)) => state.take(message, news, record.appended_at),
                    None => super::say_unread(record),
                }
            }
            for (at, offset) in moves {
                let next = state.next.entry(at).or_default();
                *next = offset.max(*next);
            }
            state.forget(self.retention, self.world.now());
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
impl StatusView for EmbeddedStatus {
    async fn latest(&self, message: MessageId) -> Result<Option<Entry>, ViewError> {
        let state = self.state.read();
        if !state.ready {
            return Err(ViewError::NotReady);
        }
        Ok(state.entries.get(&message).cloned())
    }

    async fn wait_change(
        &self,
        message: MessageId,
        after: Option<Place>,
        until: Timestamp,
    ) -> Result<Option<Entry>, ViewError> {
        let mut moved = self.moved.subscribe();
        loop {
            moved.borrow_and_update();
            let entry = self.latest(message).await?;
            let changed = entry.as_ref().is_some_and(|entry| entry.place() > after);
            if changed || self.world.now() >= until {
                return Ok(entry);
            }
            tokio::select! {
                _ = moved.changed() => {}
                () = self.world.sleep_until(until) => {}
            }
        }
    }
}

//! The status view on Redis: one hash a message, which expires with its time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Value;
use runtime::log::{Incoming, Position, Read, TopicPartition};
use runtime::world::World;
use schemas::codec::Codec;
use schemas::ids::{MessageId, Pseudonym, ServiceId, Timestamp};
use schemas::topics::{Lane, Topic};
use serde::{Deserialize, Serialize};

use super::{Accepted, Entry, News, Place, Retention, StatusView};
use crate::view::{GROUPS, Groups, Operation, Projection, RedisServer, Routed, ViewError, moves};

/// A status view that several processes may share.
pub struct RedisStatus {
    groups: Groups,
    world: World,
    retention: Retention,
}

impl RedisStatus {
    /// `name` begins every key: two views or installations on one server need two.
    #[must_use]
    pub fn new(server: Arc<RedisServer>, name: &str, world: World, retention: Retention) -> Self {
        let operations = include_str!("operations.lua");
        let groups = Groups::new(server, name, world.clone(), operations);
        Self { groups, world, retention }
    }

    /// What a record does; nothing once its message's time is over.
    fn operation(&self, record: &Incoming) -> Result<Option<Routed>, ViewError> {
        let Some((message, news)) = News::read(record, &self.world.codec)? else {
            super::say_unread(record);
            return Ok(None);
        };
        let over = record.appended_at.plus(self.retention.kept);
        let life = over.since(self.world.now());
        if life.is_zero() {
            return Ok(None);
        }
        let (kind, field, value) = match news {
            News::Accepted(accepted) => {
                let facts = serde_json::to_vec(&Facts::of(&accepted)).unwrap_or_default();
                ("accepted", "a".to_owned(), facts)
            }
            News::Event(event) => {
                let ranked = policy::status::rank(event.status).is_some();
                let class = if ranked { 'r' } else { 'e' };
                let field = format!("{class}:{:010}:{:010}", event.epoch, event.sequence);
                ("event", field, record.value.clone().unwrap_or_default())
            }
        };
        let operation = Operation {
            kind,
            position: record.position,
            id: message.to_string(),
            field: field.into_bytes(),
            extra: life.as_millis().to_string().into_bytes(),
            value,
        };
        Ok(Some((Some(group(message)), operation)))
    }
}

fn group(message: MessageId) -> usize {
    usize::from(message.to_bytes()[15]) % GROUPS
}

/// An acceptance as it lies in the hash.
#[derive(Serialize, Deserialize)]
struct Facts {
    service_id: ServiceId,
    citizen: Pseudonym,
    lane: Lane,
    accepted_at: Timestamp,
    expires_at: Timestamp,
    topic: String,
    partition: u32,
    offset: u64,
}

impl Facts {
    fn of(it: &Accepted) -> Self {
        let Position { at, offset } = it.position;
        Self {
            service_id: it.service_id.clone(),
            citizen: it.citizen,
            lane: it.lane,
            accepted_at: it.accepted_at,
            expires_at: it.expires_at,
            topic: at.topic.name().to_owned(),
            partition: at.partition,
            offset,
        }
    }

    fn accepted(self) -> Option<Accepted> {
        let at = TopicPartition { topic: Topic::named(&self.topic)?, partition: self.partition };
        Some(Accepted {
            service_id: self.service_id,
            citizen: self.citizen,
            lane: self.lane,
            accepted_at: self.accepted_at,
            expires_at: self.expires_at,
            position: Position { at, offset: self.offset },
        })
    }
}

fn entry(fields: &[(String, Vec<u8>)], codec: &Codec) -> Option<Entry> {
    let mut entry = Entry::default();
    for (name, value) in fields {
        let news = if name == "a" {
            let facts: Option<Facts> = serde_json::from_slice(value).ok();
            facts.and_then(Facts::accepted).map(News::Accepted)
        } else {
            codec.decode(value).ok().map(News::Event)
        };
        news.into_iter().for_each(|news| entry.take(news));
    }
    (entry != Entry::default()).then_some(entry)
}

#[async_trait]
impl Projection for RedisStatus {
    async fn open(&self) -> Result<Vec<(TopicPartition, u64)>, ViewError> {
        self.groups.open().await
    }

    async fn apply(&self, read: &Read) -> Result<(), ViewError> {
        let operations = read.records.iter().map(|record| self.operation(record));
        let operations = operations.collect::<Result<Vec<_>, _>>()?;
        let operations: Vec<_> = operations.into_iter().flatten().collect();
        self.groups.apply(&moves(read), &operations).await
    }

    async fn restart(&self) -> Result<(), ViewError> {
        self.groups.restart().await
    }

    async fn mark_ready(&self) -> Result<(), ViewError> {
        self.groups.mark_ready().await
    }
}

#[async_trait]
impl StatusView for RedisStatus {
    async fn latest(&self, message: MessageId) -> Result<Option<Entry>, ViewError> {
        let ask = |pipe: &mut redis::Pipeline, base: &str| {
            pipe.cmd("HGETALL").arg(format!("{base}m:{message}"));
        };
        let values = self.groups.ask(group(message), ask).await?;
        let fields = values.into_iter().next().unwrap_or(Value::Nil);
        let fields: Vec<(String, Vec<u8>)> = self.groups.read(fields)?;
        Ok(entry(&fields, &self.world.codec))
    }

    async fn wait_change(
        &self,
        message: MessageId,
        after: Option<Place>,
        until: Timestamp,
    ) -> Result<Option<Entry>, ViewError> {
        let mut pause = Duration::from_millis(10);
        loop {
            let entry = self.latest(message).await?;
            let changed = entry.as_ref().is_some_and(|entry| entry.place() > after);
            let now = self.world.now();
            if changed || now >= until {
                return Ok(entry);
            }
            self.world.sleep_until(now.plus(pause).min(until)).await;
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }
}

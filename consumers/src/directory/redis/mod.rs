//! The directory on Redis: shared by all processes, rebuilt from the log whenever it is lost.

mod hints;
mod layout;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::try_join_all;
use redis::{Pipeline, Value};
use runtime::log::{Position, Read, TopicPartition};
use runtime::world::World;
use schemas::codec::Codec;
use schemas::ids::{Generation, MessageId, Pseudonym, ServiceId, Timestamp};
use schemas::records::MessageStored;

use super::change::changes;
use super::{Change, Directory, Dossier, Found, Register};
use crate::view::{GROUPS, Groups, Projection, RedisServer, ViewError, moves};

/// A directory that several processes may share.
pub struct RedisDirectory {
    groups: Groups,
    world: World,
}

impl RedisDirectory {
    /// `name` begins every key: two installations on one server need two.
    #[must_use]
    pub fn new(server: Arc<RedisServer>, name: &str, world: World) -> Self {
        let operations = include_str!("operations.lua");
        let groups = Groups::new(server, name, world.clone(), operations);
        Self { groups, world }
    }

    /// Asks the group of one citizen for some of their keys.
    async fn ask_one(
        &self,
        citizen: Pseudonym,
        ask: impl Fn(&mut Pipeline, &str),
    ) -> Result<std::vec::IntoIter<Value>, ViewError> {
        Ok(self.groups.ask(group(citizen), ask).await?.into_iter())
    }

    fn hash(&self, value: Option<Value>) -> Result<layout::Hash, ViewError> {
        self.groups.read(value.unwrap_or(Value::Nil))
    }

    async fn present(&self, citizen: Pseudonym) -> Result<Option<Generation>, ViewError> {
        let mut values = self
            .ask_one(citizen, |pipe, base| {
                pipe.cmd("HGET").arg(layout::person(base, citizen)).arg("profile");
            })
            .await?;
        let profile: Option<Vec<u8>> = self.groups.read(values.next().unwrap_or(Value::Nil))?;
        Ok(profile.as_deref().and_then(layout::generation))
    }
}

/// The slot group of a citizen.
fn group(citizen: Pseudonym) -> usize {
    usize::from(citizen.0[0]) % GROUPS
}

#[async_trait]
impl Projection for RedisDirectory {
    async fn open(&self) -> Result<Vec<(TopicPartition, u64)>, ViewError> {
        self.groups.open().await
    }

    async fn apply(&self, read: &Read) -> Result<(), ViewError> {
        let mut operations = Vec::with_capacity(read.records.len());
        let all = changes(&read.records, &self.world.codec)?;
        for (record, change) in read.records.iter().zip(all) {
            match &change {
                Change::Held(..) => super::say_held(record),
                Change::Nameless => super::say_nameless(record),
                Change::Put(..)
                | Change::Remove(..)
                | Change::Stored(_)
                | Change::Unstored(_)
                | Change::Unread(_) => {}
            }
            operations.extend(layout::operation(record, change));
        }
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
impl Directory for RedisDirectory {
    async fn read(
        &self,
        asks: &[(Pseudonym, ServiceId)],
    ) -> Result<(Vec<Found>, Timestamp), ViewError> {
        let read_at = self.world.now();
        let mut by_group: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (at, (citizen, _)) in asks.iter().enumerate() {
            by_group.entry(group(*citizen)).or_default().push(at);
        }
        // Without an ask there is still something to learn: whether the view may be asked.
        if asks.is_empty() {
            by_group.extend((0..GROUPS).map(|group| (group, Vec::new())));
        }
        let answers = by_group.iter().map(|(group, members)| async move {
            let ask = |pipe: &mut Pipeline, base: &str| {
                for at in members {
                    let (citizen, service) = &asks[*at];
                    pipe.cmd("HGETALL").arg(layout::person(base, *citizen));
                    let choices = layout::choices(base, *citizen);
                    pipe.cmd("HMGET").arg(choices).arg(&layout::of_service(service));
                }
            };
            Ok::<_, ViewError>((members, self.groups.ask(*group, ask).await?))
        });
        let mut found = vec![Found::default(); asks.len()];
        for (members, values) in try_join_all(answers).await? {
            let mut values = values.into_iter();
            for at in members {
                let service = &asks[*at].1;
                let person = self.hash(values.next())?;
                let choices: Vec<Option<Vec<u8>>> =
                    self.groups.read(values.next().unwrap_or(Value::Nil))?;
                let chosen = layout::of_service(service).into_iter().zip(choices);
                let chosen = chosen.filter_map(|(field, value)| value.map(|it| (field, it)));
                let dossier = layout::dossier(person.into_iter().chain(chosen), &self.world.codec);
                found[*at] = dossier.found(service);
            }
        }
        Ok((found, read_at))
    }

    async fn stored(
        &self,
        citizen: Pseudonym,
        message: MessageId,
    ) -> Result<Option<MessageStored>, ViewError> {
        let mut values = self
            .ask_one(citizen, |pipe, base| {
                pipe.cmd("HGET").arg(layout::person(base, citizen)).arg("profile");
                pipe.cmd("HGET").arg(layout::inbox(base, citizen)).arg(message.to_string());
            })
            .await?;
        let mut next = || self.groups.read::<Option<Vec<u8>>>(values.next().unwrap_or(Value::Nil));
        let (profile, stored) = (next()?, next()?);
        let present = profile.as_deref().and_then(layout::generation);
        Ok(stored.and_then(|it| layout::stored(&it, present, &self.world.codec)))
    }
}

#[async_trait]
impl Register for RedisDirectory {
    async fn dossier(&self, citizen: Pseudonym) -> Result<(Dossier, Vec<MessageId>), ViewError> {
        let mut values = self
            .ask_one(citizen, |pipe, base| {
                pipe.cmd("HGETALL").arg(layout::person(base, citizen));
                pipe.cmd("HGETALL").arg(layout::choices(base, citizen));
                pipe.cmd("HKEYS").arg(layout::inbox(base, citizen));
            })
            .await?;
        let (person, choices) = (self.hash(values.next())?, self.hash(values.next())?);
        let messages: Vec<String> = self.groups.read(values.next().unwrap_or(Value::Nil))?;
        let dossier = layout::dossier(person.into_iter().chain(choices), &self.world.codec);
        Ok((dossier, messages.iter().filter_map(|it| it.parse().ok()).collect()))
    }

    async fn inbox(
        &self,
        citizen: Pseudonym,
        before: Option<MessageId>,
        max: usize,
    ) -> Result<Vec<MessageStored>, ViewError> {
        let present = self.present(citizen).await?;
        let mut values = self
            .ask_one(citizen, |pipe, base| {
                pipe.cmd("HKEYS").arg(layout::inbox(base, citizen));
            })
            .await?;
        let ids: Vec<String> = self.groups.read(values.next().unwrap_or(Value::Nil))?;
        let mut ids: Vec<MessageId> = ids.iter().filter_map(|it| it.parse().ok()).collect();
        ids.retain(|id| before.is_none_or(|before| *id < before));
        ids.sort_unstable_by(|a, b| b.cmp(a));
        let mut inbox = Vec::new();
        // Some of them may be a former registration's, so one page of ids need not fill the page.
        for page in ids.chunks(max.max(1)) {
            let names: Vec<String> = page.iter().map(ToString::to_string).collect();
            let mut values = self
                .ask_one(citizen, |pipe, base| {
                    pipe.cmd("HMGET").arg(layout::inbox(base, citizen)).arg(&names);
                })
                .await?;
            let found: Vec<Option<Vec<u8>>> =
                self.groups.read(values.next().unwrap_or(Value::Nil))?;
            let codec: &Codec = &self.world.codec;
            inbox
                .extend(found.iter().flatten().filter_map(|it| layout::stored(it, present, codec)));
            if inbox.len() >= max {
                break;
            }
        }
        inbox.truncate(max);
        Ok(inbox)
    }

    async fn wait_applied(
        &self,
        citizen: Pseudonym,
        positions: &[Position],
        until: Timestamp,
    ) -> Result<bool, ViewError> {
        self.groups.wait_applied(group(citizen), positions, until).await
    }
}

//! The view of claims on Redis: one hash a claim, which expires with its time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::try_join_all;
use policy::claim::{Claimed, Held, judge};
use redis::Script;
use runtime::log::{Position, Read, TopicPartition};
use runtime::world::World;
use schemas::headers::Claim;
use schemas::ids::MessageId;

use super::{ClaimView, Sighting};
use crate::view::{
    GROUPS, Groups, Operation, Projection, RedisServer, Routed, ViewError, asking, moves,
    position_from, position_text,
};

/// A view that several processes share.
pub struct RedisClaims {
    groups: Groups,
    world: World,
    kept: Duration,
    claim: Script,
    first: Script,
}

impl RedisClaims {
    /// `name` begins every key: two views or installations on one server need two.
    #[must_use]
    pub fn new(server: Arc<RedisServer>, name: &str, world: World, kept: Duration) -> Self {
        let groups = Groups::new(server, name, world.clone(), include_str!("operations.lua"));
        let (claim, first) = (include_str!("claim.lua"), include_str!("first.lua"));
        Self { groups, world, kept, claim: asking(claim), first: asking(first) }
    }
}

fn group(claim: &Claim) -> usize {
    usize::from(claim.name[0]) % GROUPS
}

fn name(claim: &Claim) -> String {
    hex::encode(claim.name)
}

/// Request (32 bytes) ‖ message id (16).
fn held(claim: &Claim, id: MessageId) -> Vec<u8> {
    [&claim.request[..], &id.to_bytes()].concat()
}

fn read_held(held: &[u8]) -> Option<([u8; 32], MessageId)> {
    let (request, id) = held.split_at_checked(32)?;
    Some((request.try_into().ok()?, MessageId::from_bytes(id.try_into().ok()?)))
}

fn millis(time: Duration) -> Vec<u8> {
    time.as_millis().to_string().into_bytes()
}

#[async_trait]
impl Projection for RedisClaims {
    async fn open(&self) -> Result<Vec<(TopicPartition, u64)>, ViewError> {
        self.groups.open().await
    }

    async fn apply(&self, read: &Read) -> Result<(), ViewError> {
        let now = self.world.now();
        let operation = |record| -> Option<Routed> {
            let Sighting { claim, id, position } = Sighting::read(record)?;
            let life = record.appended_at.plus(self.kept).since(now);
            let operation = Operation {
                kind: "seen",
                position,
                id: name(&claim),
                field: position_text(position).into_bytes(),
                extra: millis(life),
                value: held(&claim, id),
            };
            (!life.is_zero()).then_some((Some(group(&claim)), operation))
        };
        let operations: Vec<_> = read.records.iter().filter_map(operation).collect();
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
impl ClaimView for RedisClaims {
    async fn claim(&self, claim: &Claim, offered: MessageId) -> Result<Claimed, ViewError> {
        let (name, held, life) = (name(claim), held(claim, offered), millis(self.kept));
        let arguments = [name.as_bytes(), &held, &life];
        let answer = self.groups.step(group(claim), &self.claim, &arguments).await?;
        let (held, is_in_log): (Vec<u8>, bool) = self.groups.read(answer)?;
        let held = read_held(&held).map(|(request, id)| Held { request, id, is_in_log });
        Ok(judge(claim, held))
    }

    async fn first(
        &self,
        sightings: &[Sighting],
    ) -> Result<Vec<Option<(MessageId, Position)>>, ViewError> {
        let mut by_group: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (at, it) in sightings.iter().enumerate() {
            by_group.entry(group(&it.claim)).or_default().push(at);
        }
        let answers = by_group.iter().map(|(group, members)| async move {
            let mut arguments = vec![millis(self.kept)];
            for Sighting { claim, id, position } in members.iter().map(|at| &sightings[*at]) {
                let position = position_text(*position).into_bytes();
                arguments.extend([name(claim).into_bytes(), held(claim, *id), position]);
            }
            let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
            let answer = self.groups.step(*group, &self.first, &arguments).await?;
            let answer: Vec<(Vec<u8>, String)> = self.groups.read(answer)?;
            Ok::<_, ViewError>(members.iter().copied().zip(answer))
        });
        let mut first = vec![None; sightings.len()];
        for (at, (held, position)) in try_join_all(answers).await?.into_iter().flatten() {
            let id = read_held(&held).map(|(_, id)| id);
            first[at] = id.zip(position_from(&position));
        }
        Ok(first)
    }
}

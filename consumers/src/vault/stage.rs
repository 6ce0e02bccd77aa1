//! Wraps the keys anew, writes one object for each day of expiry in the batch, begins the stories.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use policy::consent::{Ask, Consent, Permission, decide};
use policy::next_step::fallback_at;
use policy::retention;
use runtime::crash::{self, Point};
use runtime::log::{Incoming, Outgoing};
use runtime::stage::{Fault, Outcome, Received, Stage};
use runtime::world::World;
use schemas::codec::{Codec, DecodeError};
use schemas::headers::Headers;
use schemas::ids::Timestamp;
use schemas::records::{
    MessagePermitted, MessageStored, Reason, Sealed, Status, Story, StoryTarget, TargetState,
};
use schemas::topics::{Channel, Topic};

use super::store::VaultStore;
use crate::channel::{Routed, of_message, route};
use crate::directory::{Directory, Found};
use crate::held;
use crate::keys::{self, Keys};

/// Stores, then says STORED.
pub struct VaultStage {
    pub directory: Arc<dyn Directory>,
    pub store: Arc<dyn VaultStore>,
    pub keys: Keys,
    /// How long a stored message is kept.
    pub retention: Duration,
    /// How long a batch waits while the directory is not ready or the store is down.
    pub wait: Duration,
}

/// A record's way through the batch: decided already, or to be stored.
#[expect(clippy::large_enum_variant, reason = "lives for one batch")]
enum Plan {
    Decided(Result<Outcome, Fault>),
    Store(Stowed),
}

/// A message that has its place in an object.
struct Stowed {
    permission: Permission,
    day: i64,
    offset: usize,
    length: usize,
    kept_until: Timestamp,
    wrapped_key: Vec<u8>,
}

impl VaultStage {
    fn fault(&self, why: Reason, world: &World) -> Fault {
        Fault { why, retry_at: world.now().plus(self.wait) }
    }

    fn plan(
        &self,
        received: &Received<MessagePermitted>,
        found: &Found,
        objects: &mut BTreeMap<i64, Vec<u8>>,
        world: &World,
    ) -> Plan {
        let accepted = &received.value.accepted;
        let now = world.now();
        let permission = match self.consent(received, found, now) {
            Consent::Permitted(p) if p.generation == received.value.generation => p,
            Consent::Held => {
                let topic = Topic::Permitted(accepted.lane);
                let (citizen, value) = (accepted.citizen, world.codec.encode(&received.value));
                let waits = held::postpone(topic, citizen, value, &received.headers, world);
                return Plan::Decided(Ok(waits));
            }
            // Left between consent and here: the message never reached the inbox.
            Consent::Permitted(_) | Consent::FallbackEmail => {
                let reason = Reason::NoProfile;
                return ended(received, Status::NotOnBoard, reason, world);
            }
            Consent::NotOnBoard(reason) => {
                return ended(received, Status::NotOnBoard, reason, world);
            }
            Consent::Rejected(reason) => return ended(received, Status::Rejected, reason, world),
        };
        let key = found.key.as_ref().filter(|key| key.generation == permission.generation);
        let Some(key) = key else {
            return Plan::Decided(Err(self.fault(Reason::ViewNotReady, world)));
        };
        let kept = self.keys.citizen(key).and_then(|citizen_key| {
            let transit = self.keys.transit.read();
            let message_key =
                transit.unwrap(accepted.message_id, &accepted.sealed.wrapped_key.0)?;
            citizen_key.keep(self.keys.entropy.as_ref(), accepted.message_id, &message_key)
        });
        match kept {
            Ok(wrapped_key) => {
                let kept_until = now.plus(self.retention);
                let day = retention::day_of(kept_until);
                let object = objects.entry(day).or_default();
                let offset = object.len();
                let content = &accepted.sealed.content.0;
                object.extend_from_slice(content);
                let wrapped_key = wrapped_key.to_vec();
                let length = content.len();
                Plan::Store(Stowed { permission, day, offset, length, kept_until, wrapped_key })
            }
            Err(error) if error.is_ours() => {
                Plan::Decided(Err(self.fault(keys::reason(error), world)))
            }
            Err(error) => {
                let why = keys::reason(error);
                let mut events = of_message(accepted, 1, &received.headers, &world.codec);
                events.say(Status::Failed, why, now);
                Plan::Decided(Ok(Outcome::DeadLetter { why, also: events.records }))
            }
        }
    }

    fn consent(
        &self,
        received: &Received<MessagePermitted>,
        found: &Found,
        now: Timestamp,
    ) -> Consent {
        let accepted = &received.value.accepted;
        // A permitted message has an inbox: the fallback address is none of its channels.
        let ask = Ask { fallback_email: false, ..Ask::of(accepted) };
        decide(&found.citizen, &ask, now)
    }

    /// Writes the objects; gives their names by day, or nothing where one could not be written.
    async fn write(
        &self,
        objects: BTreeMap<i64, Vec<u8>>,
        world: &World,
    ) -> Option<BTreeMap<i64, String>> {
        let mut names = BTreeMap::new();
        for (day, bytes) in objects {
            let name = format!("{day}/{:016x}{:016x}", world.random(), world.random());
            crash::at(Point::ObjectDue);
            if let Err(error) = self.store.put(&name, bytes).await {
                tracing::warn!(%error, "object not written, the batch waits");
                return None;
            }
            crash::at(Point::ObjectPut);
            names.insert(day, name);
        }
        Some(names)
    }

    fn stored(
        &self,
        received: &Received<MessagePermitted>,
        stowed: Stowed,
        names: &BTreeMap<i64, String>,
        world: &World,
    ) -> Result<Outcome, Fault> {
        let accepted = &received.value.accepted;
        let object = names.get(&stowed.day).cloned().unwrap_or_default();
        let now = world.now();
        let mut events = of_message(accepted, 1, &received.headers, &world.codec);
        events.say(Status::Stored, Reason::None, now);
        let mut also = vec![stored_record(received, &stowed, object, world)];
        also.append(&mut events.records);
        let from = (events.epoch, events.next_sequence);
        let story = story(&received.value, &stowed.permission, from, world);
        let headers = Headers { cause: None, ..received.headers.clone() };
        let consent = Consent::Permitted(stowed.permission);
        let here = Channel::Apns;
        route(Routed { story, headers: &headers, also, consent: &consent, down: &[], here }, world)
    }
}

fn ended(
    received: &Received<MessagePermitted>,
    status: Status,
    reason: Reason,
    world: &World,
) -> Plan {
    let accepted = &received.value.accepted;
    let mut events = of_message(accepted, 1, &received.headers, &world.codec);
    events.say(status, reason, world.now());
    Plan::Decided(Ok(Outcome::Forward(events.records)))
}

fn stored_record(
    received: &Received<MessagePermitted>,
    stowed: &Stowed,
    object: String,
    world: &World,
) -> Outgoing {
    let accepted = &received.value.accepted;
    let record = MessageStored {
        message_id: accepted.message_id,
        citizen: accepted.citizen,
        generation: stowed.permission.generation,
        service_id: accepted.service_id.clone(),
        object,
        offset: i64::try_from(stowed.offset).unwrap_or(i64::MAX),
        length: i64::try_from(stowed.length).unwrap_or(i64::MAX),
        wrapped_key: Sealed(stowed.wrapped_key.clone()),
        accepted_at: accepted.accepted_at,
        kept_until: stowed.kept_until,
    };
    Outgoing {
        topic: Topic::Stored,
        key: accepted.message_id.to_string().into_bytes(),
        partition_by: accepted.citizen.to_string().into_bytes(),
        value: Some(world.codec.encode(&record)),
        headers: Headers { message_id: Some(accepted.message_id), ..Headers::default() },
    }
}

fn story(
    permitted: &MessagePermitted,
    permission: &Permission,
    (epoch, next_sequence): (i32, i32),
    world: &World,
) -> Story {
    let accepted = &permitted.accepted;
    let fifteen_minutes = world.scaled(Duration::from_secs(900));
    let targets = permission.targets.iter().map(|target| StoryTarget {
        channel: target.channel,
        installation: target.installation.clone(),
        state: TargetState::Untried,
        tries: 0,
        retry_at: accepted.accepted_at,
    });
    Story {
        message_id: accepted.message_id,
        service_id: accepted.service_id.clone(),
        citizen: accepted.citizen,
        generation: Some(permission.generation),
        lane: accepted.lane,
        batch: accepted.batch.clone(),
        accepted_at: accepted.accepted_at,
        deadline: accepted.expires_at,
        fallback_at: fallback_at(accepted.accepted_at, accepted.expires_at, fifteen_minutes),
        special: accepted.special,
        secure_channels: accepted.secure_channels,
        full_notice: accepted.full_notice,
        language: permission.language.clone(),
        notice_type: permission.notice_type,
        targets: targets.collect(),
        attempts: Vec::new(),
        tries: 0,
        epoch,
        next_sequence,
        finished: false,
        wrapped_key: accepted.sealed.wrapped_key.clone(),
        notice: accepted.notice.clone(),
        content: None,
    }
}

#[async_trait]
impl Stage for VaultStage {
    type Input = MessagePermitted;

    fn name(&self) -> &'static str {
        "vault"
    }

    fn decode(&self, record: &Incoming, codec: &Codec) -> Result<MessagePermitted, DecodeError> {
        codec.decode(record.value.as_deref().unwrap_or_default())
    }

    async fn handle(
        &self,
        batch: &[Received<MessagePermitted>],
        world: &World,
    ) -> Vec<Result<Outcome, Fault>> {
        let asks: Vec<_> = batch
            .iter()
            .map(|r| (r.value.accepted.citizen, r.value.accepted.service_id.clone()))
            .collect();
        let Ok((found, _)) = self.directory.read(&asks).await else {
            return vec![Err(self.fault(Reason::ViewNotReady, world)); batch.len()];
        };
        let mut objects = BTreeMap::new();
        let plans: Vec<_> = batch
            .iter()
            .zip(&found)
            .map(|(received, found)| self.plan(received, found, &mut objects, world))
            .collect();
        let names = self.write(objects, world).await;
        let planned = batch.iter().zip(plans);
        planned
            .map(|(received, plan)| match (plan, &names) {
                (Plan::Decided(result), _) => result,
                (Plan::Store(stowed), Some(names)) => self.stored(received, stowed, names, world),
                (Plan::Store(_), None) => Err(self.fault(Reason::StoreDown, world)),
            })
            .collect()
    }
}

//! Looks up the batch in one read, asks `policy::consent`, says ACCEPTED together with the verdict.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use policy::claim::is_copy;
use policy::consent::{Ask, Consent, decide};
use policy::next_step::fallback_at;
use runtime::log::{Incoming, Outgoing};
use runtime::stage::{Fault, Outcome, Received, Stage};
use runtime::world::World;
use schemas::codec::{Codec, DecodeError};
use schemas::headers::Headers;
use schemas::records::{
    MessageAccepted, MessagePermitted, NoticeType, Reason, Status, Story, StoryTarget, TargetState,
};
use schemas::topics::{Channel, Topic};

use crate::channel::{attempt_record, of_message};
use crate::claims::{ClaimView, Sighting};
use crate::directory::{Directory, Found};
use crate::held;
use crate::view::ViewError;

/// One directory read a batch, one decision a record.
pub struct ConsentStage {
    pub directory: Arc<dyn Directory>,
    pub claims: Arc<dyn ClaimView>,
    /// How long a batch waits while a view is not ready.
    pub view_wait: Duration,
}

impl ConsentStage {
    fn decide(
        &self,
        received: &Received<MessageAccepted>,
        found: &Found,
        world: &World,
    ) -> Verdict {
        let accepted = &received.value;
        let ask = Ask::of(accepted);
        let now = world.now();
        let mut events = of_message(accepted, 0, &received.headers, &world.codec);
        events.say(Status::Accepted, Reason::None, accepted.accepted_at);
        match decide(&found.citizen, &ask, now) {
            Consent::Held => {
                let (topic, value) = (Topic::Accepted(accepted.lane), world.codec.encode(accepted));
                Ok(held::postpone(topic, accepted.citizen, value, &received.headers, world))
            }
            Consent::NotOnBoard(reason) => {
                events.say(Status::NotOnBoard, reason, now);
                Ok(Outcome::Forward(events.records))
            }
            Consent::Rejected(reason) => {
                events.say(Status::Rejected, reason, now);
                Ok(Outcome::Forward(events.records))
            }
            Consent::FallbackEmail => {
                let from = (events.epoch, events.next_sequence);
                let story = fallback_story(accepted, from, world);
                let record = attempt_record(&story, Channel::Email, &received.headers, world);
                events.records.push(record);
                Ok(Outcome::Forward(events.records))
            }
            Consent::Permitted(permission) => {
                let permitted = MessagePermitted {
                    accepted: accepted.clone(),
                    generation: permission.generation,
                    notice_type: permission.notice_type,
                    language: permission.language,
                    targets: permission.targets,
                    consent_version: permission.version,
                };
                let from = (events.epoch, events.next_sequence);
                let record = permitted_record(&permitted, &received.headers, from, world);
                events.records.push(record);
                Ok(Outcome::Forward(events.records))
            }
        }
    }

    /// Which records are copies of an earlier one. Only what came under an `Idempotency-Key` is ever
    /// appended twice, so nothing else is asked for. A redriven record is no copy: it was written once, in
    /// one transaction with the end of its dead letter.
    async fn copies(&self, batch: &[Received<MessageAccepted>]) -> Result<Vec<bool>, ViewError> {
        let mut copies = vec![false; batch.len()];
        let keyed: Vec<(usize, Sighting)> = batch
            .iter()
            .enumerate()
            .filter(|(_, it)| it.headers.epoch.unwrap_or(0) == 0)
            .filter_map(|(at, it)| Some((at, Sighting::of(&it.headers, it.position)?)))
            .collect();
        if keyed.is_empty() {
            return Ok(copies);
        }
        let sightings: Vec<_> = keyed.iter().map(|(_, it)| *it).collect();
        for ((at, it), first) in keyed.iter().zip(self.claims.first(&sightings).await?) {
            copies[*at] = is_copy(it.id, it.position, first);
        }
        Ok(copies)
    }

    fn fault(&self, why: Reason, world: &World) -> Fault {
        Fault { why, retry_at: world.now().plus(self.view_wait) }
    }
}

type Verdict = Result<Outcome, Fault>;

fn permitted_record(
    permitted: &MessagePermitted,
    headers: &Headers,
    (epoch, next_sequence): (i32, i32),
    world: &World,
) -> Outgoing {
    let accepted = &permitted.accepted;
    let citizen = accepted.citizen.to_string().into_bytes();
    Outgoing {
        topic: Topic::Permitted(accepted.lane),
        key: citizen.clone(),
        partition_by: citizen,
        value: Some(world.codec.encode(permitted)),
        headers: Headers {
            traceparent: headers.traceparent.clone(),
            ce_id: Some(format!("{}-{epoch}-p", accepted.message_id)),
            ce_type: Some("it.staffetta.message.permitted".to_owned()),
            message_id: Some(accepted.message_id),
            service_id: Some(accepted.service_id.clone()),
            epoch: Some(epoch),
            next_sequence: Some(next_sequence),
            accepted_at: Some(accepted.accepted_at),
            ..Headers::default()
        },
    }
}

/// The story of a message that is mailed whole to somebody not on board.
fn fallback_story(
    accepted: &MessageAccepted,
    (epoch, next_sequence): (i32, i32),
    world: &World,
) -> Story {
    let fifteen_minutes = world.scaled(Duration::from_secs(900));
    Story {
        message_id: accepted.message_id,
        service_id: accepted.service_id.clone(),
        citizen: accepted.citizen,
        generation: None,
        lane: accepted.lane,
        batch: accepted.batch.clone(),
        accepted_at: accepted.accepted_at,
        deadline: accepted.expires_at,
        fallback_at: fallback_at(accepted.accepted_at, accepted.expires_at, fifteen_minutes),
        special: accepted.special,
        secure_channels: accepted.secure_channels,
        full_notice: accepted.full_notice,
        language: "it_IT".to_owned(),
        notice_type: NoticeType::Anonymous,
        targets: vec![StoryTarget {
            channel: Channel::Email,
            installation: String::new(),
            state: TargetState::Untried,
            tries: 0,
            retry_at: accepted.accepted_at,
        }],
        attempts: Vec::new(),
        tries: 0,
        epoch,
        next_sequence,
        finished: false,
        wrapped_key: accepted.sealed.wrapped_key.clone(),
        notice: accepted.notice.clone(),
        content: Some(accepted.sealed.clone()),
    }
}

#[async_trait]
impl Stage for ConsentStage {
    type Input = MessageAccepted;

    fn name(&self) -> &'static str {
        "consent"
    }

    fn decode(&self, record: &Incoming, codec: &Codec) -> Result<MessageAccepted, DecodeError> {
        codec.decode(record.value.as_deref().unwrap_or_default())
    }

    async fn handle(
        &self,
        batch: &[Received<MessageAccepted>],
        world: &World,
    ) -> Vec<Result<Outcome, Fault>> {
        let not_ready = || vec![Err(self.fault(Reason::ViewNotReady, world)); batch.len()];
        let asks: Vec<_> =
            batch.iter().map(|r| (r.value.citizen, r.value.service_id.clone())).collect();
        // The directory first: where it is not ready, nothing is decided and nothing is sighted.
        let Ok((found, _)) = self.directory.read(&asks).await else { return not_ready() };
        let Ok(copies) = self.copies(batch).await else { return not_ready() };
        let looked_up = batch.iter().zip(found).zip(copies);
        looked_up
            .map(|((received, found), is_copy)| {
                if is_copy {
                    Ok(Outcome::Done { why: Reason::Duplicate })
                } else {
                    self.decide(received, &found, world)
                }
            })
            .collect()
    }
}

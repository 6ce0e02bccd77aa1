//! A story while a stage works on it: what it has become, and what has been said of it so far.

use std::time::Duration;

use policy::outcome::AttemptOutcome;
use policy::story::{Dice, hand_over, note};
use runtime::log::Outgoing;
use runtime::world::World;
use schemas::headers::Headers;
use schemas::ids::Timestamp;
use schemas::records::{
    DeviceDeath, MessageDecision, OutcomeKind, Reason, Status, Story, TargetState,
};
use schemas::topics::{Channel, Topic};

use super::events::Events;
use crate::directory::{Found, Hint};

pub(super) struct Telling<'a> {
    pub story: Story,
    pub headers: &'a Headers,
    /// Records that leave with it.
    pub also: Vec<Outgoing>,
    world: &'a World,
    /// How long a misconfigured edge is left alone, at time scale 1.
    edge_rest: Duration,
}

impl<'a> Telling<'a> {
    pub(super) fn of(
        story: &Story,
        headers: &'a Headers,
        edge_rest: Duration,
        world: &'a World,
    ) -> Self {
        Self { story: story.clone(), headers, also: Vec::new(), world, edge_rest }
    }

    /// The silent sends of this story, with the moments until which they are awaited.
    pub(super) fn awaited(story: &Story) -> Vec<(Channel, String, Timestamp)> {
        let silent = story.targets.iter().filter(|it| it.state == TargetState::Pending);
        silent.map(|it| (it.channel, it.installation.clone(), it.retry_at)).collect()
    }

    /// Writes an answer into the story and into records: an event, and a device's death where it may
    /// be believed.
    pub(super) fn tell(&mut self, at: (Channel, &str), told: &Hint, found: &Found) {
        let ((channel, installation), answer) = (at, &told.answer);
        let first = answer.outcome == AttemptOutcome::Accepted && !self.story.finished;
        note(&mut self.story, channel, installation, answer, &dice(self.world), self.edge_rest);
        let status = if first { Status::Notified } else { Status::Attempt };
        let now = self.world.now();
        let mut events = Events::of_story(&self.story, self.headers, &self.world.codec);
        let send = (channel, answer.outcome.kind());
        events.say_of(status, answer.reason, send, answer.provider_id.clone(), now);
        self.story.next_sequence = events.next_sequence;
        self.also.append(&mut events.records);
        if let AttemptOutcome::AddressGone { since } = answer.outcome
            && told.believed
        {
            self.also.extend(self.death(installation, since.unwrap_or(now), found));
        }
    }

    /// A send left and is silent.
    pub(super) fn hand_over(&mut self, channel: Channel, installation: &str, until: Timestamp) {
        hand_over(&mut self.story, channel, installation, until);
    }

    /// The operators' record of a send that started.
    pub(super) fn decide(
        &mut self,
        channel: Channel,
        told: (OutcomeKind, Reason),
        send_id: String,
        (found, read_at): (&Found, Timestamp),
    ) {
        let profile = found.citizen.profile.as_ref();
        let decision = MessageDecision {
            message_id: self.story.message_id,
            channel,
            generation: self.story.generation,
            consent_version: profile.map_or(0, |profile| profile.version),
            decided_at: read_at,
            outcome: told.0,
            reason: told.1,
            send_id,
        };
        let key = self.story.message_id.to_string().into_bytes();
        self.also.push(Outgoing {
            topic: Topic::Decision,
            key: key.clone(),
            partition_by: key,
            value: Some(self.world.codec.encode(&decision)),
            headers: Headers { message_id: Some(self.story.message_id), ..Headers::default() },
        });
    }

    /// None for a mailbox, which validates itself, and none where the registration that the story
    /// speaks of has ended: what is erased is not written of again.
    fn death(&self, installation: &str, since: Timestamp, found: &Found) -> Option<Outgoing> {
        let story = &self.story;
        let present = found.citizen.profile.as_ref().map(|profile| profile.generation);
        if installation.is_empty() || present != story.generation {
            return None;
        }
        let death = DeviceDeath {
            citizen: story.citizen,
            installation: installation.to_owned(),
            since,
            reported_at: self.world.now(),
        };
        let key = format!("{}+{installation}", story.citizen).into_bytes();
        Some(Outgoing {
            topic: Topic::DeviceDeath,
            key,
            partition_by: story.citizen.to_string().into_bytes(),
            value: Some(self.world.codec.encode(&death)),
            headers: Headers::default(),
        })
    }
}

/// How this world's clock runs and falls now.
pub(crate) fn dice(world: &World) -> Dice {
    #[expect(clippy::cast_precision_loss, reason = "jitter needs no more than 53 bits")]
    let jitter = world.random() as f64 / u64::MAX as f64;
    Dice { now: world.now(), time_scale: world.time_scale, jitter }
}

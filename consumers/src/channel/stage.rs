//! The stage around a port: look up, decide, send, note, decide again.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use parking_lot::Mutex;
use policy::consent::{Ask, Consent, decide};
use policy::next_step::{Facts, Step, next_step};
use policy::outcome::{Answer, AttemptOutcome};
use policy::story::{Dice, note};
use runtime::log::{Incoming, Outgoing};
use runtime::metrics::Metrics;
use runtime::stage::{Fault, Outcome, Received, Stage};
use runtime::world::World;
use schemas::codec::{Codec, DecodeError};
use schemas::headers::Headers;
use schemas::ids::Timestamp;
use schemas::records::{DeviceDeath, MessageDecision, Reason, Status, Story};
use schemas::topics::{Channel, Topic};
use tokio::sync::Semaphore;

use super::events::Events;
use super::letters::{Trouble, letters};
use super::port::{Letter, Port};
use super::route::{Routed, route};
use crate::directory::{Directory, Found};
use crate::keys::Keys;

/// The bounds of a channel's stage.
#[derive(Debug, Clone)]
pub struct ChannelSettings {
    /// A send may start only on facts younger than this.
    pub consent_max_age: Duration,
    /// Sends in flight at once.
    pub in_flight: usize,
    /// How long a misconfigured edge is left alone, at time scale 1.
    pub edge_rest: Duration,
    /// How long a batch waits while the directory is not ready.
    pub view_wait: Duration,
}

impl Default for ChannelSettings {
    fn default() -> Self {
        Self {
            consent_max_age: Duration::from_millis(250),
            in_flight: 1_000,
            edge_rest: Duration::from_secs(60),
            view_wait: Duration::from_millis(250),
        }
    }
}

/// Which edges of this process are down, so that a stage can hand a story past another channel's outage.
#[derive(Clone, Default)]
pub struct Edges {
    ports: Arc<Mutex<Vec<Arc<dyn Port>>>>,
}

impl Edges {
    /// Makes a port's state known to all channels.
    pub fn add(&self, port: Arc<dyn Port>) {
        self.ports.lock().push(port);
    }

    fn down(&self, now: Timestamp) -> Vec<(Channel, Timestamp)> {
        let ports = self.ports.lock();
        ports.iter().filter_map(|p| p.down_until(now).map(|until| (p.channel(), until))).collect()
    }
}

/// A channel's stage; `apns`, `fcm` and `email` differ by their ports alone.
pub struct ChannelStage {
    pub port: Arc<dyn Port>,
    pub edges: Edges,
    pub directory: Arc<dyn Directory>,
    pub keys: Keys,
    pub metrics: Metrics,
    pub settings: ChannelSettings,
    permits: Semaphore,
}

/// What was known of the citizen when a send was decided.
struct Ground {
    found: Found,
    consent: Consent,
    read_at: Timestamp,
}

impl ChannelStage {
    #[must_use]
    pub fn new(
        port: Arc<dyn Port>,
        edges: Edges,
        directory: Arc<dyn Directory>,
        keys: Keys,
        metrics: Metrics,
        settings: ChannelSettings,
    ) -> Self {
        let permits = Semaphore::new(settings.in_flight);
        Self { port, edges, directory, keys, metrics, settings, permits }
    }

    async fn serve(
        &self,
        received: &Received<Story>,
        ground: Ground,
        world: &World,
    ) -> Result<Outcome, Fault> {
        let story = received.value.clone();
        let channel = self.port.channel();
        if self.step(&story, &ground.consent, world) != Step::Send(channel) {
            return self.go_on(received, story, Vec::new(), &ground.consent, world);
        }
        let permit = self.permits.acquire().await;
        // The wait for a place may have made the facts old: the citizen's latest word counts.
        let ground = if world.now().since(ground.read_at) > self.settings.consent_max_age {
            self.look_up(&story, world).await?
        } else {
            ground
        };
        if self.step(&story, &ground.consent, world) != Step::Send(channel) {
            return self.go_on(received, story, Vec::new(), &ground.consent, world);
        }
        let now = world.now();
        let made = letters(&story, channel, &ground.found, &ground.consent, &self.keys, now);
        let letters = match made {
            Ok(letters) => letters,
            Err(Trouble::Fault(why)) => {
                return Err(Fault { why, retry_at: now.plus(self.settings.view_wait) });
            }
            Err(Trouble::Dead(why)) => return Ok(dead(&story, &received.headers, why, world)),
        };
        let answers = join_all(letters.iter().map(|letter| self.send(letter, world))).await;
        drop(permit);
        let (story, also) = self.note_all(received, story, &letters, answers, &ground, world);
        self.go_on(received, story, also, &ground.consent, world)
    }

    fn step(&self, story: &Story, consent: &Consent, world: &World) -> Step {
        let now = world.now();
        next_step(story, &Facts { consent, down: &self.edges.down(now) }, now)
    }

    async fn look_up(&self, story: &Story, world: &World) -> Result<Ground, Fault> {
        let asks = [(story.citizen, story.service_id.clone())];
        let (mut found, read_at) =
            self.directory.read(&asks).await.map_err(|_| self.not_ready(world))?;
        let found = found.pop().unwrap_or_default();
        Ok(Ground { consent: consent(story, &found, world), found, read_at })
    }

    fn not_ready(&self, world: &World) -> Fault {
        let retry_at = world.now().plus(self.settings.view_wait);
        Fault { why: Reason::ViewNotReady, retry_at }
    }

    async fn send(&self, letter: &Letter, world: &World) -> Answer {
        let started = world.now();
        let answer = self.port.send(letter, started).await;
        let channel = self.port.channel().name();
        let took = world.now().since(started).as_secs_f64();
        self.metrics.send.with_label_values(&[channel]).observe(took);
        let labels = [channel, answer.outcome.kind().name(), answer.reason.name()];
        self.metrics.attempts.with_label_values(&labels).inc();
        answer
    }

    /// Writes the answers into the story and into records: one event and one decision each, and a
    /// device's death where it may be believed.
    fn note_all(
        &self,
        received: &Received<Story>,
        mut story: Story,
        letters: &[Letter],
        answers: Vec<Answer>,
        ground: &Ground,
        world: &World,
    ) -> (Story, Vec<Outgoing>) {
        let channel = self.port.channel();
        let now = world.now();
        let mut also = Vec::new();
        for (letter, answer) in letters.iter().zip(answers) {
            let first = answer.outcome == AttemptOutcome::Accepted && !story.finished;
            #[expect(clippy::cast_precision_loss, reason = "jitter needs no more than 53 bits")]
            let jitter = world.random() as f64 / u64::MAX as f64;
            let dice = Dice { now, time_scale: world.time_scale, jitter };
            let rest = self.settings.edge_rest;
            note(&mut story, channel, &letter.installation, &answer, &dice, rest);
            let status = if first { Status::Notified } else { Status::Attempt };
            let mut events = Events::of_story(&story, &received.headers, &world.codec);
            let send = (channel, answer.outcome.kind());
            events.say_of(status, answer.reason, send, answer.provider_id.clone(), now);
            story.next_sequence = events.next_sequence;
            also.append(&mut events.records);
            also.push(self.decision(&story, letter, &answer, ground, world));
            also.extend(self.death(&story, letter, &answer, ground.read_at, world));
        }
        (story, also)
    }

    fn decision(
        &self,
        story: &Story,
        letter: &Letter,
        answer: &Answer,
        ground: &Ground,
        world: &World,
    ) -> Outgoing {
        let profile = ground.found.citizen.profile.as_ref();
        let decision = MessageDecision {
            message_id: story.message_id,
            channel: self.port.channel(),
            generation: story.generation,
            consent_version: profile.map_or(0, |profile| profile.version),
            decided_at: ground.read_at,
            outcome: answer.outcome.kind(),
            reason: answer.reason,
            send_id: self.port.send_id(letter),
        };
        let key = story.message_id.to_string().into_bytes();
        Outgoing {
            topic: Topic::Decision,
            key: key.clone(),
            partition_by: key,
            value: Some(world.codec.encode(&decision)),
            headers: Headers { message_id: Some(story.message_id), ..Headers::default() },
        }
    }

    fn death(
        &self,
        story: &Story,
        letter: &Letter,
        answer: &Answer,
        sent_at: Timestamp,
        world: &World,
    ) -> Option<Outgoing> {
        let now = world.now();
        let AttemptOutcome::AddressGone { since } = answer.outcome else {
            self.port.believes_gone(false, now);
            return None;
        };
        let believed = self.port.believes_gone(true, now);
        if !believed || letter.installation.is_empty() {
            return None;
        }
        let death = DeviceDeath {
            citizen: story.citizen,
            installation: letter.installation.clone(),
            since: since.unwrap_or(sent_at),
            reported_at: now,
        };
        let key = format!("{}+{}", story.citizen, letter.installation).into_bytes();
        Some(Outgoing {
            topic: Topic::DeviceDeath,
            key,
            partition_by: story.citizen.to_string().into_bytes(),
            value: Some(world.codec.encode(&death)),
            headers: Headers::default(),
        })
    }

    fn go_on(
        &self,
        received: &Received<Story>,
        story: Story,
        also: Vec<Outgoing>,
        consent: &Consent,
        world: &World,
    ) -> Result<Outcome, Fault> {
        let down = self.edges.down(world.now());
        let headers = &received.headers;
        let here = self.port.channel();
        route(Routed { story, headers, also, consent, down: &down, here }, world)
    }
}

fn consent(story: &Story, found: &Found, world: &World) -> Consent {
    let ask = Ask {
        service_id: &story.service_id,
        special: story.special,
        secure_channels: story.secure_channels,
        full_notice: story.full_notice,
        fallback_email: story.generation.is_none(),
    };
    decide(&found.citizen, &ask, world.now())
}

/// Set aside; FAILED unless its final status is out already.
fn dead(story: &Story, headers: &Headers, why: Reason, world: &World) -> Outcome {
    let mut events = Events::of_story(story, headers, &world.codec);
    if !story.finished {
        events.say(Status::Failed, why, world.now());
    }
    Outcome::DeadLetter { why, also: events.records }
}

#[async_trait]
impl Stage for ChannelStage {
    type Input = Story;

    fn name(&self) -> &'static str {
        self.port.channel().name()
    }

    fn decode(&self, record: &Incoming, codec: &Codec) -> Result<Story, DecodeError> {
        codec.decode(record.value.as_deref().unwrap_or_default())
    }

    async fn handle(
        &self,
        batch: &[Received<Story>],
        world: &World,
    ) -> Vec<Result<Outcome, Fault>> {
        let asks: Vec<_> = batch
            .iter()
            .map(|received| (received.value.citizen, received.value.service_id.clone()))
            .collect();
        let Ok((found, read_at)) = self.directory.read(&asks).await else {
            return vec![Err(self.not_ready(world)); batch.len()];
        };
        let served = batch.iter().zip(found).map(|(received, found)| {
            let consent = consent(&received.value, &found, world);
            self.serve(received, Ground { found, consent, read_at }, world)
        });
        join_all(served).await
    }
}

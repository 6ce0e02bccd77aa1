//! The stage around a port: look up, decide, send, note, decide again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use policy::consent::{Ask, Consent, decide};
use policy::next_step::{Facts, Step, is_due, next_step};
use runtime::log::Incoming;
use runtime::metrics::Metrics;
use runtime::stage::{Fault, Outcome, Received, Stage};
use runtime::world::World;
use schemas::codec::{Codec, DecodeError};
use schemas::headers::Headers;
use schemas::ids::Timestamp;
use schemas::records::{OutcomeKind, Reason, Status, Story};
use schemas::topics::Channel;

use super::edges::Edges;
use super::events::Events;
use super::letters::{Trouble, letters};
use super::port::{Letter, NotStarted, Port};
use super::route::{Routed, route};
use super::sends::{Grounds, NoPlace, Sends, Sent, nothing_told};
use super::telling::Telling;
use crate::directory::{Directory, Found, Hint, HintId};
use crate::keys::Keys;

/// The bounds of a channel's stage.
#[derive(Debug, Clone)]
pub struct ChannelSettings {
    /// A send may start only on facts younger than this.
    pub consent_max_age: Duration,
    /// Sends in flight at once.
    pub in_flight: usize,
    /// A send that stays silent for so long is handed over: its story goes on. Real time.
    pub hand_over: Duration,
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
            hand_over: Duration::from_secs(1),
            edge_rest: Duration::from_secs(60),
            view_wait: Duration::from_millis(250),
        }
    }
}

/// A record whose send found no place or no turn in time is tried again after this.
const TURN: Duration = Duration::from_millis(50);
/// For how long an edge counts as down whose places are all taken by silent sends, at time scale 1.
const SILENT_EDGE: Duration = Duration::from_secs(10);

/// A channel's stage; `apns`, `fcm` and `email` differ by their ports alone.
pub struct ChannelStage {
    pub port: Arc<dyn Port>,
    pub edges: Edges,
    pub directory: Arc<dyn Directory>,
    pub keys: Keys,
    pub metrics: Metrics,
    pub settings: ChannelSettings,
    sends: Sends,
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
        let sends = Sends::new(
            Arc::clone(&port),
            edges.clone(),
            Arc::clone(&directory),
            Arc::clone(&keys.keyring),
            metrics.clone(),
            (settings.in_flight, settings.hand_over),
        );
        Self { port, edges, directory, keys, metrics, settings, sends }
    }

    async fn serve(
        &self,
        received: &Received<Story>,
        ground: Ground,
        hints: &HashMap<HintId, Option<Hint>>,
        world: &World,
    ) -> Result<Outcome, Fault> {
        let rest = self.settings.edge_rest;
        let mut telling = Telling::of(&received.value, &received.headers, rest, world);
        self.settle(&mut telling, hints, &ground, world);
        let channel = self.port.channel();
        if self.step(&telling, &ground.consent, world) != Step::Send(channel) {
            return self.go_on(telling, &ground.consent, None, world);
        }
        self.send_all(telling, ground, world).await
    }

    /// Sends to all due addresses at once, each on facts that are young when it starts.
    async fn send_all(
        &self,
        telling: Telling<'_>,
        ground: Ground,
        world: &World,
    ) -> Result<Outcome, Fault> {
        let (channel, now) = (self.port.channel(), world.now());
        let due = telling.story.targets.iter().filter(|it| it.channel == channel);
        let due = due.filter(|it| is_due(&telling.story, it, now)).count();
        let mut places = match self.sends.places(due, world).await {
            Ok(places) => places,
            Err(NoPlace::Busy) => return Err(self.again(Reason::NoPlace, world)),
            Err(NoPlace::Silent) => {
                let until = world.now().plus(world.scaled(SILENT_EDGE));
                return self.go_on(telling, &ground.consent, Some(until), world);
            }
        };
        // The wait for a place may have made the facts old: the citizen's latest word counts.
        let ground = if world.now() > self.good_until(&ground) {
            self.look_up(&telling.story, world).await?
        } else {
            ground
        };
        if self.step(&telling, &ground.consent, world) != Step::Send(channel) {
            return self.go_on(telling, &ground.consent, None, world);
        }
        let (story, now) = (&telling.story, world.now());
        let letters = match letters(story, channel, &ground.found, &ground.consent, &self.keys, now)
        {
            Ok(letters) => letters,
            Err(Trouble::Fault(why)) => {
                return Err(Fault { why, retry_at: now.plus(self.settings.view_wait) });
            }
            Err(Trouble::Dead(why)) => return Ok(dead(telling, why, world)),
        };
        let to = |letter: &Letter| (letter.installation.clone(), self.port.send_id(letter));
        let to: Vec<_> = letters.iter().map(to).collect();
        // Nor may it start at the deadline, however young the facts are: a turn in the pace comes late.
        let in_time = Timestamp(telling.story.deadline.0 - 1);
        let good_until = self.good_until(&ground).min(in_time);
        let grounds = Grounds { read_at: ground.read_at, good_until };
        // A story with more addresses than there are places sends the last ones without.
        let sends = letters.into_iter().map(|it| (it, places.split(1))).collect::<Vec<_>>();
        drop(places);
        let sends = sends.into_iter().map(|(it, place)| self.sends.send(it, place, grounds, world));
        let sent = join_all(sends).await;
        self.note_all(telling, to.into_iter().zip(sent), &ground, world)
    }

    fn good_until(&self, ground: &Ground) -> Timestamp {
        ground.read_at.plus(self.settings.consent_max_age)
    }

    fn step(&self, telling: &Telling<'_>, consent: &Consent, world: &World) -> Step {
        let down = self.down(telling.headers, None, world);
        let facts = Facts { consent, down: &down, here: self.port.channel() };
        next_step(&telling.story, &facts, world.now())
    }

    /// Which edges are down: what this process knows, what the record's last stage knew, for its edge
    /// may live in another process, and what this send has learnt of its own.
    fn down(
        &self,
        headers: &Headers,
        learnt: Option<Timestamp>,
        world: &World,
    ) -> Vec<(Channel, Timestamp)> {
        let (here, now) = (self.port.channel(), world.now());
        let mut down = self.edges.down(now);
        // Of its own edge nobody knows more than the stage itself.
        let told = headers.down.iter().filter(|(channel, until)| *channel != here && *until > now);
        for (channel, until) in told.copied().chain(learnt.map(|until| (here, until))) {
            match down.iter_mut().find(|(known, _)| *known == channel) {
                Some((_, known)) => *known = until.max(*known),
                None => down.push((channel, until)),
            }
        }
        down
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

    fn again(&self, why: Reason, world: &World) -> Fault {
        Fault { why, retry_at: world.now().plus(TURN) }
    }

    /// Notes what has become of this story's silent sends: the answer that was left, or that none can
    /// come any more. The others are still awaited.
    fn settle(
        &self,
        telling: &mut Telling<'_>,
        hints: &HashMap<HintId, Option<Hint>>,
        ground: &Ground,
        world: &World,
    ) {
        for (channel, installation, until) in Telling::awaited(&telling.story) {
            let id = self.sends.hint_id(telling.story.message_id, &installation, until);
            let told = match hints.get(&id).cloned().flatten() {
                Some(hint) => hint,
                None if until <= world.now() => nothing_told(),
                None => continue,
            };
            let labels = [channel.name(), told.answer.outcome.kind().name()];
            self.metrics.late_answers.with_label_values(&labels).inc();
            telling.tell((channel, &installation), &told, &ground.found);
        }
    }

    /// Writes what became of each send into the story. Where none has started the record is handled
    /// again, or goes another way: nothing has happened.
    fn note_all(
        &self,
        mut telling: Telling<'_>,
        sent: impl Iterator<Item = ((String, String), Sent)>,
        ground: &Ground,
        world: &World,
    ) -> Result<Outcome, Fault> {
        let channel = self.port.channel();
        let (mut started, mut late, mut down) = (false, false, None);
        for ((installation, send_id), sent) in sent {
            let told = match sent {
                Sent::Told(told) => {
                    telling.tell((channel, &installation), &told, &ground.found);
                    (told.answer.outcome.kind(), told.answer.reason)
                }
                Sent::Silent { until } => {
                    telling.hand_over(channel, &installation, until);
                    (OutcomeKind::Indeterminate, Reason::AnswerLater)
                }
                Sent::NotStarted(NotStarted::Late) => {
                    late = true;
                    continue;
                }
                Sent::NotStarted(NotStarted::Held { until }) => {
                    down = Some(until);
                    continue;
                }
            };
            started = true;
            telling.decide(channel, told, send_id, (&ground.found, ground.read_at));
        }
        if late && !started {
            return Err(self.again(Reason::FactsOld, world));
        }
        self.go_on(telling, &ground.consent, down, world)
    }

    /// `down`: what only this send has learnt of its edge.
    fn go_on(
        &self,
        telling: Telling<'_>,
        consent: &Consent,
        down: Option<Timestamp>,
        world: &World,
    ) -> Result<Outcome, Fault> {
        let here = self.port.channel();
        let down = self.down(telling.headers, down, world);
        let Telling { story, headers, also, .. } = telling;
        route(Routed { story, headers, also, consent, down: &down, here }, world)
    }

    /// The answers that were left for the silent sends of a batch.
    async fn hints(
        &self,
        batch: &[Received<Story>],
        world: &World,
    ) -> Result<HashMap<HintId, Option<Hint>>, Fault> {
        let ids: Vec<HintId> = batch
            .iter()
            .flat_map(|received| {
                let message = received.value.message_id;
                let awaited = Telling::awaited(&received.value).into_iter();
                awaited.map(move |(_, to, until)| self.sends.hint_id(message, &to, until))
            })
            .collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let found = self.directory.found(&ids).await.map_err(|_| self.not_ready(world))?;
        Ok(ids.into_iter().zip(found).collect())
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
fn dead(telling: Telling<'_>, why: Reason, world: &World) -> Outcome {
    let Telling { story, headers, mut also, .. } = telling;
    let mut events = Events::of_story(&story, headers, &world.codec);
    if !story.finished {
        events.say(Status::Failed, why, world.now());
    }
    also.append(&mut events.records);
    Outcome::DeadLetter { why, also }
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
        let hints = match self.hints(batch, world).await {
            Ok(hints) => hints,
            Err(fault) => return vec![Err(fault); batch.len()],
        };
        let Ok((found, read_at)) = self.directory.read(&asks).await else {
            return vec![Err(self.not_ready(world)); batch.len()];
        };
        let served = batch.iter().zip(found).map(|(received, found)| {
            let consent = consent(&received.value, &found, world);
            self.serve(received, Ground { found, consent, read_at }, &hints, world)
        });
        join_all(served).await
    }
}

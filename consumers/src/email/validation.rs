//! The stage that mails the links that validate addresses.
//!
//! Promise: a link that was asked for leaves while the profile still waits for it, whatever becomes
//! of this process or of the relay in between, or ends with a counted reason. The address and the
//! link's token stand in clear for as long as the send takes, in no record and in no log line.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use policy::mailbox::{Due, Next, due, note};
use policy::outcome::{Answer, AttemptOutcome, unsent};
use runtime::log::{Incoming, Outgoing};
use runtime::metrics::Metrics;
use runtime::stage::{Fault, Outcome, Received, Stage};
use runtime::world::World;
use schemas::codec::{Codec, DecodeError};
use schemas::ids::{MessageId, ServiceId, Timestamp};
use schemas::records::{MailboxValidation, Reason};
use schemas::topics::{Channel, Topic};
use sealing::{Field, SealError};
use tokio::sync::Semaphore;

use super::port::EmailPort;
use crate::channel::{NotStarted, Port, dice};
use crate::directory::{Directory, Found};
use crate::held;
use crate::keys::{self, Keys};

/// A link in clear; it lives in memory only and prints as nothing.
pub struct ValidationLetter {
    /// Of [`MailboxValidation`]: equal for every repeat.
    pub id: MessageId,
    pub address: String,
    /// `it_IT`, `en_GB`, `es_ES`, `de_DE` or `fr_FR`.
    pub language: String,
    /// What stands behind the page's address.
    pub token: String,
}

impl fmt::Debug for ValidationLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ValidationLetter({})", self.id)
    }
}

/// The stage's bounds and waits.
#[derive(Debug, Clone)]
pub struct ValidationSettings {
    /// Sends in flight at once.
    pub in_flight: usize,
    /// How long a mailed link works.
    pub link_life: Duration,
    /// How long a misconfigured edge is left alone, at time scale 1.
    pub edge_rest: Duration,
    /// How long a record waits while the directory is not ready.
    pub view_wait: Duration,
    /// A mail may start only on facts younger than this.
    pub max_age: Duration,
}

impl Default for ValidationSettings {
    fn default() -> Self {
        Self {
            in_flight: 8,
            link_life: Duration::from_secs(86_400),
            edge_rest: Duration::from_secs(60),
            view_wait: Duration::from_millis(250),
            max_age: Duration::from_millis(250),
        }
    }
}

/// Reads `mailbox.validation`.
pub struct ValidationStage {
    port: Arc<EmailPort>,
    directory: Arc<dyn Directory>,
    keys: Keys,
    metrics: Metrics,
    settings: ValidationSettings,
    permits: Semaphore,
}

impl ValidationStage {
    #[must_use]
    pub fn new(
        port: Arc<EmailPort>,
        directory: Arc<dyn Directory>,
        keys: Keys,
        metrics: Metrics,
        settings: ValidationSettings,
    ) -> Self {
        let permits = Semaphore::new(settings.in_flight.max(1));
        Self { port, directory, keys, metrics, settings, permits }
    }

    async fn serve(
        &self,
        received: &Received<MailboxValidation>,
        world: &World,
    ) -> Result<Outcome, Fault> {
        let mut asked = received.value.clone();
        let permit = self.permits.acquire().await;
        // Looked up once there is a place: what the send stands on is as young as can be.
        let now = world.now();
        let found = self.look_up(&asked, world).await?;
        if found.citizen.held {
            let (topic, value) = (Topic::Validation, world.codec.encode(&asked));
            return Ok(held::postpone(topic, asked.citizen, value, &received.headers, world));
        }
        let profile = found.citizen.profile.as_ref();
        match due(&asked, profile, now) {
            Due::Send => {}
            Due::Look => return Err(self.wait(Reason::ViewNotReady, world)),
            Due::Over(why) => return Ok(Outcome::Done { why }),
        }
        let letter = match self.letter(&asked, &found, now) {
            Ok(Some(letter)) => letter,
            Ok(None) => return Err(self.wait(Reason::ViewNotReady, world)),
            Err(error) if error.is_ours() => {
                return Err(self.wait(keys::reason(error), world));
            }
            Err(error) => {
                return Ok(Outcome::DeadLetter { why: keys::reason(error), also: Vec::new() });
            }
        };
        let answer = match self.send(&letter, now.plus(self.settings.max_age), world).await {
            Ok(answer) => answer,
            Err(NotStarted::Late) => return Err(self.wait(Reason::FactsOld, world)),
            Err(NotStarted::Held { until }) => {
                unsent(Some(self.as_the_provider_counts(until, world)))
            }
        };
        drop(permit);
        Ok(match note(&mut asked, &answer, &dice(world), self.settings.edge_rest) {
            Next::Over(why) => Outcome::Done { why },
            Next::Again { until, why } => {
                let record = again(&asked, received, &world.codec);
                Outcome::Postpone { record, until, why, also: Vec::new() }
            }
        })
    }

    async fn look_up(&self, asked: &MailboxValidation, world: &World) -> Result<Found, Fault> {
        // No service stands behind the mail, so none is asked for.
        let asks = [(asked.citizen, ServiceId::from(""))];
        let read = self.directory.read(&asks).await;
        let (found, _) = read.map_err(|_| self.wait(Reason::ViewNotReady, world))?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// `None`: the citizen's key has not arrived yet.
    fn letter(
        &self,
        asked: &MailboxValidation,
        found: &Found,
        now: Timestamp,
    ) -> Result<Option<ValidationLetter>, SealError> {
        let record = found.key.as_ref().filter(|key| key.generation == asked.generation);
        let Some(record) = record else { return Ok(None) };
        let key = self.keys.citizen(record)?;
        let address = key.open_field(Field::EmailAddress, &asked.email.0)?;
        let (citizen, generation) = (asked.citizen, asked.generation);
        let until = now.plus(self.settings.link_life);
        let token = self.keys.keyring.tokens().mailbox(citizen, generation, &address, until);
        let profile = found.citizen.profile.as_ref();
        let language = profile.and_then(|profile| profile.languages.first());
        let language = language.cloned().unwrap_or_default();
        Ok(Some(ValidationLetter { id: asked.id, address, language, token }))
    }

    /// Waits are the provider's, unscaled, wherever they come from.
    fn as_the_provider_counts(&self, until: Timestamp, world: &World) -> Duration {
        until.since(world.now()).mul_f64(world.time_scale)
    }

    async fn send(
        &self,
        letter: &ValidationLetter,
        start_by: Timestamp,
        world: &World,
    ) -> Result<Answer, NotStarted> {
        let started = world.now();
        let answer = self.port.validate(letter, start_by).await?;
        let channel = Channel::Email.name();
        let took = world.now().since(started).as_secs_f64();
        self.metrics.send.with_label_values(&[channel]).observe(took);
        let labels = [channel, answer.outcome.kind().name(), answer.reason.name()];
        self.metrics.attempts.with_label_values(&labels).inc();
        let gone = matches!(answer.outcome, AttemptOutcome::AddressGone { .. });
        self.port.believes_gone(gone, world.now());
        Ok(answer)
    }

    fn wait(&self, why: Reason, world: &World) -> Fault {
        Fault { why, retry_at: world.now().plus(self.settings.view_wait) }
    }
}

fn again(
    asked: &MailboxValidation,
    received: &Received<MailboxValidation>,
    codec: &Codec,
) -> Outgoing {
    let citizen = asked.citizen.to_string().into_bytes();
    Outgoing {
        topic: Topic::Validation,
        key: citizen.clone(),
        partition_by: citizen,
        value: Some(codec.encode(asked)),
        headers: received.headers.clone(),
    }
}

#[async_trait]
impl Stage for ValidationStage {
    type Input = MailboxValidation;

    fn name(&self) -> &'static str {
        "validation"
    }

    fn decode(&self, record: &Incoming, codec: &Codec) -> Result<MailboxValidation, DecodeError> {
        codec.decode(record.value.as_deref().unwrap_or_default())
    }

    async fn handle(
        &self,
        batch: &[Received<MailboxValidation>],
        world: &World,
    ) -> Vec<Result<Outcome, Fault>> {
        join_all(batch.iter().map(|received| self.serve(received, world))).await
    }
}

//! One channel's sends: each has a place, is waited for a while, and handed over if it stays silent.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::{Either, select};
use policy::outcome::{Answer, AttemptOutcome, unsent};
use policy::story::silence;
use runtime::crash::{self, Point};
use runtime::metrics::Metrics;
use runtime::world::World;
use schemas::ids::{MessageId, Timestamp};
use schemas::records::{OutcomeKind, Reason};
use sealing::Keyring;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::edges::Edges;
use super::port::{Letter, NotStarted, Port};
use crate::directory::{Directory, Hint, HintId};

/// From an answer to the hint that tells of it: when the answer can no longer come, the hint is there.
const HINT_WITHIN: Duration = Duration::from_secs(1);

/// What became of one send by the time its story goes on.
pub(super) enum Sent {
    Told(Hint),
    /// It left, and its answer is awaited elsewhere until then.
    Silent {
        until: Timestamp,
    },
    NotStarted(NotStarted),
}

/// Why there is no place for a send.
pub(super) enum NoPlace {
    /// Others are under way and will be over soon.
    Busy,
    /// Most places are taken by sends that stay silent: the edge is as good as down.
    Silent,
}

type Sending = Pin<Box<dyn Future<Output = Result<Hint, NotStarted>> + Send>>;

pub(super) struct Sends {
    port: Arc<dyn Port>,
    edges: Edges,
    directory: Arc<dyn Directory>,
    keyring: Arc<Keyring>,
    metrics: Metrics,
    places: Arc<Semaphore>,
    in_flight: usize,
    /// How long a send is waited for before its story goes on without it; real time.
    hand_over: Duration,
    /// Places taken by sends that were handed over.
    silent: Arc<AtomicUsize>,
}

/// What a send stands on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grounds {
    pub read_at: Timestamp,
    /// Not to be started on later than this.
    pub good_until: Timestamp,
}

impl Sends {
    pub(super) fn new(
        port: Arc<dyn Port>,
        edges: Edges,
        directory: Arc<dyn Directory>,
        keyring: Arc<Keyring>,
        metrics: Metrics,
        (in_flight, hand_over): (usize, Duration),
    ) -> Self {
        let in_flight = in_flight.clamp(1, Semaphore::MAX_PERMITS);
        let (places, silent) = (Arc::new(Semaphore::new(in_flight)), Arc::default());
        Self { port, edges, directory, keyring, metrics, places, in_flight, hand_over, silent }
    }

    /// Places for `wanted` sends, all at once; waits no longer than for a send's answer.
    pub(super) async fn places(
        &self,
        wanted: usize,
        world: &World,
    ) -> Result<OwnedSemaphorePermit, NoPlace> {
        let wanted = u32::try_from(wanted.clamp(1, self.in_flight)).unwrap_or(u32::MAX);
        let taking = pin!(Arc::clone(&self.places).acquire_many_owned(wanted));
        let patience = pin!(world.sleep_until(world.now().plus(self.hand_over)));
        match select(taking, patience).await {
            Either::Left((Ok(places), _)) => Ok(places),
            // The places are never closed, so this is the wait that ended.
            Either::Left((Err(_), _)) | Either::Right(_) => {
                let most = self.silent.load(Ordering::Relaxed) * 2 >= self.in_flight;
                Err(if most { NoPlace::Silent } else { NoPlace::Busy })
            }
        }
    }

    /// Sends `letter`. Who is silent keeps its place and its stream until its answer comes or can no
    /// longer come; that answer is left as a hint.
    pub(super) async fn send(
        &self,
        letter: Letter,
        place: Option<OwnedSemaphorePermit>,
        grounds: Grounds,
        world: &World,
    ) -> Sent {
        let started = world.now();
        let until = started.plus(self.port.answer_within() + HINT_WITHIN);
        let id = self.hint_id(letter.message_id, &letter.installation, until);
        let mut sending = self.sending(letter, place, grounds, world);
        let patience = pin!(world.sleep_until(started.plus(self.hand_over)));
        match select(&mut sending, patience).await {
            Either::Left((Ok(told), _)) => Sent::Told(told),
            Either::Left((Err(why), _)) => {
                let why_name = match why {
                    NotStarted::Late => Reason::FactsOld,
                    NotStarted::Held { .. } => Reason::ProviderOpen,
                };
                let labels = [self.port.channel().name(), why_name.name()];
                self.metrics.not_started.with_label_values(&labels).inc();
                Sent::NotStarted(why)
            }
            Either::Right(((), _)) => {
                self.hand_over(id, sending, world);
                crash::at(Point::HandedOver);
                Sent::Silent { until }
            }
        }
    }

    /// Under what the answer to a silent send is left.
    pub(super) fn hint_id(
        &self,
        message: MessageId,
        installation: &str,
        until: Timestamp,
    ) -> HintId {
        // One keyed hash for all channels: any of them may find what another has left.
        let send_id = self.keyring.tokens().apns_id(message, installation);
        HintId { message, send_id, until }
    }

    fn sending(
        &self,
        letter: Letter,
        place: Option<OwnedSemaphorePermit>,
        grounds: Grounds,
        world: &World,
    ) -> Sending {
        let (port, metrics, world) = (Arc::clone(&self.port), self.metrics.clone(), world.clone());
        Box::pin(async move {
            let (started, channel) = (world.now(), port.channel().name());
            crash::of(Point::SendBegins, channel);
            let answer = port.send(&letter, grounds.good_until).await?;
            if answer.outcome == AttemptOutcome::Accepted {
                crash::of(Point::ProviderAnswered, channel);
            }
            drop(place);
            let now = world.now();
            let took = now.since(started).as_secs_f64();
            metrics.send.with_label_values(&[channel]).observe(took);
            let labels = [channel, answer.outcome.kind().name(), answer.reason.name()];
            metrics.attempts.with_label_values(&labels).inc();
            Ok(weighed(&*port, answer, grounds.read_at, now))
        })
    }

    fn hand_over(&self, id: HintId, sending: Sending, world: &World) {
        let channel = self.port.channel();
        self.metrics.handed_over.with_label_values(&[channel.name()]).inc();
        self.silent.fetch_add(1, Ordering::Relaxed);
        let (silent, directory) = (Arc::clone(&self.silent), Arc::clone(&self.directory));
        world.spawn(self.edges.watched(async move {
            let told = sending.await;
            silent.fetch_sub(1, Ordering::Relaxed);
            // What was given back after all has not left: no try is burnt.
            let hint = told.unwrap_or_else(|_| Hint { answer: unsent(None), believed: true });
            crash::at(Point::HintDue);
            if directory.leave(&id, &hint).await.is_err() {
                tracing::warn!(
                    channel = channel.name(),
                    "a late answer could not be left: unknown"
                );
            }
            crash::at(Point::HintLeft);
        }));
    }
}

/// What a send counts as whose answer can no longer come.
pub(super) fn nothing_told() -> Hint {
    Hint { answer: silence(), believed: true }
}

/// Asks the edge's guard. An outage or a busy provider says nothing of the address. A death without a
/// date is as old as what the send stood on: a registration since then outlives it.
fn weighed(port: &dyn Port, mut answer: Answer, read_at: Timestamp, now: Timestamp) -> Hint {
    if let AttemptOutcome::AddressGone { since } = &mut answer.outcome {
        since.get_or_insert(read_at);
    }
    let believed = match answer.outcome.kind() {
        OutcomeKind::AddressGone => port.believes_gone(true, now),
        OutcomeKind::Accepted | OutcomeKind::Refused => port.believes_gone(false, now),
        OutcomeKind::Throttled
        | OutcomeKind::Unavailable
        | OutcomeKind::Misconfigured
        | OutcomeKind::Indeterminate
        | OutcomeKind::Other => true,
    };
    Hint { answer, believed }
}

//! The gate before an edge: whether a send may start, and what its answer teaches.
//!
//! Promise: a failing provider is left alone but for a trickle of probes; a wave of dead addresses is
//! not believed; a setting of ours that refuses everything does not finish message after message; no
//! more starts in a second than the pace allows.

mod config;
mod gated;
mod vitals;

use std::time::Duration;

use edge::breaker::{Admit, Breaker, BreakerState, Cause, Verdict};
use edge::guard::{Address, Belief, Guard};
use edge::pacing::Pace;
use edge::pool::{Reply, Unsent};
use http::HeaderMap;
use http::header::RETRY_AFTER;
use parking_lot::Mutex;
use policy::outcome::{Answer, AttemptOutcome};
use runtime::world::World;
use schemas::ids::Timestamp;
use schemas::records::Reason;

use crate::channel::NotStarted;

pub use config::{EdgeError, GateConfig, Keys, PoolSettings};
pub use gated::{Gated, Provider};
pub use policy::outcome::unsent;
pub use vitals::{GateVitals, Vitals};

/// One edge's breaker, guard and pace.
pub struct Gate {
    inner: Mutex<Inner>,
    /// Held while waiting for its turn, so that who came first goes first.
    pace: tokio::sync::Mutex<Pace>,
    world: World,
    /// The section of the configuration, for the operator.
    edge: &'static str,
    refusal_run: u32,
}

struct Inner {
    breaker: Breaker,
    guard: Guard,
    /// The latest refusals in a row that gave one and the same reason.
    run: (Reason, u32),
    believed: bool,
    counts: Counts,
}

/// Since the gate was made.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    openings: u64,
    openings_for_us: u64,
    disbelieved: u64,
    paced: u64,
    paced_ms: u64,
}

impl Gate {
    #[must_use]
    pub fn new(config: &GateConfig, keys: Keys, world: &World) -> Self {
        let now = world.now();
        Self {
            inner: Mutex::new(Inner {
                breaker: Breaker::new(config.breaker(world.time_scale)),
                guard: Guard::new(config.guard()),
                run: (Reason::None, 0),
                believed: true,
                counts: Counts::default(),
            }),
            pace: tokio::sync::Mutex::new(Pace::new(config.pace(), now.0)),
            world: world.clone(),
            edge: keys.0,
            refusal_run: config.refusal_run,
        }
    }

    /// Until when the edge is known to be down. Asking admits nothing: probes, and the share of a
    /// provider that just came back, are let through at [`Gate::enter`].
    pub fn down_until(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.inner.lock().breaker.down_until(now.0).map(Timestamp);
        until.filter(|until| *until > now)
    }

    /// Lets a send in when the breaker admits it and its turn in the pace has come, by `start_by`.
    ///
    /// # Errors
    /// [`NotStarted`].
    pub async fn enter(&self, start_by: Timestamp) -> Result<(), NotStarted> {
        let now = self.world.now();
        match self.inner.lock().breaker.admit(now.0) {
            Admit::Go | Admit::Probe => {}
            Admit::Hold { until_ms } => {
                return Err(NotStarted::Held { until: Timestamp(until_ms) });
            }
        }
        let mut pace = self.pace.lock().await;
        loop {
            let moment = self.world.now();
            if moment > start_by {
                return Err(NotStarted::Late);
            }
            let grant = pace.take(1, moment.0);
            if grant.granted > 0 {
                self.paced(moment.since(now));
                return Ok(());
            }
            let more_at = Timestamp(grant.more_at_ms.max(moment.0 + 1));
            if more_at > start_by {
                return Err(NotStarted::Late);
            }
            self.world.sleep_until(more_at).await;
        }
    }

    fn paced(&self, waited: Duration) {
        if !waited.is_zero() {
            let mut inner = self.inner.lock();
            inner.counts.paced += 1;
            inner.counts.paced_ms += u64::try_from(waited.as_millis()).unwrap_or(0);
        }
    }

    /// How long a send may still wait for its start.
    pub fn patience(&self, start_by: Timestamp) -> Duration {
        start_by.since(self.world.now())
    }

    /// The moment, for what is computed at the start of a send.
    pub fn now(&self) -> Timestamp {
        self.world.now()
    }

    /// Learns from an answer. A long run of one refusal becomes `misconfigured`: the messages stay.
    pub fn note(&self, mut answer: Answer) -> Answer {
        // The moment of the answer, not of the send: a wait for it may have been long.
        let now = self.world.now();
        let mut inner = self.inner.lock();
        match answer.outcome {
            AttemptOutcome::Refused if inner.run.0 == answer.reason => inner.run.1 += 1,
            AttemptOutcome::Refused => inner.run = (answer.reason, 1),
            AttemptOutcome::Accepted => inner.run = (Reason::None, 0),
            AttemptOutcome::AddressGone { .. }
            | AttemptOutcome::Throttled { .. }
            | AttemptOutcome::Unavailable { .. }
            | AttemptOutcome::Misconfigured
            | AttemptOutcome::Indeterminate => {}
        }
        if answer.outcome == AttemptOutcome::Refused && inner.run.1 >= self.refusal_run {
            answer.outcome = AttemptOutcome::Misconfigured;
        }
        let was_open = matches!(inner.breaker.state(now.0), BreakerState::Open { .. });
        inner.breaker.note(verdict(&answer), now.0);
        let state = inner.breaker.state(now.0);
        if let BreakerState::Open { cause, .. } = state
            && !was_open
        {
            inner.counts.openings += u64::from(cause == Cause::Failures);
            inner.counts.openings_for_us += u64::from(cause == Cause::Misconfigured);
        }
        drop(inner);
        if let BreakerState::Open { until_ms, .. } = state
            && !was_open
        {
            self.say_open(&answer, until_ms - now.0);
        }
        answer
    }

    /// Whether a dead address may be believed now; asked for every answer that speaks of the address.
    pub fn believes_gone(&self, gone: bool, now: Timestamp) -> bool {
        let address = if gone { Address::Gone } else { Address::Alive };
        let mut inner = self.inner.lock();
        let believed = inner.guard.note(address, now.0) == Belief::Believed;
        inner.counts.disbelieved += u64::from(gone && !believed);
        let before = std::mem::replace(&mut inner.believed, believed);
        drop(inner);
        let (alarm, edge) = ("dead_address_wave", self.edge);
        match (before, believed) {
            (true, false) => tracing::error!(
                alarm,
                edge,
                "too many dead addresses to be true: none is removed; check environment and project"
            ),
            (false, true) => tracing::warn!(alarm, edge, "over: dead addresses are believed again"),
            (true, true) | (false, false) => {}
        }
        believed
    }

    fn say_open(&self, answer: &Answer, wait_ms: i64) {
        let (edge, reason) = (self.edge, answer.reason.name());
        if answer.outcome == AttemptOutcome::Misconfigured {
            tracing::error!(
                alarm = "edge_misconfigured",
                edge,
                reason,
                wait_ms,
                "refuses us for a setting of ours; messages wait"
            );
        } else {
            tracing::warn!(edge, reason, wait_ms, "is failing; messages take another way or wait");
        }
    }
}

/// What an answer says of the edge. A whole edge told to slow down counts as failing.
fn verdict(answer: &Answer) -> Verdict {
    match answer.outcome {
        AttemptOutcome::Accepted => Verdict::Success,
        AttemptOutcome::Throttled { .. } if answer.reason == Reason::TokenUpdates => {
            Verdict::Failure
        }
        AttemptOutcome::AddressGone { .. }
        | AttemptOutcome::Refused
        | AttemptOutcome::Throttled { .. } => Verdict::Neutral,
        AttemptOutcome::Unavailable { .. } | AttemptOutcome::Indeterminate => Verdict::Failure,
        AttemptOutcome::Misconfigured => Verdict::Misconfigured,
    }
}

/// What an answer's `Retry-After` asks for, in either of its forms.
#[must_use]
pub fn asked_wait(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    asked.and_then(|value| edge::retry_after(value, now.0))
}

/// An edge whose first connection is still being opened is asked again after this.
const OPENING: Duration = Duration::from_secs(1);

/// What it means where the pool has no answer; `None` where the provider spoke.
#[must_use]
pub fn without_answer(reply: &Reply, now: Timestamp) -> Option<Result<Answer, NotStarted>> {
    match reply {
        Reply::Answer { .. } => None,
        Reply::NoAnswer { .. } => {
            Some(Ok(Answer::new(AttemptOutcome::Indeterminate, Reason::NoAnswer)))
        }
        Reply::Unsent { why } => Some(match why {
            // Our own request: sent again it would fare no better.
            Unsent::BadRequest => Ok(Answer::new(AttemptOutcome::Refused, Reason::BadRequest)),
            Unsent::NoStream | Unsent::QueueFull | Unsent::Closed => Err(NotStarted::Late),
            Unsent::NotOpen => Err(NotStarted::Held { until: now.plus(OPENING) }),
            Unsent::Down(_) | Unsent::Refused | Unsent::NoCredential => Ok(unsent(None)),
        }),
    }
}

#[cfg(test)]
mod laws;

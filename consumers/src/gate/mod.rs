//! The gate before an edge: whether a send may start, and what its answer teaches.
//!
//! Promise: a failing provider is left alone but for a trickle of probes; a wave of dead addresses is
//! not believed; a setting of ours that refuses everything does not finish message after message; no
//! more starts in a second than the pace allows.

mod config;

use std::time::Duration;

use edge::breaker::{Admit, Breaker, BreakerState, Verdict};
use edge::guard::{Address, Belief, Guard};
use edge::pacing::Pace;
use edge::pool::{Reply, Unsent};
use parking_lot::Mutex;
use policy::outcome::{Answer, AttemptOutcome};
use runtime::world::World;
use schemas::ids::Timestamp;
use schemas::records::Reason;

pub use config::{EdgeError, GateConfig, Keys, PoolSettings};

/// One edge's breaker, guard and pace.
pub struct Gate {
    inner: Mutex<Inner>,
    /// Held while waiting for its turn, so that who came first goes first.
    pace: tokio::sync::Mutex<Pace>,
    world: World,
    /// The section of the configuration, for the operator.
    edge: &'static str,
    start_within: Duration,
    refusal_run: u32,
}

struct Inner {
    breaker: Breaker,
    guard: Guard,
    /// The breaker has let one send through, which has not started yet.
    ticket: bool,
    /// The latest refusals in a row that gave one and the same reason.
    run: (Reason, u32),
    believed: bool,
}

impl Gate {
    #[must_use]
    pub fn new(config: &GateConfig, keys: Keys, world: &World) -> Self {
        let now = world.now();
        let breaker = Breaker::new(config.breaker(world.time_scale));
        let guard = Guard::new(config.guard());
        Self {
            inner: Mutex::new(Inner {
                breaker,
                guard,
                ticket: false,
                run: (Reason::None, 0),
                believed: true,
            }),
            pace: tokio::sync::Mutex::new(Pace::new(config.pace(), now.0)),
            world: world.clone(),
            edge: keys.0,
            start_within: Duration::from_millis(config.start_within_ms),
            refusal_run: config.refusal_run,
        }
    }

    /// Until when the edge is known to be down. After `None` the next send is let through: this is how
    /// probes and the share of a provider that just came back find their way.
    pub fn down_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.inner.lock().let_in(now)
    }

    /// Waits for its turn in the pace, as long as a send decided at `now` may wait. Err where that is
    /// too long or where the breaker holds the send, with the answer to give: it has not left, so it
    /// burns no try.
    ///
    /// # Errors
    /// The answer that says until when.
    pub async fn enter(&self, now: Timestamp) -> Result<(), Answer> {
        let held = {
            let mut inner = self.inner.lock();
            let held = inner.let_in(now);
            inner.ticket = false;
            held
        };
        if let Some(until) = held {
            return Err(self.held(until, now));
        }
        let mut pace = self.pace.lock().await;
        loop {
            let moment = self.world.now();
            if self.is_late(now) {
                return Err(unsent(None));
            }
            let grant = pace.take(1, moment.0);
            if grant.granted > 0 {
                return Ok(());
            }
            let more_at = Timestamp(grant.more_at_ms.max(moment.0 + 1));
            if more_at.since(now) > self.start_within {
                return Err(unsent(None));
            }
            self.world.sleep_until(more_at).await;
        }
    }

    /// Whether what was known at `now` is too old for a send to start on.
    pub fn is_late(&self, now: Timestamp) -> bool {
        self.world.now().since(now) > self.start_within
    }

    /// How long a send decided at `now` may still wait.
    pub fn patience(&self, now: Timestamp) -> Duration {
        self.start_within.saturating_sub(self.world.now().since(now))
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
        drop(inner);
        if let BreakerState::Open { until_ms, .. } = state
            && !was_open
        {
            self.say_open(&answer, until_ms - now.0);
        }
        answer
    }

    /// Whether a dead address may be believed now; asked for every answer.
    pub fn believes_gone(&self, gone: bool, now: Timestamp) -> bool {
        let address = if gone { Address::Gone } else { Address::Alive };
        let mut inner = self.inner.lock();
        let believed = inner.guard.note(address, now.0) == Belief::Believed;
        let before = std::mem::replace(&mut inner.believed, believed);
        drop(inner);
        if before && !believed {
            tracing::error!(
                edge = self.edge,
                "too many dead addresses to be true: none is removed; check environment and project"
            );
        }
        believed
    }

    fn say_open(&self, answer: &Answer, wait_ms: i64) {
        let (edge, reason) = (self.edge, answer.reason.name());
        if answer.outcome == AttemptOutcome::Misconfigured {
            tracing::error!(
                edge,
                reason,
                wait_ms,
                "refuses us for a setting of ours; messages wait"
            );
        } else {
            tracing::warn!(edge, reason, wait_ms, "is failing; messages take another way or wait");
        }
    }

    /// Where the breaker stands, for metrics.
    pub fn state(&self, now: Timestamp) -> BreakerState {
        self.inner.lock().breaker.state(now.0)
    }

    /// Waits are the provider's, unscaled, wherever they come from.
    fn held(&self, until: Timestamp, now: Timestamp) -> Answer {
        let wait = until.since(now).mul_f64(self.world.time_scale);
        unsent(Some(wait))
    }
}

impl Inner {
    /// `None` lets the next send through; a time holds it.
    fn let_in(&mut self, now: Timestamp) -> Option<Timestamp> {
        match self.breaker.state(now.0) {
            BreakerState::Closed => {
                self.ticket = false;
                return None;
            }
            BreakerState::Open { until_ms, .. } => {
                self.ticket = false;
                return Some(Timestamp(until_ms));
            }
            BreakerState::HalfOpen { .. } | BreakerState::Ramp { .. } => {}
        }
        if self.ticket {
            return None;
        }
        match self.breaker.admit(now.0) {
            Admit::Go | Admit::Probe => {
                self.ticket = true;
                None
            }
            Admit::Hold { until_ms } => Some(Timestamp(until_ms)),
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

/// Not processed by the provider: no try is burnt.
#[must_use]
pub fn unsent(retry_after: Option<Duration>) -> Answer {
    Answer::new(AttemptOutcome::Unavailable { retry_after }, Reason::Unsent)
}

/// The answer where the pool has none; `None` where the provider spoke.
#[must_use]
pub fn without_answer(reply: &Reply) -> Option<Answer> {
    match reply {
        Reply::Answer { .. } => None,
        Reply::NoAnswer { .. } => {
            Some(Answer::new(AttemptOutcome::Indeterminate, Reason::NoAnswer))
        }
        Reply::Unsent { why } => Some(match why {
            // Our own request: sent again it would fare no better.
            Unsent::BadRequest => Answer::new(AttemptOutcome::Refused, Reason::BadRequest),
            Unsent::Down(_)
            | Unsent::NotOpen
            | Unsent::NoStream
            | Unsent::QueueFull
            | Unsent::Refused
            | Unsent::NoCredential
            | Unsent::Closed => unsent(None),
        }),
    }
}

#[cfg(test)]
mod laws;

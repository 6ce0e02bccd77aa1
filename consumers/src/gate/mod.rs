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
    refusal_run: u32,
}

struct Inner {
    breaker: Breaker,
    guard: Guard,
    /// The breaker has let one send through, which has not started yet.
    ticket: bool,
    /// The latest refusals in a row that gave one and the same reason.
    run: (Reason, u32),
}

impl Gate {
    #[must_use]
    pub fn new(config: &GateConfig, world: &World) -> Self {
        let now = world.now();
        let breaker = Breaker::new(config.breaker(world.time_scale));
        let guard = Guard::new(config.guard());
        Self {
            inner: Mutex::new(Inner { breaker, guard, ticket: false, run: (Reason::None, 0) }),
            pace: tokio::sync::Mutex::new(Pace::new(config.pace(), now.0)),
            world: world.clone(),
            refusal_run: config.refusal_run,
        }
    }

    /// Until when the edge is known to be down. After `None` the next send is let through: this is how
    /// probes and the share of a provider that just came back find their way.
    pub fn down_until(&self, now: Timestamp) -> Option<Timestamp> {
        let mut inner = self.inner.lock();
        inner.let_in(now).map(|until| {
            inner.ticket = false;
            until
        })
    }

    /// Waits for its turn in the pace. Err where the breaker holds the send, with the answer to give:
    /// it has not left, so it burns no try.
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
            let now = self.world.now();
            let grant = pace.take(1, now.0);
            if grant.granted > 0 {
                return Ok(());
            }
            self.world.sleep_until(Timestamp(grant.more_at_ms.max(now.0 + 1))).await;
        }
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
        inner.breaker.note(verdict(&answer), now.0);
        answer
    }

    /// Whether a dead address may be believed now; asked for every answer.
    pub fn believes_gone(&self, gone: bool, now: Timestamp) -> bool {
        let address = if gone { Address::Gone } else { Address::Alive };
        self.inner.lock().guard.note(address, now.0) == Belief::Believed
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
            BreakerState::Closed => return None,
            BreakerState::Open { until_ms, .. } => return Some(Timestamp(until_ms)),
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

//! The breaker of one edge: stops sending to a provider that fails, asks it now and then with a
//! trickle, and gives it its load back step by step.
//!
//! ```text
//! closed ──failures above the share, or misconfigured──► open ──wait over──► half-open
//!    ▲                                                    ▲ ▲                    │
//!    │                                                    │ └───probe failed─────┤
//!    └──last step over── ramp 10, 25, 50 % ──failures─────┘        ◄──probes taken┘
//! ```

use crate::window::Window;

/// How a [`Breaker`] judges and waits. All `_ms` but `window_ms` are waits, multiplied by
/// `wait_factor`.
#[derive(Debug, Clone, PartialEq)]
pub struct BreakerConfig {
    /// Length of the window in which sends are judged.
    pub window_ms: i64,
    /// Judged sends the window must hold before failures can open the breaker.
    pub min_count: u32,
    /// Opens when the share of failures among successes and failures reaches this, in `(0, 1]`.
    pub failure_share: f64,
    /// First wait when open; doubled each time it opens again before it was closed. Best not below the
    /// time-out of a request: a late answer to an old send is taken for one to a probe otherwise.
    pub open_ms: i64,
    /// Longest wait when open.
    pub open_cap_ms: i64,
    /// At most one probe in this time while half-open.
    pub probe_every_ms: i64,
    /// Successes while half-open that begin the ramp.
    pub probes_to_ramp: u32,
    /// The ramp: share of sends let through, in percent, and for how long.
    pub ramp: Vec<RampStep>,
    /// Scales every wait: 1.0 in earnest, less where hours must pass in seconds.
    pub wait_factor: f64,
}

/// One step of the ramp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RampStep {
    pub percent: u32,
    pub for_ms: i64,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        let step = |percent| RampStep { percent, for_ms: 20_000 };
        Self {
            window_ms: 30_000,
            min_count: 20,
            failure_share: 0.5,
            open_ms: 15_000,
            open_cap_ms: 900_000,
            probe_every_ms: 1_000,
            probes_to_ramp: 3,
            ramp: vec![step(10), step(25), step(50)],
            wait_factor: 1.0,
        }
    }
}

/// What one send showed about the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Success,
    /// Says nothing about the edge: a dead address, a refused message, one throttled device.
    Neutral,
    /// Unavailable or indeterminate.
    Failure,
    /// Our credential, right or environment is wrong: opens at once.
    Misconfigured,
}

/// Whether a send may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admit {
    Go,
    /// May start, and its verdict decides whether the edge is back.
    Probe,
    /// Not before `until_ms`, as far as is known now.
    Hold {
        until_ms: i64,
    },
}

/// Why the breaker is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    Failures,
    Misconfigured,
}

/// Where the breaker stands, for metrics and for the facts of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    Closed,
    Open { until_ms: i64, cause: Cause },
    HalfOpen { next_probe_ms: i64, successes: u32, cause: Cause },
    Ramp { step: usize, ends_ms: i64, credit: u32 },
}

/// The machine. Pure: `now_ms` is passed in.
#[derive(Debug, Clone)]
pub struct Breaker {
    config: BreakerConfig,
    state: BreakerState,
    window: Window,
    /// Times opened since it was last closed.
    opened: u32,
}

impl Breaker {
    pub fn new(config: BreakerConfig) -> Self {
        let window = Window::new(config.window_ms);
        Self { config, state: BreakerState::Closed, window, opened: 0 }
    }

    /// Asks to start one send. A send admitted and then not made does no harm: its probe is
    /// replaced by the next one.
    pub fn admit(&mut self, now_ms: i64) -> Admit {
        self.advance(now_ms);
        match &mut self.state {
            BreakerState::Closed => Admit::Go,
            BreakerState::Open { until_ms, .. } => Admit::Hold { until_ms: *until_ms },
            BreakerState::HalfOpen { next_probe_ms, .. } if now_ms < *next_probe_ms => {
                Admit::Hold { until_ms: *next_probe_ms }
            }
            BreakerState::HalfOpen { next_probe_ms, .. } => {
                *next_probe_ms = now_ms + scaled(self.config.probe_every_ms, &self.config);
                Admit::Probe
            }
            BreakerState::Ramp { step, ends_ms, credit } => {
                // Evenly spread without randomness: every send brings its percentage of one.
                *credit += self.config.ramp[*step].percent.min(100);
                if *credit < 100 {
                    return Admit::Hold { until_ms: *ends_ms };
                }
                *credit -= 100;
                Admit::Go
            }
        }
    }

    /// Notes what one send showed.
    pub fn note(&mut self, verdict: Verdict, now_ms: i64) {
        self.advance(now_ms);
        match verdict {
            Verdict::Neutral => {}
            Verdict::Misconfigured => self.misconfigured(now_ms),
            Verdict::Success | Verdict::Failure => {
                self.judged(verdict == Verdict::Failure, now_ms);
            }
        }
    }

    /// Where it stands at `now_ms`.
    pub fn state(&mut self, now_ms: i64) -> BreakerState {
        self.advance(now_ms);
        self.state
    }

    /// Until when the edge is known to be down; `None` when sends pass, if only a share of them.
    /// While half-open this is the next probe's time, or `now_ms` when one is due.
    pub fn down_until(&mut self, now_ms: i64) -> Option<i64> {
        match self.state(now_ms) {
            BreakerState::Closed | BreakerState::Ramp { .. } => None,
            BreakerState::Open { until_ms, .. } => Some(until_ms),
            BreakerState::HalfOpen { next_probe_ms, .. } => Some(next_probe_ms.max(now_ms)),
        }
    }

    /// Lets time alone change the state.
    fn advance(&mut self, now_ms: i64) {
        if let BreakerState::Open { until_ms, cause } = self.state
            && now_ms >= until_ms
        {
            self.state = BreakerState::HalfOpen { next_probe_ms: now_ms, successes: 0, cause };
        }
        while let BreakerState::Ramp { step, ends_ms, .. } = self.state
            && now_ms >= ends_ms
        {
            self.enter_ramp(step + 1, ends_ms);
        }
    }

    fn misconfigured(&mut self, now_ms: i64) {
        // Late answers to sends of before do not lengthen the wait again and again.
        let open_for_this =
            matches!(self.state, BreakerState::Open { cause: Cause::Misconfigured, .. });
        if !open_for_this {
            self.open(Cause::Misconfigured, now_ms);
        }
    }

    fn judged(&mut self, failed: bool, now_ms: i64) {
        match &mut self.state {
            // Answers to sends of before it opened: they say nothing new.
            BreakerState::Open { .. } => {}
            BreakerState::HalfOpen { cause, .. } if failed => {
                let cause = *cause;
                self.open(cause, now_ms);
            }
            BreakerState::HalfOpen { successes, .. } => {
                *successes += 1;
                if *successes >= self.config.probes_to_ramp {
                    self.window.clear();
                    self.enter_ramp(0, now_ms);
                }
            }
            BreakerState::Closed => self.weigh(failed, self.config.min_count, now_ms),
            BreakerState::Ramp { step, .. } => {
                // A tenth of the load must be judged by a tenth of the count, or the ramp is over
                // before its failures are believed.
                let percent = u64::from(self.config.ramp[*step].percent.min(100));
                let share = u64::from(self.config.min_count) * percent / 100;
                let min_count = (share as u32).max(self.config.probes_to_ramp);
                self.weigh(failed, min_count, now_ms);
            }
        }
    }

    fn weigh(&mut self, failed: bool, min_count: u32, now_ms: i64) {
        self.window.add(failed, now_ms);
        let seen = self.window.seen(now_ms);
        if failed && seen.events >= min_count && seen.share() >= self.config.failure_share {
            self.open(Cause::Failures, now_ms);
        }
    }

    fn open(&mut self, cause: Cause, now_ms: i64) {
        let doubled = self.config.open_ms.saturating_mul(1_i64 << self.opened.min(30));
        let wait = scaled(doubled.min(self.config.open_cap_ms), &self.config);
        self.opened = self.opened.saturating_add(1);
        self.window.clear();
        self.state = BreakerState::Open { until_ms: now_ms + wait, cause };
    }

    fn enter_ramp(&mut self, step: usize, starts_ms: i64) {
        self.state = match self.config.ramp.get(step) {
            Some(RampStep { percent, for_ms }) => BreakerState::Ramp {
                step,
                ends_ms: starts_ms + scaled(*for_ms, &self.config),
                // The first send of a step passes.
                credit: 100 - (*percent).min(100),
            },
            None => {
                self.opened = 0;
                BreakerState::Closed
            }
        };
    }
}

/// A wait is at least a millisecond, or time would stand still.
fn scaled(wait_ms: i64, config: &BreakerConfig) -> i64 {
    ((wait_ms as f64 * config.wait_factor) as i64).max(1)
}

#[cfg(test)]
#[path = "breaker_laws.rs"]
mod laws;

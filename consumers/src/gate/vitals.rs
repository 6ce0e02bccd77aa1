//! How an edge does, and where that stands in the metrics.

use edge::breaker::{BreakerState, Cause};
use edge::pool::Snapshot;
use runtime::metrics::Metrics;
use schemas::topics::Channel;

use super::Gate;

/// A gate's state now, and its counts since it was made.
#[derive(Debug, Clone, PartialEq)]
pub struct GateVitals {
    pub breaker: BreakerState,
    pub openings: u64,
    /// Openings for a setting of ours.
    pub openings_misconfigured: u64,
    /// Dead addresses are not believed.
    pub guard_tripped: bool,
    pub disbelieved: u64,
    /// Sends that waited for their turn, and how long all of them together.
    pub paced: u64,
    pub paced_ms: u64,
}

/// An edge's state now.
#[derive(Debug, Clone, PartialEq)]
pub struct Vitals {
    pub gate: GateVitals,
    pub connections: Snapshot,
    /// Beyond an hour, or negative, this machine's clock is wrong. Absent without a token.
    pub token_age_ms: Option<i64>,
}

impl Gate {
    /// For metrics.
    #[must_use]
    pub fn vitals(&self) -> GateVitals {
        let now = self.world.now();
        let mut inner = self.inner.lock();
        GateVitals {
            breaker: inner.breaker.state(now.0),
            openings: inner.counts.openings,
            openings_misconfigured: inner.counts.openings_for_us,
            guard_tripped: !inner.believed,
            disbelieved: inner.counts.disbelieved,
            paced: inner.counts.paced,
            paced_ms: inner.counts.paced_ms,
        }
    }
}

const STATES: [&str; 4] = ["closed", "open", "half_open", "ramp"];

fn state(breaker: BreakerState) -> &'static str {
    match breaker {
        BreakerState::Closed => STATES[0],
        BreakerState::Open { .. } => STATES[1],
        BreakerState::HalfOpen { .. } => STATES[2],
        BreakerState::Ramp { .. } => STATES[3],
    }
}

impl Vitals {
    /// Gauges are set, counters raised to where they stand now.
    pub(super) fn report(&self, channel: Channel, metrics: &Metrics) {
        let (edge, channel) = (&metrics.edge, channel.name());
        let now = state(self.gate.breaker);
        for state in STATES {
            edge.breaker_state.with_label_values(&[channel, state]).set(i64::from(state == now));
        }
        let opened = [
            (Cause::Failures, self.gate.openings),
            (Cause::Misconfigured, self.gate.openings_misconfigured),
        ];
        for (cause, total) in opened {
            let cause = match cause {
                Cause::Failures => "failures",
                Cause::Misconfigured => "misconfigured",
            };
            edge.breaker_openings.raise(&[channel, cause], total);
        }
        edge.guard_tripped.with_label_values(&[channel]).set(self.gate.guard_tripped.into());
        edge.disbelieved.raise(&[channel], self.gate.disbelieved);
        edge.paced.raise(&[channel], self.gate.paced);
        edge.paced_seconds.raise(&[channel], self.gate.paced_ms / 1_000);
        if let Some(age) = self.token_age_ms {
            edge.token_age.with_label_values(&[channel]).set(age.div_euclid(1_000));
        }
        self.report_connections(channel, metrics);
    }

    fn report_connections(&self, channel: &str, metrics: &Metrics) {
        let (edge, pool) = (&metrics.edge, &self.connections);
        let gauge = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        for (state, value) in [("live", pool.live), ("draining", pool.draining)] {
            edge.connections.with_label_values(&[channel, state]).set(gauge(value));
        }
        for (state, value) in [("used", pool.streams_used), ("free", pool.streams_free)] {
            edge.streams.with_label_values(&[channel, state]).set(gauge(value));
        }
        edge.waiting.with_label_values(&[channel]).set(gauge(pool.waiting));
        let opened = [("opened", pool.opened_total), ("failed", pool.open_failures_total)];
        for (result, total) in opened.into_iter().chain([("dead", pool.dead_total)]) {
            edge.opened.raise(&[channel, result], total);
        }
        for (reason, total) in &pool.goaways_total {
            edge.goaways.raise(&[channel, reason], *total);
        }
        let replays = pool.replays_total;
        for (cause, total) in [
            ("refused_stream", replays.refused_stream),
            ("goaway", replays.goaway),
            ("never_sent", replays.never_sent),
        ] {
            edge.replays.raise(&[channel, cause], total);
        }
        for (cause, total) in [
            ("timed_out", pool.timeouts_total),
            ("reset", pool.resets_total),
            ("lost", pool.lost_total),
        ] {
            edge.unanswered.raise(&[channel, cause], total);
        }
        edge.renewals.raise(&[channel], pool.renewals_total);
    }
}

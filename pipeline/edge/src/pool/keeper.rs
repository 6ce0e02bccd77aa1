//! Keeps one place of the pool filled: opens a connection, waits until it is not given out any
//! more, opens the next.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsConnector;

use super::connection::{drive, open};
use super::counters::Counters;
use super::slots::Slots;
use super::{Down, PoolConfig};
use crate::Random;

/// The least wait that grows after failed openings, should the spacing be shorter.
const LEAST_WAIT: Duration = Duration::from_millis(10);

/// What all keepers of a pool share.
pub(super) struct Keeping {
    pub config: Arc<PoolConfig>,
    pub tls: TlsConnector,
    pub name: rustls_pki_types::ServerName<'static>,
    pub slots: Arc<Slots>,
    pub counters: Arc<Counters>,
    pub random: Random,
    pub gate: Gate,
}

/// Lets openings begin one after the other, a spacing apart.
#[derive(Default)]
pub(super) struct Gate(Mutex<Option<Instant>>);

impl Gate {
    /// Waits in turn; the next one passes `spacing` after this one at the earliest.
    async fn pass(&self, spacing: Duration) {
        let mut last = self.0.lock().await;
        if let Some(last) = *last {
            sleep_until(last + spacing).await;
        }
        *last = Some(Instant::now());
    }
}

/// Runs until it is aborted or the pool is closed.
pub(super) async fn keep(place: usize, keeping: Arc<Keeping>) {
    let Keeping { config, tls, name, slots, counters, random, gate } = &*keeping;
    // Openings in a row that failed, or whose connection ended without one answer.
    let mut failures = 0_u32;
    loop {
        gate.pass(config.open_spacing).await;
        let opening = open(config, tls, name, random);
        match timeout(config.open_timeout, opening).await.unwrap_or(Err(Down::TimedOut)) {
            Ok((connection, wire)) => {
                counters.opened.add();
                let since = Instant::now();
                if !slots.opened(place, connection.clone()) {
                    return;
                }
                tokio::spawn(drive(
                    connection.clone(),
                    wire,
                    slots.clone(),
                    counters.clone(),
                    config.clone(),
                ));
                connection.until_retired().await;
                let was_good = connection.has_answered() || since.elapsed() > config.reopen_cap;
                failures = if was_good { 0 } else { failures.saturating_add(1) };
                // Once may be an idle connection's end; twice is a pattern, and hope is in vain.
                slots.retired(place, &connection, (failures > 1).then_some(Down::Dropped));
            }
            Err(down) => {
                tracing::warn!(host = %config.host, ?down, "connection not opened");
                counters.open_failures.add();
                slots.failed(place, down);
                failures = failures.saturating_add(1);
            }
        }
        sleep(wait(failures, config, random())).await;
    }
}

/// Full jitter under a bound that doubles with each failure; none after a good connection.
fn wait(failures: u32, config: &PoolConfig, random: f64) -> Duration {
    if failures == 0 {
        return Duration::ZERO;
    }
    let least = config.open_spacing.max(LEAST_WAIT);
    let bound = least.saturating_mul(1 << failures.min(16)).min(config.reopen_cap);
    bound.mul_f64(random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn openings_begin_a_spacing_apart_and_the_first_at_once() {
        let (gate, start) = (Gate::default(), Instant::now());
        let mut begun = Vec::new();
        for _ in 0..4 {
            gate.pass(Duration::from_secs(2)).await;
            begun.push(start.elapsed().as_secs());
        }
        assert_eq!(begun, [0, 2, 4, 6]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_opening_after_a_rest_does_not_wait() {
        let gate = Gate::default();
        gate.pass(Duration::from_secs(2)).await;
        tokio::time::advance(Duration::from_secs(60)).await;
        let before = Instant::now();
        gate.pass(Duration::from_secs(2)).await;
        assert_eq!(before.elapsed(), Duration::ZERO);
    }

    #[test]
    fn the_wait_grows_with_failures_up_to_its_cap_and_a_good_connection_ends_it() {
        let config = PoolConfig::new("push.example", 443);
        let waits = [0, 1, 2, 3, 4, 5, 99].map(|failures| wait(failures, &config, 1.0).as_secs());
        assert_eq!(waits, [0, 2, 4, 8, 16, 30, 30]);
        assert_eq!(wait(9, &config, 0.0), Duration::ZERO);
    }
}
